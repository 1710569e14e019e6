import { describe, expect, test } from 'vitest';
import { readConfigText } from './config-text.ts';
import { existsIn, optionFacts } from './option-facts.ts';
import { allNeedles, contradiction, knowOptions, knownOptions, quoted, type OptionEvidence } from './options.ts';
import { besides, proofs } from './proofs.ts';
import { LEAST_NEEDLE_BYTES } from './needles.ts';
import { configTextOf, evidenceOf, readRecord } from './testing/recorded.ts';

const record = readRecord();
const kernels = record.kernels.map((kernel, index) => {
  const evidence = evidenceOf(record, index);
  const config = readConfigText(configTextOf(record, index));
  return {
    ...kernel,
    evidence,
    config,
    shown: new Map(knowOptions(evidence, knownOptions).map((one) => [one.option, one])),
    truth: new Map(
      knowOptions({ ...evidence, config: { by: 'config-file', file: null, config } }, knownOptions).map((one) => [one.option, one]),
    ),
  };
});
const kernelNamed = (name: string) => {
  const found = kernels.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no kernel ${name} in the record`);
  return found;
};

describe.each(kernels)('$name ($built)', ({ arch, shown, truth, evidence, config }) => {
  test('nothing is claimed that its configuration denies', () => {
    const wrong = [...shown.values()].filter(({ option, value, builtIn }) => {
      const is = truth.get(option);
      if (value === 'yes') return is?.builtIn !== true;
      if (value === 'no') return is?.value !== 'no';
      return builtIn === false && is?.builtIn !== false;
    });
    expect(wrong.map(({ option, value, how }) => `${option}: ${value} (${how}), and it is ${truth.get(option)?.value}`)).toEqual([]);
  });

  test('its own configuration contradicts nothing that it shows', () => {
    expect(contradiction(evidence, config)).toBeNull();
  });

  test('an option that its version cannot have is not in its configuration', () => {
    const version = evidence.banner?.version ?? null;
    expect(version).not.toBeNull();
    expect(knownOptions.filter((option) => version !== null && existsIn(option, version) === false && config.values.has(option))).toEqual(
      [],
    );
  });

  test.skipIf(arch !== 'x86-64')('what is on has what it needs', () => {
    const wrong = Object.entries(optionFacts).flatMap(([option, { needs, tristate, always }]) => {
      const is = truth.get(option)?.value;
      if (always !== undefined && is !== 'yes') return [`${option} is ${is}`];
      if (is !== 'yes' && is !== 'module') return [];
      // on or off, inside of something that may be a module
      const enough = (parent: string): boolean =>
        is === 'yes' && (tristate || optionFacts[parent]?.tristate !== true)
          ? truth.get(parent)?.value === 'yes'
          : truth.get(parent)?.value !== 'no';
      return needs.filter((parent) => !enough(parent)).map((parent) => `${option} is ${is} without ${parent}`);
    });
    expect(wrong).toEqual([]);
  });
});

/** The kernel that has all, and what each other lacks of it. */
const TAKEN_OUT: readonly (readonly [kernel: string, ...options: string[]])[] = [
  ['6.1-novirtionet.vmlinux', 'VIRTIO_NET'],
  ['6.1-novirtioblk.vmlinux', 'VIRTIO_BLK'],
  ['6.1-novirtiommio.vmlinux', 'VIRTIO_MMIO', 'VIRTIO_MMIO_CMDLINE_DEVICES'],
  ['6.1-nocmdlinedev.vmlinux', 'VIRTIO_MMIO_CMDLINE_DEVICES'],
  ['6.1-noippnp.vmlinux', 'IP_PNP', 'IP_PNP_DHCP'],
  ['6.1-noext4.vmlinux', 'EXT4_FS'],
  ['6.1-noserialconsole.vmlinux', 'SERIAL_8250_CONSOLE'],
  ['6.1-nopvh.vmlinux', 'PVH'],
  ['6.1-novsock.vmlinux', 'VSOCKETS', 'VIRTIO_VSOCKETS'],
];

test.each(TAKEN_OUT)('%s: what was taken out is seen to be gone, and all else to be there', (name, ...options) => {
  const full = kernelNamed('6.1-noik.vmlinux');
  const lacking = kernelNamed(name);
  for (const [option, one] of full.shown) {
    const here = lacking.shown.get(option);
    if (options.includes(option)) expect(here).toMatchObject({ option, value: 'no', builtIn: false });
    else expect(here).toMatchObject({ option, value: one.value });
  }
});

test('a kernel with all of them shows most of what it has', () => {
  const { shown, truth } = kernelNamed('6.1-noik.vmlinux');
  const on = [...truth.values()].filter(({ value }) => value === 'yes').map(({ option }) => option);
  const unseen = on.filter((option) => shown.get(option)?.value !== 'yes');
  expect(unseen.filter((option) => Object.hasOwn(proofs, option))).toEqual([]);
  expect(unseen.length).toBeLessThan(on.length / 3);
  expect(shown.get('IKCONFIG')).toMatchObject({ value: 'no', by: 'absent-proved' });
  expect(kernelNamed('6.1-full.vmlinux').shown.get('IKCONFIG')).toMatchObject({ value: 'yes', by: 'proved-by' });
});

/** Options with which, or without which, no kernel is in the record. */
const ONE_WAY: readonly string[] = ['PRINTK', 'SWIOTLB', 'TTY', 'VIRTIO_MEM', 'EFI_PARTITION'];

test('every text whose absence says something was seen in kernels with its option and missing in ones without', () => {
  const oneWay = Object.entries(proofs).flatMap(([option, needles]) => {
    if (needles.every(({ always }) => always === undefined)) return [];
    const built = (value: boolean): boolean => kernels.some(({ arch, truth }) => arch === 'x86-64' && truth.get(option)?.builtIn === value);
    return built(true) && built(false) ? [] : [option];
  });
  expect(oneWay).toEqual(ONE_WAY);
});

test('the record is of the texts that are looked for now', () => {
  expect(allNeedles.filter((needle) => record.needles[needle]?.length !== kernels.length)).toEqual([]);
  expect(knownOptions.filter((option) => record.options[option]?.length !== kernels.length)).toEqual([]);
});

/** Words that name neither a structure nor a field or a function anywhere in the sources. */
const NO_NAMES: readonly string[] = ['vmw_vsock_virtio_transport\0'];

test('texts are long enough to be found, and none is a bare name, which type information may hold', () => {
  expect(allNeedles.filter((needle) => needle.length < LEAST_NEEDLE_BYTES)).toEqual([]);
  expect(allNeedles.filter((needle) => /^\0?\w+\0?$/.test(needle) && !NO_NAMES.includes(needle))).toEqual([]);
});

test('no two options share a text', () => {
  const texts = [...Object.values(proofs).flatMap((needles) => needles.map(({ text }) => text)), ...Object.values(besides).flat()];
  expect(texts.filter((text, index) => texts.indexOf(text) !== index)).toEqual([]);
  // and none is part of another, which would prove both
  expect(texts.filter((text) => texts.some((other) => other !== text && other.includes(text)))).toEqual([]);
});

test('the table names options whose facts are known', () => {
  expect(Object.keys(proofs).filter((option) => !Object.hasOwn(optionFacts, option))).toEqual([]);
});

const bare: OptionEvidence = { ...kernels[0]!.evidence };

test('what could not be read is unknown but for what its version and architecture decide', () => {
  const shown = new Map(knowOptions({ ...bare, proper: null }, knownOptions).map((one) => [one.option, one]));
  expect(shown.get('VIRTIO_NET')).toMatchObject({
    value: 'unknown',
    by: 'nothing',
    how: 'the kernel inside of the file could not be read',
  });
  expect(shown.get('SWIOTLB')).toMatchObject({ value: 'yes', by: 'arch' });
  expect(
    [...shown.values()].filter(({ by }) => !['nothing', 'arch', 'version', 'implied', 'proved-by', 'absent-proved'].includes(by)),
  ).toEqual([]);
});

test('a kernel newer than the tables: what is there proves, what is not says nothing', () => {
  const banner =
    bare.banner === null ? null : { ...bare.banner, release: '7.0.1', version: { major: 7, minor: 0, patch: 1, text: '7.0.1' } };
  const hits = new Map([...allNeedles].map((needle) => [needle, needle.startsWith('virtio_net.') ? [16] : []] as const));
  for (const one of Object.values(besides).flat()) hits.set(one, [32]);
  const evidence: OptionEvidence = { ...bare, banner, proper: { hits, pvhEntry: undefined, archive: null, configMarkAt: null } };
  const shown = new Map(knowOptions(evidence, knownOptions).map((one) => [one.option, one]));
  expect(shown.get('VIRTIO_NET')).toMatchObject({ value: 'yes', offset: 16 });
  expect(shown.get('VIRTIO_BLK')).toMatchObject({ value: 'unknown', builtIn: null });
  expect(shown.get('SWIOTLB')).toMatchObject({ value: 'unknown' });
});

test('a text of an older driver proves no option that its version has not got', () => {
  const banner = bare.banner === null ? null : { ...bare.banner, version: { major: 5, minor: 10, patch: 1, text: '5.10.1' } };
  const proper = { hits: new Map([['pvpanic-mmio', [16]]]), pvhEntry: undefined, archive: null, configMarkAt: null };
  expect(knowOptions({ ...bare, banner, proper }, ['PVPANIC_MMIO'])).toMatchObject([{ value: 'no', by: 'version' }]);
});

test('an option that nobody knows', () => {
  expect(knowOptions(bare, ['NO_SUCH_OPTION'])).toMatchObject([{ option: 'NO_SUCH_OPTION', value: 'unknown', by: 'nothing' }]);
});

test('texts are shown as C would write them', () => {
  expect(quoted('\0ip=\0')).toBe('"\\0ip=\\0"');
  expect(quoted('a\n')).toBe('"a\\n"');
});
