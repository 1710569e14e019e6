import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { TarPart } from '../../tar/testing/tars.ts';
import { tarOf } from '../../tar/testing/tars.ts';
import { bytesOf, fileNode, Tree } from '../tree/tree.ts';
import { treeOfImage } from './layers.ts';
import { openImage } from './layout.ts';
import { startOf } from './start.ts';
import { archiveOf, layoutOf, saveOf, sha256, writeLayout } from './testing/layouts.ts';
import type { LayoutParts } from './testing/layouts.ts';

let root: string;
let folder: string;
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'oci-'));
});
beforeEach(async () => {
  folder = join(root, String((count += 1)));
  await mkdir(join(folder, 'scratch'), { recursive: true });
});
afterAll(() => rm(root, { recursive: true }));

const at = (name: string): string => join(folder, name);
async function unpacked(path: string, mostBytes?: number): Promise<Tree> {
  return treeOfImage(await openImage(path), 'the image', at('scratch'), mostBytes === undefined ? {} : { mostBytes });
}
async function fromLayers(...layers: TarPart[][]): Promise<string[]> {
  await writeLayout(layoutOf([{ layers }]), at('layout'));
  return [...(await unpacked(at('layout'))).walk()].map(({ path, node }) => (node.kind === 'symlink' ? `${path} -> ${node.target}` : path));
}
const refused = (says: RegExp): object => ({ fault: { code: 'image-refused' }, message: expect.stringMatching(says) as string });

const sample: LayoutParts = {
  layers: [
    [
      { name: 'bin/', type: '5' },
      { name: 'bin/sh', data: 'one' },
    ],
    [{ name: 'bin/sh', data: 'two' }],
  ],
};

test.each(['gzip', 'zstd', 'plain'] as const)('an OCI layout, layers %s: as a folder and as an archive', async (packed) => {
  const files = layoutOf([{ ...sample, packed }]);
  await writeLayout(files, at('layout'));
  await writeFile(at('layout.tar'), archiveOf(files));
  for (const path of [at('layout'), at('layout.tar')]) {
    const node = (await unpacked(path)).at('bin/sh');
    expect(node?.kind === 'file' ? (await bytesOf(node.data)).toString() : '').toBe('two');
    await rm(at('scratch'), { recursive: true });
    await mkdir(at('scratch'));
  }
});

test('what docker save wrote, a layer of it a link', async () => {
  await writeFile(at('save.tar'), tarOf(saveOf(sample)));
  expect((await unpacked(at('save.tar'))).at('bin/sh')?.kind).toBe('file');
  expect((await openImage(at('save.tar'))).digest).toMatch(/^sha256:/);
});

test('what a later layer removes is gone, whatever the order in its archive', async () => {
  expect(
    await fromLayers(
      [{ name: 'a/one' }, { name: 'a/two' }, { name: 'b/three' }, { name: 'c' }, { name: 'd/old' }],
      // the new name stands before the mark that empties its folder, and survives
      [
        { name: 'a/.wh.one' },
        { name: 'b/new' },
        { name: 'b/.wh..wh..opq' },
        { name: '.wh.c' },
        { name: 'c/', type: '5' },
        { name: 'c/x' },
        { name: 'd/.wh..wh.plnk' },
        { name: 'd/.wh.' },
      ],
    ),
  ).toEqual(['a', 'a/two', 'b', 'b/new', 'c', 'c/x', 'd', 'd/old']);
});

test('a removal goes through links, and no further than the tree', async () => {
  expect(
    await fromLayers(
      [
        { name: 'usr/lib/x' },
        { name: 'lib', type: '2', link: 'usr/lib' },
        { name: 'out', type: '2', link: '/../../..' },
        { name: 'etc/y' },
      ],
      [{ name: 'lib/.wh.x' }, { name: 'out/etc/.wh.y' }, { name: 'lib/new' }],
    ),
  ).toEqual(['etc', 'lib -> usr/lib', 'out -> /../../..', 'usr', 'usr/lib', 'usr/lib/new']);
});

test('kinds take each other’s place: a folder, a file, a link', async () => {
  expect(
    await fromLayers(
      [{ name: 'a/x' }, { name: 'b' }],
      [
        { name: 'a', type: '2', link: '/b' },
        { name: 'b/', type: '5' },
      ],
    ),
  ).toEqual(['a -> /b', 'b']);
});

