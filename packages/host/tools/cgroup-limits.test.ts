import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { limit, memoryKills, passControllers } from './cgroup-limits.ts';

// Plain files in the place of the kernel's: what is written where, and that nothing is made that the kernel did not make.
let above: string;
let ours: string;
beforeEach(() => {
  above = mkdtempSync(join(tmpdir(), 'linstock-cgroup-'));
  ours = join(above, 'linstock-beef');
  mkdirSync(ours);
});
afterEach(() => rmSync(above, { recursive: true }));
const put = (folder: string, name: string, text: string): void => writeFileSync(join(folder, name), text);
const get = (folder: string, name: string): string => readFileSync(join(folder, name), 'utf8');
const limits = { memoryMaxBytes: 1_000_000, pidsMax: 64 };

test('controllers that are there are passed down, those that are passed already are left alone', () => {
  for (const folder of [above, ours]) put(folder, 'cgroup.controllers', 'cpu memory pids\n');
  put(above, 'cgroup.subtree_control', 'memory pids cpu\n');
  put(ours, 'cgroup.subtree_control', 'memory\n');
  passControllers(ours);
  expect(get(above, 'cgroup.subtree_control')).toBe('memory pids cpu\n');
  expect(get(ours, 'cgroup.subtree_control')).toContain('+pids');
});

test('a host without these controllers is left as it is, and has no limits', () => {
  put(above, 'cgroup.controllers', '\n');
  passControllers(ours);
  limit(ours, limits);
  expect(readdirSync(ours)).toEqual([]);
  expect(readdirSync(above)).toEqual(['cgroup.controllers', 'linstock-beef']);
  expect(memoryKills(ours)).toBe(0);
});

test('each limit goes into its file', () => {
  for (const name of ['memory.max', 'memory.swap.max', 'pids.max']) put(ours, name, '');
  limit(ours, limits);
  expect(get(ours, 'memory.max')).toBe('1000000');
  expect(get(ours, 'memory.swap.max')).toBe('0');
  expect(get(ours, 'pids.max')).toBe('64');
});

test.each([
  ['low 0\noom 3\noom_kill 2\n', 2],
  ['oom_kill 0\n', 0],
  ['oom_kill many\n\u0000', 0],
])('kills for want of memory: %j', (text, count) => {
  put(ours, 'memory.events', text);
  expect(memoryKills(ours)).toBe(count);
});
