import { expect, test } from 'vitest';
import { isStaticElf } from './elf.ts';

function elf(types: readonly number[]): Uint8Array {
  const head = new Uint8Array(64 + 56 * types.length);
  const view = new DataView(head.buffer);
  view.setUint32(0, 0x7f454c46);
  head[4] = 2;
  head[5] = 1;
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, types.length, true);
  types.forEach((type, index) => view.setUint32(64 + 56 * index, type, true));
  return head;
}

test('a static program has no interpreter; what is cut or no ELF is not static', () => {
  expect(isStaticElf(elf([1, 1, 6]))).toBe(true);
  expect(isStaticElf(elf([6, 3, 1]))).toBe(false);
  expect(isStaticElf(elf([1, 1]).subarray(0, 100))).toBe(false);
  expect(isStaticElf(new TextEncoder().encode('#!/bin/sh\n'.padEnd(80)))).toBe(false);
});
