import { expect, test } from 'vitest';
import { Tree, fileNode, folderNode, linkNode, normalPath } from './tree.ts';

test.each([
  ['/usr//bin/./x/', 'usr/bin/x'],
  ['./', ''],
  ['a/../b', null],
  ['..', null],
  ['a\0b', null],
  ['n'.repeat(255), 'n'.repeat(255)],
  ['n'.repeat(256), null],
  ['é'.repeat(128), null],
  [Array.from({ length: 3000 }, () => 'ab').join('/'), null],
])('%j is %j', (path, normal) => {
  expect(normalPath(path)).toBe(normal);
});

/** A tree of Debian's kind: /lib is a link, and some links lead astray. */
function sample(): Tree {
  const tree = new Tree();
  tree.put('usr/lib/x', fileNode('x'));
  tree.put('lib', linkNode('usr/lib'));
  tree.put('abs', linkNode('/usr/lib'));
  tree.put('out', linkNode('../../../usr'));
  tree.put('a', linkNode('b'));
  tree.put('b', linkNode('a'));
  tree.put('file', fileNode('f'));
  return tree;
}

test.each([
  ['lib/x', 'file'],
  ['abs/x', 'file'],
  ['out/lib/x', 'file'], // above the root there is nothing: as for a guest
  ['lib', 'symlink'],
  ['a/x', undefined],
  ['file/x', undefined],
  ['usr/none', undefined],
  ['', 'folder'],
])('at %j there is %j', (path, kind) => {
  expect(sample().at(path)?.kind).toBe(kind);
});

test('a name is put where links lead, and missing folders are made', () => {
  const tree = sample();
  tree.put('lib/new/file', fileNode('n'));
  expect(tree.at('usr/lib/new/file')?.kind).toBe('file');
  expect(tree.at('lib')?.kind).toBe('symlink');
  expect(() => tree.put('a/x', fileNode(''))).toThrow(/round in circles/);
  expect(() => tree.put('file/x', fileNode(''))).toThrow(/"file" on its way is no folder/);
  expect(() => tree.put('', fileNode(''))).toThrow(/root of the image is no folder/);
});

test('a folder on a folder keeps what is in it; anything else takes the place', () => {
  const tree = sample();
  tree.put('usr/lib', folderNode(0o700, { uid: 5 }));
  expect(tree.at('usr/lib')).toMatchObject({ mode: 0o700, uid: 5 });
  expect(tree.at('usr/lib/x')?.kind).toBe('file');
  tree.put('usr/lib', fileNode('now a file'));
  expect(tree.at('usr/lib/x')).toBeUndefined();
});

test('two names of one file are one file; a folder has one name', () => {
  const tree = sample();
  expect(tree.link('second', 'lib/x')).toBe(true);
  expect(tree.at('second')).toBe(tree.at('usr/lib/x'));
  expect(tree.link('third', 'usr')).toBe(false);
  expect(tree.link('third', 'absent')).toBe(false);
});

test('removing takes the link and not what it leads to', () => {
  const tree = sample();
  expect(tree.remove('lib')).toBe(true);
  expect(tree.remove('lib')).toBe(false);
  expect(tree.remove('abs/x')).toBe(true);
  expect(tree.at('usr/lib/x')).toBeUndefined();
});

test('the order is that of bytes, folders before what is in them', () => {
  const tree = new Tree();
  for (const path of ['b', 'a/z', 'a/B', 'a.b', 'é', '\u{1f600}', '\uff21']) tree.put(path, fileNode(''));
  expect([...tree.walk()].map(({ path }) => path)).toEqual(['a', 'a/B', 'a/z', 'a.b', 'b', 'é', '\uff21', '\u{1f600}']);
});

test('paths that links make too long for a guest are refused', () => {
  const tree = new Tree();
  const deep = Array.from({ length: 1000 }, () => 'abc').join('/');
  tree.put(`${deep}/x`, fileNode(''));
  tree.put('short', linkNode(deep));
  expect(() => tree.put(`short/${'n'.repeat(200)}/x`, fileNode(''))).toThrow(/longer than a guest could open/);
});
