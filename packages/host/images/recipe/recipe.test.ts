import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { recipeSchema, recipeSource } from '@linstock/contract';
import { Tree, fileNode, folderNode, linkNode } from '../tree/tree.ts';
import { applyStage, removeLeftOut } from './apply.ts';
import { sandboxArgv } from './commands.ts';
import { builtInRecipes, loadRecipe } from './load.ts';
import type { LoadedRecipe } from './load.ts';
import { skopeoArgv } from './registry.ts';

const builtIn = fileURLToPath(new URL('../../../../guest/images', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recipe-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(name: string, content: unknown): Promise<void> {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
}
const load = (named: string): Promise<LoadedRecipe> => loadRecipe(named, { builtIn, cwd: folder });

test.each([
  ['scratch', { is: 'scratch' }],
  ['debian:trixie', { is: 'debian', suite: 'trixie' }],
  ['debian:', null],
  ['debian:a b', null],
  ['oci:./x', { is: 'image', path: './x' }],
  ['docker-archive:/x.tar', { is: 'image', path: '/x.tar' }],
  ['docker://alpine', { is: 'registry', reference: 'docker://alpine' }],
  [
    'docker://registry.example:5000/a/b:1.2@sha256:' + 'a'.repeat(64),
    { is: 'registry', reference: 'docker://registry.example:5000/a/b:1.2@sha256:' + 'a'.repeat(64) },
  ],
  ['docker://--option', null],
  ['docker://a b', null],
  ['docker:alpine', null],
  ['base', { is: 'recipe', named: 'base' }],
  ['./mine.json', { is: 'recipe', named: './mine.json' }],
  ['Base', null],
  ['', null],
])('from %j', (from, source) => {
  expect(recipeSource(from)).toEqual(source);
});

test.each<[string, Record<string, unknown>, RegExp | null]>([
  ['the least', {}, null],
  ['an unknown key', { package: ['x'] }, /package/],
  ['a name that is none', { name: 'X' }, /name/],
  ['a package with an option', { packages: ['--x'] }, /Debian package/],
  ['a path that climbs', { files: [{ path: '../etc/x', text: '' }] }, /must be a path in the image/],
  ['two contents', { files: [{ path: 'x', text: '', link: 'y' }] }, /one of text, from, link and folder/],
  ['no content', { files: [{ path: 'x' }] }, /one of text, from, link and folder/],
  ['a file from outside', { files: [{ path: 'x', from: '../secret' }] }, /below the folder of the recipe/],
  ['a file by its absolute path', { files: [{ path: 'x', from: '/etc/shadow' }] }, /below the folder of the recipe/],
  ['an overlay from outside', { overlay: '..' }, /below the folder of the recipe/],
  ['a mode in other digits', { files: [{ path: 'x', text: '', mode: '788' }] }, /octal/],
  ['half a unit', { units: { enable: ['ssh'] } }, /whole name of a unit/],
  ['a password in the clear', { users: [{ name: 'a', password: 'secret' }] }, /hash/],
  ['a home with a colon', { users: [{ name: 'a', home: '/a:b' }] }, /absolute path/],
  ['a command without words', { commands: [[]] }, /commands/],
  ['an init that is no path', { init: 'systemd' }, /linstock/],
  ['a port that is none', { ports: [{ port: 0, level: 'tcp' }] }, /port/],
])('a recipe with %s', (_, more, problem) => {
  const parsed = recipeSchema.safeParse({ name: 'x', from: 'scratch', ...more });
  if (problem === null) expect(parsed.error).toBeUndefined();
  else expect(JSON.stringify(parsed.error?.issues)).toMatch(problem);
});

test('the recipes that come with Linstock', async () => {
  expect(await builtInRecipes(builtIn)).toEqual(['base', 'desktop']);
  const base = await load('base');
  expect(base).toMatchObject({
    name: 'base',
    source: { is: 'debian', suite: 'trixie' },
    init: '/sbin/init',
    agent: true,
    ports: [{ port: 22, level: 'tcp' }],
  });
  const desktop = await load('desktop');
  expect(desktop.stages.map((stage) => stage.name)).toEqual(['base', 'desktop']);
  expect(desktop.packages).toEqual(expect.arrayContaining([...base.packages, 'novnc']));
  expect(desktop.ports).toEqual([
    { port: 22, level: 'tcp' },
    { port: 6080, level: 'rfb' },
  ]);
  expect(desktop.machine.memoryMiB).toBeGreaterThan(base.machine.memoryMiB);
});

test('a chain: lists grow, what stands later wins, paths are of the file they stand in', async () => {
  await write('below/ground.json', {
    name: 'ground',
    from: 'docker-archive:image.tar',
    overlay: 'laid',
    machine: { memoryMiB: 512, vcpus: 2 },
    ports: [{ port: 80, level: 'tcp' }],
    bootArgs: { add: ['a'] },
    freeMiB: 10,
  });
  await write('below/laid/etc/x', 'x');
  await write('top.json', {
    name: 'top',
    from: './below/ground.json',
    files: [{ path: 'y', from: 'own.txt', mode: '4711', uid: 7 }],
    machine: { memoryMiB: 64 },
    ports: [{ port: 80, level: 'http' }],
    bootArgs: { add: ['b'], remove: ['c'] },
    sizeMiB: 99,
  });
  await write('own.txt', 'own');
  const loaded = await load('./top.json');
  expect(loaded).toMatchObject({
    name: 'top',
    source: { is: 'image', path: join(folder, 'below/image.tar') },
    init: 'linstock',
    ports: [{ port: 80, level: 'http' }],
    machine: { memoryMiB: 64, vcpus: 2 },
    bootArgs: { add: ['a', 'b'], replace: [], remove: ['c'] },
    size: { sizeMiB: 99 },
  });
  expect(loaded.stages.map(({ files }) => files.map(({ path }) => path))).toEqual([['etc', 'etc/x'], ['y']]);
  expect(loaded.stages[1]?.files[0]?.node).toMatchObject({ mode: 0o4711, uid: 7, data: Buffer.from('own') });
});

test('the digest is of all that goes in, and of nothing else', async () => {
  const digest = async (more: Record<string, unknown> = {}, text = 'x'): Promise<string> => {
    await write('overlay/etc/x', text);
    await write('digest.json', { name: 'd', from: 'scratch', overlay: 'overlay', ...more });
    return (await load('./digest.json')).digest;
  };
  const first = await digest();
  expect(await digest({ about: 'only words' })).toBe(first);
  expect(await digest({}, 'y')).not.toBe(first);
  expect(await digest({ hostname: 'h' })).not.toBe(first);
  expect(await digest({ ports: [{ port: 1, level: 'tcp' }] })).not.toBe(first);
  await digest();
  await chmod(join(folder, 'overlay/etc/x'), 0o755);
  expect(await digest()).not.toBe(first);
});

test('an overlay: links stay links, all belongs to root, what may be executed keeps that', async () => {
  await write('tools/bin/run', '#!/bin/sh\n');
  await chmod(join(folder, 'tools/bin/run'), 0o700);
  await symlink('/etc/shadow', join(folder, 'tools/leak'));
  await write('tools.json', { name: 't', from: 'scratch', overlay: 'tools' });
  const files = (await load('./tools.json')).stages[0]?.files;
  expect(files?.map(({ path, node }) => [path, node.kind, node.mode, node.uid])).toEqual([
    ['bin', 'folder', 0o755, 0],
    ['bin/run', 'file', 0o755, 0],
    ['leak', 'symlink', 0o777, 0],
  ]);
});

test.each<[string, string, unknown, RegExp]>([
  ['a name nobody knows', 'none', null, /There is no recipe none; there are: tiny, base, desktop/],
  ['a word that means nothing', 'Some Thing', null, /It is "Some Thing", which is neither a recipe/],
  ['a file that is not there', './absent.json', null, /There is no file .*absent\.json/],
  ['no JSON', './bad.json', '{', /bad\.json is not JSON/],
  [
    'what does not fit',
    './bad.json',
    { name: 'x', from: 'scratch', packages: ['A'] },
    /does not fit: packages\[0\]: must be the name of a Debian package/,
  ],
  ['a circle', './bad.json', { name: 'x', from: './bad.json' }, /made from itself/],
  ['packages without Debian', './bad.json', { name: 'x', from: 'scratch', packages: ['nano'] }, /Packages are of Debian \(nano\)/],
  ['an overlay that is not there', './bad.json', { name: 'x', from: 'scratch', overlay: 'absent' }, /overlay .* cannot be read \(ENOENT\)/],
  ['a source that means nothing', './bad.json', { name: 'x', from: 'ubuntu:24' }, /"from" of the recipe .*bad\.json is "ubuntu:24"/],
])('refused: %s', async (_, named, content, says) => {
  if (content !== null) await write('bad.json', content);
  await expect(load(named)).rejects.toMatchObject({ fault: { code: 'image-refused' }, message: expect.stringMatching(says) as string });
});

test('an image alone is a recipe that changes nothing, and is called after it', async () => {
  expect(await load('docker://example.org/team/Web_App:1.2')).toMatchObject({
    name: 'web-app',
    init: 'linstock',
    source: { is: 'registry' },
  });
  expect(await load('oci:./Some.Layout.tar')).toMatchObject({
    name: 'some-layout',
    source: { is: 'image', path: join(folder, 'Some.Layout.tar') },
  });
  expect(await load('oci:./42')).toMatchObject({ name: 'image' });
});

test('a stage in a tree: users own files, folders that are there stay, what is left out goes last', async () => {
  await write('stage.json', {
    name: 's',
    from: 'scratch',
    users: [{ name: 'ann', groups: ['staff'] }],
    files: [
      { path: 'home/ann/notes', text: 'n', uid: 1000, gid: 1000, mode: '600' },
      { path: 'lib', folder: true },
      { path: 'lib/own', text: '' },
      { path: 'srv', folder: true, mode: '700' },
    ],
    hostname: 'host',
    units: { mask: ['x.timer'] },
    remove: ['usr/lib/heavy*'],
  });
  const tree = new Tree();
  tree.put('etc/passwd', fileNode('root:x:0:0::/root:/bin/sh\n'));
  tree.put('etc/group', fileNode('staff:x:50:\n'));
  tree.put('etc/shadow', fileNode('root:*:1:0:99999:7:::\n', 0o640, { gid: 42 }));
  tree.put('etc/skel/.profile', fileNode('p'));
  tree.put('usr/lib/heavy.so', fileNode(''));
  tree.put('lib', linkNode('usr/lib'));
  tree.put('srv', folderNode(0o755));
  tree.put('srv/kept', fileNode(''));
  const [stage] = (await load('./stage.json')).stages;
  if (stage === undefined) throw new Error('no stage');
  await applyStage(tree, stage);
  removeLeftOut(tree, stage);
  expect(tree.at('home/ann')).toMatchObject({ kind: 'folder', uid: 1000, gid: 1000 });
  expect(tree.at('home/ann/.profile')).toMatchObject({ uid: 1000 });
  expect(tree.at('home/ann/notes')).toMatchObject({ uid: 1000, mode: 0o600 });
  expect(tree.at('lib')?.kind).toBe('symlink');
  expect(tree.at('usr/lib/own')?.kind).toBe('file');
  expect(tree.at('srv')).toMatchObject({ mode: 0o700 });
  expect(tree.at('srv/kept')?.kind).toBe('file');
  expect(tree.at('etc/shadow')).toMatchObject({ mode: 0o640, gid: 42 });
  expect(await tree.text('etc/group')).toContain('staff:x:50:ann');
  expect(await tree.text('etc/hostname')).toBe('host\n');
  expect(tree.at('etc/systemd/system/x.timer')).toMatchObject({ target: '/dev/null' });
  expect(tree.at('usr/lib/heavy.so')).toBeUndefined();
  // the same stage again, on another tree: nothing of the first is in it
  const other = new Tree();
  other.put('etc/group', fileNode('staff:x:50:\n'));
  await applyStage(other, stage);
  expect(other.at('lib/own')).not.toBe(tree.at('usr/lib/own'));
});

test('command lines: words stay words, and options end before what a recipe says', () => {
  const argv = sandboxArgv('/a root', ['sh', '-c', 'x; y', '--bind']);
  expect(argv.slice(argv.indexOf('--'))).toEqual(['--', 'sh', '-c', 'x; y', '--bind']);
  expect(argv.slice(argv.indexOf('--bind'), argv.indexOf('--bind') + 3)).toEqual(['--bind', '/a root', '/']);
  for (const wall of ['--unshare-net', '--unshare-pid', '--die-with-parent', '--clearenv', '--remount-ro']) expect(argv).toContain(wall);
  expect(argv).not.toContain('CAP_SYS_ADMIN');
  expect(skopeoArgv('docker://x', '/l')).toEqual([
    'skopeo',
    '--override-os',
    'linux',
    '--override-arch',
    'amd64',
    'copy',
    '--quiet',
    '--retry-times',
    '2',
    'docker://x',
    'oci:/l',
  ]);
});
