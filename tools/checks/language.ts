/** How we write TypeScript: no `any`, no default export, no silent catch, files of a size that can be read. */
import { child, lineAt, nodesOf, sources, syntaxOf } from './tree.ts';
import type { Node, Problem, Tree } from './tree.ts';

/** The two seams where `any` is the honest type: a table of routes of all kinds, seen from both sides. */
export const mayUseAny: readonly string[] = ['packages/daemon/api/app.ts', 'packages/sdk/client.ts'];
/** Tools that look for a default export. */
export const mayExportDefault: readonly RegExp[] = [/(?:^|\/)[\w.-]+\.config\.ts$/, /^packages\/ui\/pages\//];
/** Past this a file hides a table or a second module. */
export const MOST_LINES = 600;

export function checkLanguage(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const [path, text] of sources(tree)) {
    const ast = syntaxOf(tree, path);
    for (const node of ast === null ? [] : nodesOf(ast)) {
      const wrong = judge(path, text, node);
      if (wrong !== null) problems.push({ file: path, line: lineAt(text, node.start), ...wrong });
    }
  }
  return problems;
}

export function checkSizes(tree: Tree): readonly Problem[] {
  return [...tree]
    .filter(([path]) => /\.(?:ts|go|sh)$/.test(path))
    .map(([path, text]) => ({ path, lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0) }))
    .filter(({ lines }) => lines > MOST_LINES)
    .map(({ path, lines }) => ({
      file: path,
      line: null,
      what: `has ${lines} lines`,
      why: `past ${MOST_LINES} nobody reads a file as a whole`,
      fix: 'look for the missing table or split off the part with its own name',
    }));
}

function judge(path: string, text: string, node: Node): Pick<Problem, 'what' | 'why' | 'fix'> | null {
  if (node.type === 'TSAnyKeyword' && !mayUseAny.includes(path)) {
    return {
      what: 'uses any',
      why: 'it switches the compiler off for all that it touches',
      fix: 'write unknown and parse it, or name the type',
    };
  }
  if (node.type === 'ExportDefaultDeclaration' && !mayExportDefault.some((pattern) => pattern.test(path))) {
    return { what: 'has a default export', why: 'everyone would give it another name', fix: 'export it by name' };
  }
  if (node.type === 'CatchClause' && isSilent(text, child(node, 'body'))) {
    return {
      what: 'catches silently',
      why: 'what nobody hears of cannot be repaired',
      fix: 'handle it, or write the sentence why it may be ignored into the block',
    };
  }
  if (isCatchCall(node)) {
    const handler = (node['arguments'] as unknown as readonly Node[])[0];
    const body = handler === undefined ? null : child(handler, 'body');
    const nothing =
      body !== null &&
      (isSilent(text, body) || (body.type !== 'BlockStatement' && /^(?:undefined|null|void 0)$/.test(text.slice(body.start, body.end))));
    if (nothing && !explainedNear(text, node)) {
      return {
        what: 'swallows a rejection',
        why: 'what nobody hears of cannot be repaired',
        fix: 'handle it, or write the sentence why it may be ignored beside it',
      };
    }
  }
  return null;
}

/** No statement, and no comment of at least a short sentence. */
function isSilent(text: string, body: Node | null): boolean {
  if (body === null || body.type !== 'BlockStatement') return false;
  const statements = body['body'];
  return Array.isArray(statements) && statements.length === 0 && !isSentence(text.slice(body.start + 1, body.end - 1));
}

function isSentence(comment: string): boolean {
  const words = comment
    .replaceAll(/[/*]+/g, ' ')
    .trim()
    .split(/\s+/)
    .filter((word) => /\p{L}/u.test(word));
  return words.length >= 4;
}

function isCatchCall(node: Node): boolean {
  const callee = node.type === 'CallExpression' ? child(node, 'callee', 'MemberExpression') : null;
  const given = node['arguments'];
  return callee !== null && child(callee, 'property', 'Identifier')?.['name'] === 'catch' && Array.isArray(given) && given.length === 1;
}

/** A comment on the line of the end of the call, or on the line before its statement. */
function explainedNear(text: string, node: Node): boolean {
  const lines = text.split('\n');
  const last = lineAt(text, node.end) - 1;
  const first = lineAt(text, node.start) - 1;
  const comments = [lines[last], lines[first - 1], lines[last - 1]].map((line) => /\/\/.*$|\/\*.*$|^\s*\*.*$/.exec(line ?? '')?.[0] ?? '');
  return comments.some(isSentence);
}
