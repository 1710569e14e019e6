/** Documents that must not drift: fault codes ↔ docs/errors.md, and links that lead somewhere. */
import { posix } from 'node:path';
import { child, isNode, lineAt, nodesOf, syntaxOf } from './tree.ts';
import type { Problem, Tree } from './tree.ts';

const CATALOGUE = 'packages/contract/faults.ts';
const ERRORS = 'docs/errors.md';

/** The keys of `export const faults = {…}`. */
export function faultCodes(tree: Tree): string[] {
  const ast = syntaxOf(tree, CATALOGUE);
  for (const node of ast === null ? [] : nodesOf(ast)) {
    if (node.type !== 'VariableDeclarator' || child(node, 'id', 'Identifier')?.['name'] !== 'faults') continue;
    const table = [...nodesOf(node)].find((part) => part.type === 'ObjectExpression');
    const properties: unknown = table?.['properties'];
    return (Array.isArray(properties) ? (properties as unknown[]) : []).filter(isNode).map((property) => {
      const key = child(property, 'key');
      const name = key?.['value'] ?? key?.['name'];
      return typeof name === 'string' ? name : '';
    });
  }
  return [];
}

export function checkErrorsDocument(tree: Tree): readonly Problem[] {
  const codes = faultCodes(tree);
  if (codes.length === 0)
    return [
      {
        file: CATALOGUE,
        line: null,
        what: 'has no fault codes',
        why: 'docs/errors.md is compared with `export const faults = {…}`',
        fix: 'keep that table there, or teach tools/checks/documents.ts the new place',
      },
    ];
  const text = tree.get(ERRORS);
  if (text === undefined)
    return [
      {
        file: ERRORS,
        line: null,
        what: 'does not exist',
        why: 'each fault code needs cause and remedy',
        fix: 'write it, with a heading ## `code` per fault',
      },
    ];
  const headings = [...text.matchAll(/^## `([^`\n]+)`[ \t]*$/gm)].map((match) => ({
    code: match[1] ?? '',
    line: lineAt(text, match.index),
  }));
  const missing = codes.filter((code) => !headings.some((heading) => heading.code === code));
  return [
    ...missing.map((code) => ({
      file: ERRORS,
      line: null,
      what: `has no heading ## \`${code}\``,
      why: 'people look a code up here',
      fix: 'write its cause and remedy',
    })),
    ...headings
      .filter((heading, index) => !codes.includes(heading.code) || headings.findIndex((other) => other.code === heading.code) !== index)
      .map(({ code, line }) => ({
        file: ERRORS,
        line,
        what: `has a heading for \`${code}\``,
        why: codes.includes(code) ? 'there is one already' : 'no such fault exists',
        fix: 'remove it, or correct the code',
      })),
  ];
}

export function checkLinks(tree: Tree): readonly Problem[] {
  const folders = new Set<string>(['.']);
  for (const path of tree.keys())
    for (let folder = posix.dirname(path); folder !== '.'; folder = posix.dirname(folder)) folders.add(folder);
  const problems: Problem[] = [];
  for (const [path, whole] of tree) {
    if (!path.endsWith('.md')) continue;
    const text = blankCode(whole);
    for (const match of text.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|^\[[^\]\n]+\]:\s*(\S+)/gm)) {
      const target = match[1] ?? match[2] ?? '';
      const why = whyBroken(tree, folders, path, target);
      if (why !== null)
        problems.push({
          file: path,
          line: lineAt(text, match.index),
          what: `links to ${target}`,
          why,
          fix: 'correct the link, or add what it promises',
        });
    }
  }
  return problems;
}

function whyBroken(tree: Tree, folders: ReadonlySet<string>, from: string, target: string): string | null {
  if (/^[a-z][a-z0-9+.-]*:/i.test(target) || target.startsWith('//')) return null;
  const [file = '', anchor] = target.split('#');
  const path =
    file === ''
      ? from
      : posix.normalize(file.startsWith('/') ? file.slice(1) : posix.join(posix.dirname(from), decode(file))).replace(/\/$/, '');
  const text = tree.get(path);
  if (text === undefined) return folders.has(path) ? null : 'there is no such file';
  if (anchor === undefined || anchor === '' || !path.endsWith('.md')) return null;
  return anchorsOf(text).has(decode(anchor).toLowerCase()) ? null : `${path} has no such heading`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A stray percent sign: the text is then meant literally.
    return text;
  }
}

/** Anchors as GitHub makes them from headings; a repeated one gets `-1`, `-2`. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const match of text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '').matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const plain = (match[1] ?? '').replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    const slug = plain
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-');
    let name = slug;
    for (let again = 1; anchors.has(name); again += 1) name = `${slug}-${again}`;
    anchors.add(name);
  }
  return anchors;
}

/** Code may show what looks like a link; blanks keep the line numbers. */
function blankCode(text: string): string {
  return text.replaceAll(/^(```|~~~)[\s\S]*?^\1|`[^`\n]+`/gm, (code) => code.replaceAll(/[^\n]/g, ' '));
}