test('hostile links stay text: nothing is written but the layers in the scratch folder', async () => {
  await mkdir(at('layout'));
  await fromLayers([
    { name: 'etc', type: '2', link: '../../../../../tmp' },
    { name: 'etc/cron.d/evil', data: '* * * * * root true' },
    { name: 'self', type: '2', link: '.' },
    { name: 'self/self/self/x' },
  ]);
  expect((await readdir(folder)).toSorted()).toEqual(['layout', 'scratch']);
  expect(await readdir(at('scratch'))).toEqual([]); // a layer that is not compressed is read where it lies
});

test.each<[string, (files: Map<string, Buffer>) => void, RegExp]>([
  ['no index', (files) => files.delete('index.json'), /no container image/],
  ['an index that is no JSON', (files) => files.set('index.json', Buffer.from('{')), /"index\.json" is not JSON/],
  [
    'an index of another shape',
    (files) => files.set('index.json', Buffer.from('{"manifests":[{"digest":"sha256:../../../etc/passwd","size":1}]}')),
    /manifests\[0\]\.digest: must be a sha256 digest/,
  ],
  ['an empty index', (files) => files.set('index.json', Buffer.from('{"manifests":[]}')), /does not hold just one image/],
  ['a blob that is not there', (files) => files.delete([...files.keys()].find((name) => name.startsWith('blobs/')) ?? ''), /incomplete/],
  [
    'a blob with other bytes',
    (files) => {
      const [name, bytes] = [...files].find(([key]) => key.startsWith('blobs/')) ?? ['', Buffer.alloc(0)];
      files.set(name, Buffer.from(bytes.map((byte, index) => (index === 600 ? byte + 1 : byte))));
    },
    /not what its digest says/,
  ],
  [
    'a blob that is shorter',
    (files) => {
      const [name, bytes] = [...files].find(([key]) => key.startsWith('blobs/')) ?? ['', Buffer.alloc(0)];
      files.set(name, bytes.subarray(1));
    },
    /has \d+ bytes instead of \d+/,
  ],
])('refused: %s', async (_, damage, says) => {
  const files = layoutOf([sample]);
  damage(files);
  await writeLayout(files, at('layout'));
  await expect(unpacked(at('layout'))).rejects.toMatchObject(refused(says));
});

test('a layer that unpacks to other bytes than the configuration says', async () => {
  const parts = saveOf(sample).map((part) => (part.name === 'layer1/layer.tar' ? { ...part, data: tarOf([{ name: 'evil' }]) } : part));
  await writeFile(at('save.tar'), tarOf(parts));
  await expect(unpacked(at('save.tar'))).rejects.toMatchObject(refused(/Layer 2 of the image is not what its configuration says/));
});

test('a layer that unpacks to more than there may be is given up', async () => {
  await writeLayout(layoutOf([{ layers: [[{ name: 'zeros', data: Buffer.alloc(20 * 1024 * 1024) }]], packed: 'gzip' }]), at('layout'));
  await expect(unpacked(at('layout'), 1024 * 1024)).rejects.toMatchObject(refused(/unpacks to more than the 1 MiB that are allowed/));
  await rm(at('scratch'), { recursive: true });
  await mkdir(at('scratch'));
  expect((await unpacked(at('layout'), 21 * 1024 * 1024)).at('zeros')?.kind).toBe('file');
});

test('half a gzip stream', async () => {
  const files = layoutOf([{ ...sample, packed: 'gzip' }]);
  const index = JSON.parse(files.get('index.json')?.toString() ?? '') as { manifests: { digest: string; size: number }[] };
  const manifestName = `blobs/${index.manifests[0]?.digest.replace(':', '/')}`;
  const manifest = JSON.parse(files.get(manifestName)?.toString() ?? '') as { layers: { digest: string; size: number }[] };
  const layer = manifest.layers[0];
  const half = files.get(`blobs/${layer?.digest.replace(':', '/')}`)?.subarray(0, 60) ?? Buffer.alloc(0);
  files.set(`blobs/${sha256(half).replace(':', '/')}`, half);
  if (layer !== undefined) Object.assign(layer, { digest: sha256(half), size: half.length });
  const changed = Buffer.from(JSON.stringify(manifest));
  files.set(`blobs/${sha256(changed).replace(':', '/')}`, changed);
  files.set('index.json', Buffer.from(JSON.stringify({ manifests: [{ digest: sha256(changed), size: changed.length }] })));
  await writeLayout(files, at('layout'));
  await expect(unpacked(at('layout'))).rejects.toMatchObject(refused(/cannot be unpacked: it is damaged/));
});

