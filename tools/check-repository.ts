/**
 * The repository checks: `node tools/check-repository.ts [check…]`. One line per problem (what, why, what to do); exit code 1 when there is
 * any. What a compiler, a linter or a formatter can say is left to them.
 */
import { execFileSync } from 'node:child_process';
import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkErrorsDocument, checkLinks } from './checks/documents.ts';
import { checkHands } from './checks/hands.ts';
import { checkImports } from './checks/imports.ts';
import { checkLanguage, checkSizes } from './checks/language.ts';
import { checkPinnedVersions, checkPlaces } from './checks/release.ts';
import { sentenceOf } from './checks/tree.ts';
import type { Check, Tree } from './checks/tree.ts';

const checks: Readonly<Record<string, Check>> = {
  imports: checkImports,
  hands: checkHands,
  language: checkLanguage,
  sizes: checkSizes,
  errors: checkErrorsDocument,
  links: checkLinks,
  versions: checkPinnedVersions,
  places: checkPlaces,
};

/** The files that are committed or about to be. What holds a zero byte is no text: it is there, and empty. */
function readTree(root: string): Tree {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const tree = new Map<string, string>();
  for (const path of listed.split('\0').toSorted()) {
    const stat = path === '' ? undefined : lstatSync(join(root, path), { throwIfNoEntry: false });
    if (stat?.isFile() !== true) continue;
    const bytes = readFileSync(join(root, path));
    tree.set(path, bytes.includes(0) ? '' : bytes.toString('utf8'));
  }
  return tree;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(checks, name));
if (unknown.length > 0) {
  console.error(`There is no check ${unknown.join(', ')}; there are: ${Object.keys(checks).join(', ')}.`);
  process.exit(2);
}
const tree = readTree(join(import.meta.dirname, '..'));
const chosen = Object.entries(checks).filter(([name]) => wanted.length === 0 || wanted.includes(name));
const problems = chosen.flatMap(([name, check]) => check(tree).map((problem) => `${sentenceOf(problem)} [${name}]`));
for (const line of problems) console.log(line);
console.log(problems.length === 0 ? `${chosen.length} checks over ${tree.size} files: nothing to say.` : `${problems.length} problems.`);
process.exitCode = problems.length === 0 ? 0 : 1;
