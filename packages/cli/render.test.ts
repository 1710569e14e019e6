import { expect, test } from 'vitest';
import { aBoot, aCondition } from '@linstock/sdk/testing';
import type { Proof } from '@linstock/contract';
import { fitted, page, plain, proofSummary, proofTable, safeJson, table, timelineBars, took, wrapped, type Style } from './render.ts';

const pipe: Style = { colour: false, width: null };
const narrow: Style = { colour: false, width: 76 };
const shown = (lines: readonly string[]): string => `\n${lines.join('\n')}\n`;

const proof: Proof = {
  verified: 'refuted',
  at: 0,
  furthest: 'memory.size',
  conditions: [
    aCondition('vmm.started', { expected: 'qemu 7.2.19 answers', observed: 'qemu 7.2.19 answers' }),
    aCondition('net.address', {
      verdict: 'refuted',
      expected: '192.168.100.2 on eth0, set once and still there at proof time',
      observed: 'no address on eth0\u001B[2J',
      evidence: [{ source: 'console', line: 412, text: 'eth0: Lost carrier', guestControlled: true }],
      next: 'systemd-networkd took the address away: networkctl status eth0',
    }),
    aCondition('port.8080', { verdict: 'unknown', expected: 'HTTP status', observed: 'not probed: no address', next: 'needs net.address' }),
    aCondition('net.egress', { verdict: 'unknown', asked: false, expected: '-', observed: 'the network allows none' }),
  ],
};

test('proof, not a terminal: marks and words, nothing cut', () => {
  expect(shown(proofTable(proof, pipe))).toMatchInlineSnapshot(`
    "
      CONDITION    VERDICT    EXPECTED                                                       OBSERVED
    ✓ vmm.started  proved     qemu 7.2.19 answers                                            qemu 7.2.19 answers
    ✗ net.address  REFUTED    192.168.100.2 on eth0, set once and still there at proof time  no address on eth0
        → systemd-networkd took the address away: networkctl status eth0
        console:412 (said by the guest): eth0: Lost carrier
    ? port.8080    unknown    HTTP status                                                    not probed: no address
        → needs net.address
    - net.egress   not asked  -                                                              the network allows none
    "
  `);
});
test('proof on a narrow terminal', () => {
  expect(shown(proofTable(proof, narrow))).toMatchInlineSnapshot(`
    "
      CONDITION    VERDICT    EXPECTED                  OBSERVED
    ✓ vmm.started  proved     qemu 7.2.19 answers       qemu 7.2.19 answers
    ✗ net.address  REFUTED    192.168.100.2 on eth0, …  no address on eth0
        → systemd-networkd took the address away: networkctl status eth0
        console:412 (said by the guest): eth0: Lost carrier
    ? port.8080    unknown    HTTP status               not probed: no address
        → needs net.address
    - net.egress   not asked  -                         the network allows none
    "
  `);
  for (const line of proofTable(proof, narrow, { evidence: true })) if (!line.includes('→')) expect(line.length).toBeLessThanOrEqual(76);
});
test('colour is only added, never needed', () => {
  const coloured = proofTable(proof, { colour: true, width: null }).join('\n');
  expect(coloured).toContain('\u001B[31m✗\u001B[0m');
  expect(
    coloured
      .replaceAll(/\u001B\[\d+m/g, '')
      .split('\n')
      .map((line) => line.trimEnd()),
  ).toEqual(proofTable(proof, pipe));
});
test('only what was asked for is counted', () => expect(proofSummary(proof)).toBe('1 of 3 conditions proved, 1 refuted, 1 unknown'));

test('timeline', () => {
  expect(shown(timelineBars(aBoot().timeline, narrow))).toMatchInlineSnapshot(`
    "
    vmm.started     █                                         120 ms     +120 ms
    kernel.started   ██████████                               900 ms     +780 ms
    init.finished              ███████████████████            2.40 s     +1.50 s
    verified                                      ██████      2.90 s     +500 ms
    "
  `);
  expect(timelineBars([], narrow)).toEqual(['(nothing was reached)']);
  expect(
    timelineBars(
      [
        { what: 'a', at: 0, ms: 0 },
        { what: 'b', at: 0, ms: 0 },
      ],
      { colour: false, width: 0 },
    ),
  ).toHaveLength(2);
});

test('table: the last column gives way, control characters go', () => {
  const rows = [
    ['web', '\u001B[31mrunning', 'a long text at the end of the row'],
    ['db\u0007\n', { text: 'failed', paint: 'red' as const }, 'x'],
  ];
  expect(shown(table(['name', 'state', 'more'], rows, pipe))).toMatchInlineSnapshot(`
    "
    NAME  STATE    MORE
    web   running  a long text at the end of the row
    db    failed   x
    "
  `);
  expect(shown(table(['name', 'state', 'more'], rows, { colour: false, width: 30 }))).toMatchInlineSnapshot(`
    "
    NAME  STATE    MORE
    web   running  a long text at…
    db    failed   x
    "
  `);
  for (const width of [0, 1, 5]) expect(table(['name', 'state', 'more'], rows, { colour: false, width })).toHaveLength(3);
});

test('page', () => {
  expect(
    shown(
      page(
        [
          ['name', 'web'],
          ['ports', ['80', '443']],
          ['none', []],
        ],
        pipe,
      ),
    ),
  ).toMatchInlineSnapshot(`
    "
    name   web
    ports  80
           443
    none   -
    "
  `);
});

test('small things', () => {
  expect([0, 999, 1000, 59_990, 61_000].map(took)).toEqual(['0 ms', '999 ms', '1.00 s', '59.99 s', '1 min 1 s']);
  expect([fitted('abc', 0), fitted('abc', 3), fitted('abc', 2), fitted('abc', 1), fitted('abc', null)]).toEqual([
    'abc',
    'abc',
    'a…',
    '…',
    'abc',
  ]);
  expect(plain('a\u001B]0;t\u0007b\u202Ec\td')).toBe('abc d');
  expect(safeJson({ a: '\u009B\u202E\u001B' })).toBe('{"a":"\\u009b\\u202e\\u001b"}');
  expect(JSON.parse(safeJson('\u009B\u202E'))).toBe('\u009B\u202E');
});

test('wrapping: by words, whole, and only for a terminal', () => {
  const text = `one two\u001B[2J three ${'x'.repeat(30)} four`;
  expect(wrapped(text, pipe, 4)).toEqual([`one two three ${'x'.repeat(30)} four`]);
  expect(wrapped(text, { colour: false, width: 24 }, 4)).toEqual(['one two three', 'x'.repeat(20), `${'x'.repeat(10)} four`]);
  expect(wrapped('', narrow, 0)).toEqual(['']);
});
