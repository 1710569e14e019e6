import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { requirements } from '../requirements.ts';
import type { Need } from '../requirement.ts';
import { askingText, layFragments, readFragment } from './fragment.ts';
import type { Fragment } from './fragment.ts';
import { barOf, estimatedSteps, lastErrors, StepCounter } from './make-output.ts';

function fragment(name: string, text: string): Fragment {
  const read = readFragment(name, text);
  if (!read.ok) throw new Error(read.say);
  return read.fragment;
}

test('a fragment: values, what is off, comments', () => {
  const text =
    '# why\nCONFIG_A=y\n# CONFIG_B is not set\n#CONFIG_C is not set\nCONFIG_D="a \\"b\\""\r\n  CONFIG_E=-5\nCONFIG_F=0xfF\n\n# CONFIG_G=y\nCONFIG_H=n';
  expect(fragment('f', text).asked.map(({ option, value, line }) => [option, value, line])).toEqual([
    ['A', 'y', 2],
    ['B', 'n', 3],
    ['C', 'n', 4],
    ['D', '"a \\"b\\""', 5],
    ['E', '-5', 6],
    ['F', '0xfF', 7],
    ['H', 'n', 10],
  ]);
});

test.each([
  ['A=y', 'mine, line 1: "A=y" is neither CONFIG_NAME=value nor'],
  ['CONFIG_A=yes', 'line 1: "CONFIG_A=yes" is neither'],
  ['CONFIG_A=y # why', 'line 1'],
  ['CONFIG_A="open', 'line 1'],
  ['CONFIG_A-B=y', 'line 1'],
  ['\nCONFIG_A=y\nCONFIG_A=n', 'line 3: CONFIG_A is asked for otherwise in line 2'],
  ['x\n'.repeat(10), '; and 5 more'],
  ['#'.repeat(2_001), 'line 1: it has more than 2000 characters'],
  [`${'#\n'.repeat(600_000)}`, 'has more than 1048576 characters'],
  [Array.from({ length: 20_001 }, (_, index) => `CONFIG_A${index}=y`).join('\n'), 'names more than 20000 options'],
])('refused: %j', (text, say) => {
  expect(readFragment('mine', text)).toEqual({ ok: false, say: expect.stringContaining(say) });
});

test('of two fragments the later one is right, and what is asked for is written for Kconfig', () => {
  const all = layFragments([fragment('one', 'CONFIG_A=y\nCONFIG_B=m\n'), fragment('two', '# CONFIG_A is not set\nCONFIG_C="x"\n')]);
  expect([...all.values()].map(({ option, value, from }) => [option, value, from])).toEqual([
    ['A', 'n', 'two'],
    ['B', 'm', 'one'],
    ['C', '"x"', 'two'],
  ]);
  expect(askingText(all)).toBe('CONFIG_A=n\nCONFIG_B=m\nCONFIG_C="x"\n');
});

test('no text makes it throw, and what it takes it writes back', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const read = readFragment('any', text);
      if (read.ok) expect(fragment('again', askingText(layFragments([read.fragment]))).asked.length).toBe(read.fragment.asked.length);
      else expect(read.say).not.toBe('');
    }),
  );
});

const LOG =
  '  SYNC    include/config/auto.conf.cmd\n  CC      init/main.o\n  CC [M]  a/b.o\n  AR      init/built-in.a\nmake[1]: Entering\n  CC      init/main.o\nCC lib/x.o\n  Building modules\n';
test('steps are counted once each, wherever the log is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(LOG.length)), (cuts) => {
      const counter = new StepCounter();
      const places = [0, ...cuts.toSorted((a, b) => a - b), LOG.length];
      for (const [index, from] of places.entries()) counter.add(LOG.slice(from, places[index + 1] ?? LOG.length));
      expect(counter.done).toBe(4);
    }),
  );
});

