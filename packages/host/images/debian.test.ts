import { expect, test } from 'vitest';
import { debianSpec, isStillGiven, mmdebstrapArgv, parseSimulated, parseStatus, sourcesFor, tidyDebian } from './debian.ts';
import { Tree, fileNode, linkNode } from './tree/tree.ts';

test('sources: a stable suite has updates and security, a moving one has not', () => {
  expect(
    sourcesFor('trixie')
      .split('\n')
      .map((line) => line.replace(/ \[.*\]/, '')),
  ).toEqual([
    'deb http://deb.debian.org/debian trixie main',
    'deb http://deb.debian.org/debian trixie-updates main',
    'deb http://deb.debian.org/debian-security trixie-security main',
    '',
  ]);
  expect(sourcesFor('sid').trim().split('\n')).toHaveLength(1);
});

test('the command line of mmdebstrap', () => {
  const wish = { suite: 'trixie', packages: ['nano', 'udev'] };
  const build = mmdebstrapArgv(wish, { sources: '/s', out: '/o', root: true, simulate: false });
  expect(build).toEqual(expect.arrayContaining(['--mode=root', '--variant=minbase', '--include=nano,udev']));
  expect(build.slice(-3)).toEqual(['trixie', '/o', '/s']);
  expect(build).not.toContain('--simulate');
  const look = mmdebstrapArgv({ ...wish, packages: [] }, { sources: '/s', out: '/o', root: false, simulate: true });
  expect(look).toEqual(expect.arrayContaining(['--mode=unshare', '--simulate', '--verbose']));
  expect(look.some((word) => word.startsWith('--include'))).toBe(false);
});

test('what decides a layer', () => {
  const spec = debianSpec({ suite: 'trixie', packages: ['a'] });
  expect(debianSpec({ suite: 'trixie', packages: ['a'] })).toBe(spec);
  expect(debianSpec({ suite: 'sid', packages: ['a'] })).not.toBe(spec);
  expect(debianSpec({ suite: 'trixie', packages: ['a', 'b'] })).not.toBe(spec);
});

test('what apt-get --simulate says (apt 2.6)', () => {
  expect(
    parseSimulated(
      'NOTE: This is only a simulation!\nInst gcc-14-base (14.2.0-19 Debian:13.8/stable [amd64])\nInst libc6 (2.41-12 Debian:13.8/stable [amd64]) []\nInst x [1.0] (1.1 Debian [all])\nConf libc6 (2.41-12 Debian:13.8/stable [amd64])\n',
    ),
  ).toEqual({ 'gcc-14-base': '14.2.0-19', libc6: '2.41-12', x: '1.1' });
  expect(parseSimulated('')).toEqual({});
});

test.each([
  [{ a: '1', b: '2' }, { a: '1', b: '2', more: '3' }, true],
  [{ a: '1', b: '2' }, { a: '1', b: '3' }, false],
  [{ a: '1', b: '2' }, { a: '1' }, false],
])('%j installed and %j given: unchanged is %j', (installed, given, unchanged) => {
  expect(isStillGiven(installed, given)).toBe(unchanged);
});

test('what dpkg has installed', () => {
  expect(
    parseStatus(
      'Package: a\nStatus: install ok installed\nVersion: 1:2-3\nDescription: x\n Package: no\n\nPackage: b\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: c\nVersion: 2\nStatus: install ok installed\n',
    ),
  ).toEqual({ a: '1:2-3', c: '2' });
});

test('what is made up while packages are set up, or is of the host, goes', async () => {
  const tree = new Tree();
  const paths = [
    'etc/ssh/ssh_host_rsa_key',
    'etc/ssh/sshd_config',
    'var/log/apt/history.log',
    'var/lib/apt/lists/x_Packages',
    'var/cache/apt/pkgcache.bin',
    'etc/hostname',
    'etc/resolv.conf',
    'tmp/x',
    'etc/passwd-',
    'var/lib/dpkg/status',
    'var/lib/dpkg/status-old',
  ];
  for (const path of paths) tree.put(path, fileNode('x'));
  tree.put('etc/machine-id', fileNode('0123456789abcdef'));
  tree.put('var/lib/dbus/machine-id', linkNode('/etc/machine-id'));
  tree.put('etc/shadow', fileNode('root:*:20400:0:99999:7:::\n', 0o640, { gid: 42 }));
  await tidyDebian(tree);
  expect([...tree.walk()].flatMap(({ path, node }) => (node.kind === 'folder' ? [] : [path]))).toEqual([
    'etc/machine-id',
    'etc/shadow',
    'etc/ssh/sshd_config',
    'var/lib/dpkg/status',
  ]);
  expect(await tree.text('etc/machine-id')).toBe('');
  expect(await tree.text('etc/shadow')).toBe('root:*:19723:0:99999:7:::\n');
  expect(tree.at('etc/shadow')).toMatchObject({ mode: 0o640, gid: 42 });
  expect(tree.at('var/lib/apt/lists/partial')?.kind).toBe('folder');
});
