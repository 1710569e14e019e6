import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { paxRecord } from '../tar/pax.ts';
import { tarOf } from '../tar/testing/tars.ts';
import type { TarPart } from '../tar/testing/tars.ts';
import { BufferSource } from './byte-source.ts';
import { openTar } from './tar-backend.ts';
import { walk } from './testing/walk.ts';
import type { Seen } from './testing/walk.ts';
import { BackedTree } from './tree.ts';
import type { Tree } from './tree.ts';

async function treeOf(archive: Buffer): Promise<Tree> {
  const opened = await openTar(new BufferSource(archive));
  if (!opened.ok) throw new Error(opened.say);
  return new BackedTree(opened.backend);
}
const seen = async (entries: readonly TarPart[]): Promise<Map<string, Seen>> => walk(await treeOf(tarOf(entries)));
const say = async (archive: Buffer): Promise<string> => {
  const opened = await openTar(new BufferSource(archive));
  return opened.ok ? 'opened' : opened.say;
};
const text = async (tree: Tree, path: string): Promise<string> => {
  const content = await tree.read(path, 1000);
  return content.is === 'there' ? Buffer.from(content.bytes).toString() : content.is;
};

describe('a tar', () => {
  test('files, folders, links, devices', async () => {
    const tree = await treeOf(
      tarOf([
        { name: './', type: '5', mode: 0o755 },
        { name: './etc/', type: '5', mode: 0o700 },
        { name: './etc/passwd', data: 'root' },
        { name: './sbin/init', type: '2', link: '../lib/systemd', mode: 0o777 },
        { name: './lib/systemd', data: '#!/bin/sh\n', mode: 0o755 },
        { name: './lib/same', type: '1', link: './lib/systemd' },
        { name: './dev/null', type: '3' },
      ]),
    );
    expect(await tree.stat('/etc')).toMatchObject({ node: { kind: 'folder', mode: 0o700 } });
    expect(await text(tree, '/etc/passwd')).toBe('root');
    expect(await tree.lstat('/sbin/init')).toMatchObject({ node: { kind: 'symlink', target: '../lib/systemd' } });
    expect(await tree.stat('/sbin/init')).toMatchObject({ path: '/lib/systemd', node: { mode: 0o755, bytes: 10 } });
    expect(await text(tree, '/lib/same')).toBe('#!/bin/sh\n');
    expect(await tree.stat('/dev/null')).toMatchObject({ node: { kind: 'device' } });
    expect(await tree.list('/sbin')).toMatchObject({ entries: [{ name: 'init', kind: 'symlink' }] });
  });

  const long = `${'a-long-folder/'.repeat(12)}file`;
  test.each<[string, TarPart[]]>([
    ['by prefix', [{ name: 'file', prefix: 'a-long-folder/'.repeat(11).slice(0, -1), data: 'x' }]],
    [
      'as GNU writes them',
      [
        { name: '././@LongLink', type: 'L', data: `${long}\0`, gnu: true },
        { name: long.slice(0, 99), data: 'x', gnu: true },
      ],
    ],
    [
      'as pax writes them',
      [
        { name: 'PaxHeaders/x', type: 'x', data: Buffer.concat([paxRecord('mtime', '1.5'), paxRecord('path', long)]) },
        { name: 'x', data: 'x' },
      ],
    ],
  ])('long names %s', async (_, entries) => {
    const paths = [...(await seen(entries)).keys()].filter((path) => path.endsWith('/file'));
    expect(paths).toHaveLength(1);
    expect(paths[0]!.length).toBeGreaterThan(140);
  });

  test('a later entry replaces an earlier one, and a folder keeps what is in it', async () => {
    const all = await seen([
      { name: 'a/x', data: '1' },
      { name: 'a/x', data: '22' },
      { name: 'a/', type: '5', mode: 0o711 },
    ]);
    expect(all.get('/a')).toMatchObject({ mode: 0o711 });
    expect(all.get('/a/x')).toMatchObject({ bytes: 2 });
  });

  test('names that lead out of it are passed over', async () => {
    expect([
      ...(
        await seen([
          { name: '../../etc/passwd', data: 'x' },
          { name: 'a/../../b', data: 'x' },
          { name: '/abs', data: 'x' },
        ])
      ).keys(),
    ]).toEqual(['/', '/abs']);
  });

  test('a hard link to nowhere, and to itself, cannot be read', async () => {
    const tree = await treeOf(
      tarOf([
        { name: 'a', type: '1', link: 'b' },
        { name: 'c', type: '1', link: 'c' },
      ]),
    );
    expect(await tree.stat('/a')).toMatchObject({ is: 'unreadable' });
    expect(await tree.stat('/c')).toMatchObject({ is: 'unreadable' });
  });

  test('what stands below a link is not claimed to be known', async () => {
    const tree = await treeOf(
      tarOf([
        { name: 'lib', type: '2', link: 'usr/lib' },
        { name: 'lib/x', data: 'x' },
        { name: 'usr/lib/', type: '5' },
      ]),
    );
    expect(await tree.stat('/lib')).toMatchObject({ path: '/usr/lib' });
  });

  test('what is damaged is refused', async () => {
    const good = tarOf([{ name: 'a', data: 'x' }]);
    const changed = Buffer.from(good);
    changed[3] = 1;
    expect(await say(good)).toBe('opened');
    expect(await say(changed)).toContain('no tar header');
    expect(await say(tarOf([{ name: 'a', data: 'x' }], false))).toContain('cut short');
    expect(await say(tarOf([{ name: 'L', type: 'L', data: 'x'.repeat(2_000_000) }]))).toContain('header has 2000000 bytes');
  });

  test('no bytes make it throw or go on for ever', async () => {
    const good = tarOf([
      { name: 'PaxHeaders/x', type: 'x', data: Buffer.concat([paxRecord('path', long), paxRecord('size', '5')]) },
      { name: 'a', data: 'hello' },
      { name: 'b', type: '1', link: 'a' },
      { name: 'c', type: '2', link: 'b' },
    ]);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: good.length - 1 }), fc.integer({ min: 0, max: 255 })), { maxLength: 12 }),
        async (changes) => {
          const changed = Buffer.from(good);
          for (const [at, value] of changes) changed[at] = value;
          for (let at = 0; at + 512 <= changed.length; at += 512) {
            // The sum made right again, so that the change is looked at.
            const header = changed.subarray(at, at + 512);
            if (header.toString('latin1', 257, 262) !== 'ustar') continue;
            header.write(' '.repeat(8), 148);
            header.write(
              header
                .reduce((sum, byte) => sum + byte, 0)
                .toString(8)
                .padStart(6, '0'),
              148,
            );
          }
          const opened = await openTar(new BufferSource(changed));
          if (opened.ok) expect((await walk(new BackedTree(opened.backend))).size).toBeLessThan(200);
        },
      ),
      { numRuns: 500 },
    );
  });
});
