import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareVersions, parseVersion, type Version } from '@linstock/core';
import {
  abilitiesOf,
  abilitySpans,
  has,
  newest,
  refusalOfKernel,
  refusalOfVersion,
  snapshotFormatOf,
  versionIn,
  whenSpans,
} from './versions.ts';

const v = (text: string): Version => parseVersion(text)!;

test.each([
  [
    'Firecracker v1.9.1\n\n2024-09-02T10:11:12.123456789 [anonymous-instance:main] Firecracker exiting successfully. exit_code=0\n',
    '1.9.1',
  ],
  ['Firecracker v1.17.0-dev\n', '1.17.0-dev'],
  ['Jailer v1.16.1\n', '1.16.1'],
  ['Supported snapshot data format versions: v1.0\nFirecracker v1.9.1', undefined],
  ['QEMU emulator version 7.2.0', undefined],
  ['', undefined],
])('the version in %j', (output, expected) => {
  expect(versionIn(output)?.text).toBe(expected);
});

test('versions are ordered by number', () => {
  expect(['1.10.1', '1.9.1', '1.16.0', '1.9.10', '2.0.0'].toSorted((a, b) => compareVersions(v(a), v(b)))).toEqual([
    '1.9.1',
    '1.9.10',
    '1.10.1',
    '1.16.0',
    '2.0.0',
  ]);
});

describe('abilities by exact version', () => {
  test.each([
    ['clockRealtime', '1.14.3', false],
    ['clockRealtime', '1.14.4', true],
    ['clockRealtime', '1.15.0', false],
    ['clockRealtime', '1.15.1', true],
    ['clockRealtime', '1.16.1', true],
    ['networkOverrides', '1.11.0', false],
    ['networkOverrides', '1.12.1', true],
    ['appendsPciOff', '1.12.1', false],
    ['appendsPciOff', '1.13.0', true],
    ['safeBinaryCopy', '1.13.1', false],
    ['safeBinaryCopy', '1.13.2', true],
    ['safeBinaryCopy', '1.14.0', false],
    ['safeBinaryCopy', '1.14.1', true],
    ['wholeDiffs', '1.14.1', false],
    ['wholeDiffs', '1.14.2', true],
    ['vsockSurvivesPause', '1.16.1', false],
    ['createsLogFiles', '1.13.1', false],
    ['tripleFaultIsOne', '1.14.4', false],
    ['tripleFaultIsOne', '1.15.0', true],
  ] as const)('%s in %s: %s', (ability, version, expected) => {
    expect(has(v(version), ability)).toBe(expected);
  });

  test('1.9.1 in one screen', () => {
    expect(abilitiesOf(v('1.9.1'))).toEqual(['vsockSurvivesPause', 'wholeDiffs']);
  });

  test('every span begins with a version and ends after it', () => {
    for (const spans of Object.values(abilitySpans)) {
      for (const span of spans) {
        expect(parseVersion(span.from)).not.toBeNull();
        if ('until' in span) expect(compareVersions(v(span.from), v(span.until))).toBeLessThan(0);
      }
    }
  });

  test('what a version has and never loses, a newer one has too', () => {
    const versions = ['1.9.1', '1.10.1', '1.11.0', '1.12.1', '1.13.2', '1.14.4', '1.15.1', '1.16.1'].map(v);
    const open = Object.entries(abilitySpans).filter(([, spans]) => spans.length === 1 && !('until' in spans[0]));
    for (const [i, version] of versions.entries()) {
      for (const [name] of open) {
        const ability = name as keyof typeof abilitySpans;
        if (has(version, ability)) expect(versions.slice(i).every((later) => has(later, ability))).toBe(true);
      }
    }
  });

  test('when, in words', () => {
    expect(whenSpans(abilitySpans.vsockOverride)).toBe('it came with 1.16.0');
    expect(whenSpans(abilitySpans.clockRealtime)).toBe('1.14.4 has it, 1.15.0 does not, 1.15.1 and newer have it');
  });
});

test('versions that are not driven are refused in one sentence', () => {
  expect(refusalOfVersion(v('1.9.1'))).toBeNull();
  expect(refusalOfVersion(v(newest))).toBeNull();
  expect(refusalOfVersion(v('1.18.3'))).toBeNull();
  expect(refusalOfVersion(v('1.8.0'))).toMatch(/^Firecracker 1\.8\.0 is not supported: .*\.$/);
  expect(refusalOfVersion(v('2.0.0'))).toContain('2.0.0');
});

test('the snapshot format is told, lower bound', () => {
  expect(['1.8.0', '1.9.1', '1.10.0', '1.10.1', '1.13.2', '1.14.4', '1.15.0', '1.16.1'].map((text) => snapshotFormatOf(v(text)))).toEqual([
    null,
    '3.0.0',
    '3.0.0',
    '4.0.0',
    '8.0.0',
    '8.0.0',
    '9.0.0',
    '10.0.0',
  ]);
});

test('a kernel that is no ELF is named', () => {
  const bzImage = Buffer.alloc(1024);
  bzImage.write('HdrS', 0x202);
  expect(refusalOfKernel(Buffer.from('\x7fELF\x02'))).toBeNull();
  expect(refusalOfKernel(bzImage)).toContain('extract-vmlinux');
  expect(refusalOfKernel(Buffer.from('text'))).toContain('not an ELF');
  expect(refusalOfKernel(Buffer.alloc(0))).toContain('not an ELF');
});

test('nothing that a program prints makes the reader throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      versionIn(text);
      versionIn(`Firecracker v${text}`);
      parseVersion(text);
    }),
  );
});
