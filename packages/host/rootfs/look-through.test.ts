import { expect, test } from 'vitest';
import type { ImageView } from '@linstock/core';
import { lookThrough } from './look-through.ts';
import { BackedTree, unreadable } from './tree.ts';
import type { Backend, Tree } from './tree.ts';

/** Folders of one file each, whose text names the next folder. */
function chain(length: number, asked: string[]): Tree {
  const answer = (path: string): boolean => Number(/^\/(\d+)$/.exec(path)?.[1] ?? length) < length;
  const absent = { is: 'absent', path: '', loop: false } as const;
  return {
    stat: () => Promise.resolve(absent),
    lstat: () => Promise.resolve(absent),
    list: () => Promise.resolve(absent),
    read: (path) => {
      asked.push(path);
      const next = Buffer.from(String(Number(path.slice(1)) + 1));
      return Promise.resolve(answer(path) ? { is: 'there', path, bytes: next, cut: false } : absent);
    },
  };
}

function follow(view: ImageView): string[] {
  const way = ['0'];
  for (;;) {
    const content = view.read(`/${way.at(-1) ?? ''}`, 100);
    if (content.is !== 'there') return [...way, content.is];
    way.push(Buffer.from(content.bytes).toString());
  }
}

test('what each answer names is asked for, each question once', async () => {
  const asked: string[] = [];
  expect(await lookThrough(chain(5, asked), follow)).toEqual(['0', '1', '2', '3', '4', '5', 'absent']);
  expect(asked).toEqual(['/0', '/1', '/2', '/3', '/4', '/5']);
});

test('what leads on for ever ends with "cannot be read"', async () => {
  const way = await lookThrough(chain(Infinity, []), follow);
  expect(way.at(-1)).toBe('unreadable');
  expect(way.length).toBeLessThan(100);
});

test('a folder whose names were not all read makes a missing name unknown, not absent', async () => {
  const backend: Backend<string> = {
    root: '/',
    node: () => Promise.resolve({ kind: 'folder', mode: 0o755, uid: 0, bytes: 0, target: null }),
    children: (at) =>
      Promise.resolve(at === '/' ? { names: new Map([['a', { at: 'a', kind: 'folder' }]]), whole: false } : unreadable('broken')),
    content: () => Promise.resolve(unreadable('broken')),
  };
  const tree = new BackedTree(backend);
  expect(await tree.stat('/a')).toMatchObject({ is: 'there' });
  expect(await tree.stat('/b')).toMatchObject({ is: 'unreadable' });
  expect(await tree.list('/')).toMatchObject({ is: 'unreadable' });
  expect(await tree.stat('/a/b')).toMatchObject({ is: 'unreadable', why: 'broken' });
});