test('a bar is never full before the end, and the estimate grows with the options', () => {
  expect(estimatedSteps(436)).toBe(1_129);
  expect(estimatedSteps(900)).toBeGreaterThan(estimatedSteps(700));
  expect(estimatedSteps(0)).toBeGreaterThan(0);
  for (const done of [0, 1, 999, 1_000, 1_001, 50_000]) expect(barOf(done, 1_000).total).toBeGreaterThan(done);
  expect(barOf(10, 1_000)).toEqual({ done: 10, total: 1_000 });
});

test.each<[string, string[]]>([
  [
    "  CC      a.o\na.c:3:1: \u001B[31merror:\u001B[0m expected ';'\nmake[2]: *** [scripts/Makefile.build:250: a.o] Error 1\nmake[1]: *** [Makefile:2009: .] Error 2\nmake: *** [Makefile:1] Error 2\n",
    ["a.c:3:1: error: expected ';'", 'make[2]: *** [scripts/Makefile.build:250: a.o] Error 1'],
  ],
  ["ld: a.o: undefined reference to `b'\n", ["ld: a.o: undefined reference to `b'"]],
  ['make: *** No rule to make target. Stop.\n', ['make: *** No rule to make target. Stop.']],
  ['one\ntwo\n', ['one', 'two']],
  ['', []],
])('what went wrong in %j', (log, lines) => {
  expect(lastErrors(log)).toEqual(lines);
});

test('of many errors the last few are said, each of bounded length', () => {
  const lines = lastErrors(Array.from({ length: 100 }, (_, index) => `x.c: error: ${index} ${'y'.repeat(1_000)}`).join('\n'));
  expect(lines.length).toBeLessThanOrEqual(8);
  expect(lines.at(-1)).toMatch(/^x\.c: error: 99 y{100}/);
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(300);
});

const BUILT_IN = join(import.meta.dirname, '../../../../guest/kernel/microvm.config');
const named = new Set<string>();
const collect = (need: Need): void => {
  if (typeof need === 'string') named.add(need);
  else if ('off' in need) named.add(need.off);
  else if ('all' in need) need.all.forEach(collect);
  else if ('any' in need) need.any.forEach(collect);
};
for (const { need } of requirements) collect(need);

test('every option of the built-in fragment has its reason: a requirement that names it, or its paragraph', () => {
  const text = readFileSync(BUILT_IN, 'utf8');
  fragment('microvm', text);
  const [, ...paragraphs] = text.split('\n\n');
  const wrong: string[] = [];
  for (const paragraph of paragraphs) {
    const options = [...paragraph.matchAll(/^(?:# )?CONFIG_(\w+)(?:=| is not)/gm)].map(([, option]) => option ?? '');
    const reason = /^# (.*)$/m.exec(paragraph)?.[1] ?? '';
    const isRequirements = reason.startsWith('Requirements:');
    // A requirement says why by itself; under any other paragraph the paragraph does, in a sentence.
    if (isRequirements) wrong.push(...options.filter((option) => !named.has(option)));
    else if (!reason.endsWith('.')) wrong.push(paragraph);
    if (options.length === 0 || !paragraph.startsWith('# ')) wrong.push(paragraph);
  }
  expect(wrong).toEqual([]);
});

/** What guests of Linstock do not use yet, what other versions of Linux have, and BLK_MQ_PCI (pci-bridge), which nobody is asked about. */
const LEFT_OUT = ['XFS_FS', 'EROFS_FS', 'BTRFS_FS', 'memory-hotplug', 'pmem', 'modules', 'snapshot-vmclock', 'nft-counter', 'pci-bridge'];

test('what is asked of kernels is asked for by the built-in fragment, but for a few things', () => {
  const asked = new Map(fragment('microvm', readFileSync(BUILT_IN, 'utf8')).asked.map(({ option, value }) => [option, value]));
  const holds = (need: Need): boolean => {
    if (typeof need === 'string') return asked.get(need) === 'y';
    if ('all' in need) return need.all.every(holds);
    if ('any' in need) return need.any.some(holds);
    return false;
  };
  const lacking = requirements
    .filter(({ need }) => !holds(need))
    .map(({ id, need }) => (id === 'root' && typeof need === 'string' ? need : id));
  expect(lacking.toSorted()).toEqual(LEFT_OUT.toSorted());
});
