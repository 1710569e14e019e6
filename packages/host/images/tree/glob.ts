/** Removes what a pattern names: `*` and `?` within a name, `**` for any number of folders. Links are not followed. */
import type { Folder, Tree } from './tree.ts';

/** How many names were removed. */
export function removeMatches(tree: Tree, pattern: string): number {
  const parts = pattern.split('/').filter((part) => part !== '');
  return removeIn(tree.root, parts);
}

function removeIn(folder: Folder, [part, ...rest]: readonly string[]): number {
  if (part === undefined) return 0;
  let removed = 0;
  const fits = nameMatcher(part === '**' ? '*' : part);
  // `**` may stand for no folder at all
  if (part === '**' && rest.length > 0) removed += removeIn(folder, rest);
  for (const [name, node] of folder.children) {
    if (!fits(name)) continue;
    if (rest.length === 0) {
      folder.children.delete(name);
      removed += 1;
    } else if (node.kind === 'folder') removed += removeIn(node, part === '**' ? [part, ...rest] : rest);
  }
  return removed;
}

/** Two pointers instead of an expression of regexes: no pattern makes it slow. */
export function nameMatcher(pattern: string): (name: string) => boolean {
  const wanted = [...pattern];
  return (name) => {
    const letters = [...name];
    let p = 0;
    let star = -1;
    let from = 0;
    for (let at = 0; at < letters.length;) {
      if (wanted[p] === '?' || (wanted[p] !== '*' && wanted[p] === letters[at])) {
        p += 1;
        at += 1;
      } else if (wanted[p] === '*') {
        star = p;
        from = at;
        p += 1;
      } else if (star >= 0) {
        p = star + 1;
        from += 1;
        at = from;
      } else return false;
    }
    while (wanted[p] === '*') p += 1;
    return p === wanted.length;
  };
}
