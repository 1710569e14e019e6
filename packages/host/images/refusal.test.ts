import { expect, test } from 'vitest';
import { leastMemoryMiB } from './golden-parts.ts';
import { faultOfRefusal, refusal } from './refusal.ts';

test('refusals become faults that keep the sentence', () => {
  expect(faultOfRefusal(refusal('not-ext4', 'X is not ext4.'), '/state').message).toBe('X is not ext4.');
  expect(faultOfRefusal(refusal('golden-damaged', 'X is damaged.'), '/state').fault).toEqual({
    code: 'artifact-corrupt',
    data: { say: 'X is damaged.' },
  });
  expect(faultOfRefusal({ ...refusal('disk-full', 'No room.'), freeMiB: 3 }, '/state').fault).toEqual({
    code: 'host-disk-full',
    data: { path: '/state', freeMiB: 3 },
  });
});

test('the least memory: as tried with a bare kernel and with the Debian kernel and our initrd', () => {
  expect(leastMemoryMiB(31_562_137, null)).toBe(32);
  expect(leastMemoryMiB(65_011_712, 1_364_403)).toBe(88);
});
