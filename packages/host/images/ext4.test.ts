import { expect, test } from 'vitest';
import { tinyPlan } from './rootfs-tiny.ts';

test('the tiny plan: our init in its place, parents first, the agent only when there is one', () => {
  const parts = {
    busybox: Buffer.from('b'),
    applets: ['sh', 'init', '[', 'linuxrc', 'httpd', '../etc/passwd'],
    init: Buffer.from('i'),
    pages: [{ name: 'index.html', data: Buffer.from('p') }],
    agent: null,
  };
  const paths = tinyPlan(parts).entries.map((entry) => entry.path);
  expect(paths).toContain('bin/[');
  expect(paths).toContain('www/index.html');
  expect(paths).toContain('sbin/init');
  expect(paths).not.toContain('bin/init');
  expect(paths.some((path) => path.includes('..'))).toBe(false);
  expect(paths).not.toContain('sbin/linstock-agent');
  expect(tinyPlan({ ...parts, agent: Buffer.from('a') }).entries.map((entry) => entry.path)).toContain('sbin/linstock-agent');
  paths.forEach((path, index) => {
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    expect(parent === '' || paths.indexOf(parent) < index).toBe(true);
    expect(paths.indexOf(path)).toBe(index);
  });
});
