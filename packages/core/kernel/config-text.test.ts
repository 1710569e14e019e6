import { expect, test } from 'vitest';
import { readBanner } from './banner.ts';
import { configValue, configValues, readConfigText, whyNotOf } from './config-text.ts';

const TEXT = [
  '#',
  '# Automatically generated file; DO NOT EDIT.',
  '# Linux/x86 6.1.192 Kernel Configuration',
  '#',
  'CONFIG_CC_VERSION_TEXT="gcc (Debian) \\"quoted\\""',
  'CONFIG_A=y',
  'CONFIG_B=m',
  'CONFIG_NR_CPUS=32',
  '# CONFIG_D is not set',
  'CONFIG_AB=y\r',
  'CONFIG_LOCALVERSION=""',
].join('\n');

test('values: set, module, text, number, not set, not named', () => {
  const config = readConfigText(TEXT);
  expect(config.version?.text).toBe('6.1.192');
  expect(config.arch).toBe('x86');
  expect(config.values.get('CC_VERSION_TEXT')).toBe('gcc (Debian) "quoted"');
  expect(configValue(config, 'NR_CPUS')).toBe('y');
  expect(configValues(config, ['A', 'B', 'D', 'E', 'AB'])).toEqual({ A: 'y', B: 'm', D: 'n', E: 'n', AB: 'y' });
});

const banner = (text: string) => {
  const read = readBanner(text);
  if (read === null) throw new Error(text);
  return read;
};

test.each([
  ['the very version', TEXT, '6.1.192 (a@b) (gcc) #1 SMP', null],
  [
    'a distribution that keeps the release and says the version behind it',
    TEXT,
    '6.1.0-56-amd64 (a@b) (gcc-12 (Debian 12.2.0-14) 12.2.0) #1 SMP Debian 6.1.192-2 (2026-11-16)',
    null,
  ],
  [
    'the same, of another build',
    TEXT,
    '6.1.0-40-amd64 (a@b) (gcc) #1 SMP Debian 6.1.153-1 (2025-09-20)',
    /for Linux 6\.1\.192 and the kernel says 6\.1\.0-40/,
  ],
  ['one that says nothing more', TEXT, '6.1.0-custom (a@b) (gcc) #1 SMP', null],
  ['another patch', TEXT, '6.1.55 (a@b) (gcc) #1 SMP', /for Linux 6\.1\.192 and the kernel says 6\.1\.55/],
  ['another line', TEXT, '5.10.192 (a@b) (gcc) #1 SMP', /for Linux 6\.1\.192/],
  ['another architecture', TEXT.replace('Linux/x86', 'Linux/arm64'), '6.1.192 (a@b) #1 SMP', /it is for arm64/],
  ['another local version', TEXT.replace('LOCALVERSION=""', 'LOCALVERSION="-mine"'), '6.1.192 (a@b) #1 SMP', /ends with "-mine"/],
  ['the same local version', TEXT.replace('LOCALVERSION=""', 'LOCALVERSION="-mine"'), '6.1.192-mine (a@b) #1 SMP', null],
  ['a fragment', 'CONFIG_A=y\n', '6.1.192 (a@b) #1 SMP', /a fragment or a defconfig/],
])('whether a configuration is that of a kernel: %s', (_what, text, line, expected) => {
  const why = whyNotOf(readConfigText(text), banner(line), 'x86-64');
  if (expected === null) expect(why).toBeNull();
  else expect(why).toMatch(expected);
});
