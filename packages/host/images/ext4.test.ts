import { expect, test } from 'vitest';
import { linkTarget, parseDebugfsStat } from './ext4.ts';
import { tinyPlan } from './rootfs-tiny.ts';

test.each([
  ['/sbin/init', '/lib/systemd/systemd', '/lib/systemd/systemd'],
  ['/sbin/init', '../lib/systemd/systemd', '/lib/systemd/systemd'],
  ['/sbin/init', 'busybox', '/sbin/busybox'],
  ['/init', '../../../etc/x', '/etc/x'],
  ['/a/b/c', './../d//e/.', '/a/d/e'],
])('%s -> %s leads to %s', (from, link, target) => {
  expect(linkTarget(from, link)).toBe(target);
});

test('what debugfs prints of files and links (e2fsprogs 1.47.0)', () => {
  expect(parseDebugfsStat('Inode: 13   Type: symlink    Mode:  0777   Flags: 0x0\nFast link dest: "/lib/systemd/systemd"\n')).toEqual({
    type: 'symlink',
    mode: 0o777,
    link: '/lib/systemd/systemd',
  });
  expect(parseDebugfsStat('Inode: 330   Type: regular    Mode:  0755   Flags: 0x80000\n')).toEqual({
    type: 'regular',
    mode: 0o755,
    link: null,
  });
  expect(parseDebugfsStat('/sbin/init: File not found by ext2_lookup \n')).toBeUndefined();
});

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
