/** What every check gets: the text files of the repository, and what it says when something is wrong. */
import { parseAst } from 'vitest/node';

/** Path relative to the root, with `/` → text. */
export type Tree = ReadonlyMap<string, string>;

/** One line each: what is wrong, why that matters, what to do instead. */
export type Problem = { file: string; line: number | null; what: string; why: string; fix: string };

/** Pure: a tree in, problems out. */
export type Check = (tree: Tree) => readonly Problem[];

export type Node = { type: string; start: number; end: number; readonly [key: string]: unknown };

export function sentenceOf(problem: Problem): string {
  return `${problem.file}${problem.line === null ? '' : `:${problem.line}`}: ${problem.what}: ${problem.why}; ${problem.fix}`;
}

export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

/** Our own TypeScript sources. */
export function sources(tree: Tree): [path: string, text: string][] {
  return [...tree].filter(([path]) => path.endsWith('.ts') && !path.endsWith('.d.ts'));
}

/** Tests and what only tests and developers run (a folder `testing/` of a package): other rules hold there. */
export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || /^(?:test|bench|lab)\//.test(path) || /^packages\/(?:testkit\/|.*\/testing\/)/.test(path);
}

/** `packages/core/vm.ts` → `core`; null outside packages. */
export function packageOf(path: string): string | null {
  return /^packages\/([^/]+)\//.exec(path)?.[1] ?? null;
}

const parsed = new WeakMap<Tree, Map<string, Node>>();

/** The syntax tree of one file, parsed once per tree. A file that does not parse has none: `tsc` says so better than we would. */
export function syntaxOf(tree: Tree, path: string): Node | null {
  const known = parsed.get(tree) ?? new Map<string, Node>();
  parsed.set(tree, known);
  const before = known.get(path);
  if (before !== undefined) return before;
  try {
    const ast: unknown = parseAst(tree.get(path) ?? '', { lang: 'ts' });
    if (!isNode(ast)) return null;
    known.set(path, ast);
    return ast;
  } catch {
    // A syntax error is reported by tsc, which the same command runs.
    return null;
  }
}

/** Each node of a syntax tree, parents first. */
export function* nodesOf(node: Node): Generator<Node> {
  yield node;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (isNode(child)) yield* nodesOf(child);
    }
  }
}

export function isNode(value: unknown): value is Node {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    typeof value.type === 'string' &&
    'start' in value &&
    typeof value.start === 'number'
  );
}

/** A child of a node, when it is a node of one of these types. */
export function child(node: Node, key: string, ...types: string[]): Node | null {
  const value = node[key];
  return isNode(value) && (types.length === 0 || types.includes(value.type)) ? value : null;
}

/** `Date.now` → `Date.now`; null for anything but one plain name and one plain member. */
export function memberName(node: Node): string | null {
  if (node.type !== 'MemberExpression' || node['computed'] === true) return null;
  const object = child(node, 'object', 'Identifier');
  const property = child(node, 'property', 'Identifier');
  return object === null || property === null ? null : `${String(object['name'])}.${String(property['name'])}`;
}

/** For tests: a tree of a few files. */
export function treeOf(files: Readonly<Record<string, string>>): Tree {
  return new Map(Object.entries(files));
}