test('a folder whose names or links lead out of it gives nothing from there', async () => {
  await mkdir(at('save'));
  await writeFile(at('secret.json'), '{}');
  await writeFile(at('save/manifest.json'), JSON.stringify([{ Config: '../secret.json', RepoTags: [], Layers: [] }]));
  await expect(openImage(at('save'))).rejects.toMatchObject(refused(/no file "\.\.\/secret\.json"/));
  await writeFile(at('save/manifest.json'), JSON.stringify([{ Config: 'link.json', RepoTags: [], Layers: [] }]));
  await symlink('../secret.json', at('save/link.json'));
  await expect(openImage(at('save'))).rejects.toMatchObject(refused(/no file "link\.json"/));
});

test.each<[string, readonly LayoutParts[], string, RegExp | null]>([
  ['the one image', [sample], '', null],
  [
    'the one for this platform',
    [
      { ...sample, platform: { os: 'linux', architecture: 'arm64' } },
      { ...sample, platform: { os: 'linux', architecture: 'amd64' } },
    ],
    '',
    null,
  ],
  [
    'beside what is for no platform',
    [
      { ...sample, platform: { os: 'unknown', architecture: 'unknown' } },
      { ...sample, platform: { os: 'linux', architecture: 'amd64' } },
    ],
    '',
    null,
  ],
  ['none for this platform', [{ ...sample, platform: { os: 'linux', architecture: 'arm64' } }], '', /holds no image for linux\/amd64/],
  [
    'two without a tag',
    [
      { ...sample, tag: 'a' },
      { ...sample, tag: 'b', config: {} },
    ],
    '',
    /Name one by its tag, .*:TAG; there are: a, b/,
  ],
  [
    'one of two by its tag',
    [
      { ...sample, tag: 'a' },
      { ...sample, tag: 'b', config: {} },
    ],
    ':b',
    null,
  ],
  ['a tag that is not there', [{ ...sample, tag: 'a' }], ':c', /there are: a/],
])('which image: %s', async (_, images, tag, says) => {
  await writeLayout(layoutOf(images), at('layout'));
  const opened = openImage(`${at('layout')}${tag}`);
  if (says === null) expect((await opened).layers).toHaveLength(2);
  else await expect(opened).rejects.toMatchObject(refused(says));
});

test('an image whose configuration is for another platform than its list said', async () => {
  const files = layoutOf([{ ...sample, platform: { os: 'linux', architecture: 'arm64' } }]);
  const index = (files.get('index.json')?.toString() ?? '').replace('arm64', 'amd64');
  await writeLayout(files.set('index.json', Buffer.from(index)), at('layout'));
  await expect(openImage(at('layout'))).rejects.toMatchObject(refused(/is for linux\/arm64/));
});

test.each<[string, Record<string, unknown>, object | RegExp]>([
  [
    'Entrypoint and Cmd',
    { Entrypoint: ['/run'], Cmd: ['a', 'b'] },
    { argv: ['/run', 'a', 'b'], cwd: '/', uid: 0, gid: 0, groups: [], stopSignal: 15 },
  ],
  ['PATH and HOME are there', { Cmd: ['x'] }, { env: [expect.stringMatching(/^PATH=/), 'HOME=/root'] }],
  ['those of the image win', { Cmd: ['x'], Env: ['PATH=/own', 'HOME=/h', 'A=b c', 'broken'] }, { env: ['PATH=/own', 'HOME=/h', 'A=b c'] }],
  [
    'a user by name, with its groups',
    { Cmd: ['x'], User: 'app' },
    { uid: 1000, gid: 1000, groups: [2000], env: [expect.anything(), 'HOME=/srv'] },
  ],
  ['a number nobody knows', { Cmd: ['x'], User: '65532:65532' }, { uid: 65_532, gid: 65_532 }],
  ['a name nobody knows', { Cmd: ['x'], User: 'nobody-here' }, /runs its program as "nobody-here"/],
  ['signals', { Cmd: ['x'], StopSignal: 'SIGQUIT' }, { stopSignal: 3 }],
  ['signals that are none', { Cmd: ['x'], StopSignal: '99' }, { stopSignal: 15 }],
  ['a relative folder', { Cmd: ['x'], WorkingDir: 'srv/app' }, { cwd: '/srv/app' }],
  ['nothing to start', { Env: [] }, /names no program to start/],
])('what is started: %s', async (_, config, expected) => {
  const tree = new Tree();
  tree.put('etc/passwd', fileNode('root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/srv:/bin/sh\n'));
  tree.put('etc/group', fileNode('app:x:1000:\nextra:x:2000:app,other\n'));
  await writeLayout(layoutOf([{ ...sample, config }]), at('layout'));
  const image = await openImage(at('layout'));
  if (expected instanceof RegExp) await expect(startOf(image.config, tree, 'The image')).rejects.toThrow(expected);
  else expect(await startOf(image.config, tree, 'The image')).toMatchObject(expected);
});
