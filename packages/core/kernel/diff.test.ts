import { expect, test } from 'vitest';
import { diffKernels } from './diff.ts';
import { aReport, anOption } from './testing/report.ts';

test('only what is known of both differs', () => {
  const a = aReport({ A: 'yes', B: 'yes', C: 'unknown', D: 'yes', E: 'unknown', F: 'yes', G: 'not built in' });
  const b = aReport({ A: 'yes', B: 'no', C: 'yes', D: 'module', E: 'unknown', F: 'not built in', G: 'not built in' });
  const diff = diffKernels(a, b);
  expect(diff.options.map(({ option }) => option)).toEqual(['B', 'D', 'F']);
  expect(diff.oneSided.map(({ option }) => option)).toEqual(['C']);
  expect(diff.facts).toEqual([]);
});

test('settings differ, and so do banner, size and what boots it', () => {
  const cpus = (setting: string) => ({ ...anOption('NR_CPUS', 'yes'), setting });
  const a = { ...aReport({}), options: [cpus('32')] };
  const b = aReport({}, { bytes: 5, banner: 'Linux version 6.1.100', boot: [{ protocol: 'PVH', works: false, detail: 'no PVH note' }] });
  const diff = diffKernels(a, { ...b, options: [cpus('64')] });
  expect(diff.options).toMatchObject([{ option: 'NR_CPUS', a: { setting: '32' }, b: { setting: '64' } }]);
  expect(diff.facts).toEqual(
    expect.arrayContaining([
      { fact: 'bytes', a: '20000000', b: '5' },
      { fact: 'boot by PVH', a: 'yes, PVH note, entry 0x1000000', b: 'no, no PVH note' },
    ]),
  );
});
