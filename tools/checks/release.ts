/** What leaves the house: exact versions, and nothing that only exists where it was written. */
import { lineAt } from './tree.ts';
import { tableOf } from './imports.ts';
import type { Problem, Tree } from './tree.ts';

export function checkPinnedVersions(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const [path, text] of tree) {
    if (!/(?:^|\/)package\.json$/.test(path)) continue;
    for (const field of ['dependencies', 'devDependencies', 'optionalDependencies']) {
      for (const [name, version] of Object.entries(tableOf(text, field))) {
        if (typeof version === 'string' && /^(?:npm:(?:@[\w.-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)) continue;
        problems.push({
          file: path,
          line: lineAt(text, text.indexOf(`"${name}"`)),
          what: `${field} has ${name} ${JSON.stringify(version)}`,
          why: 'two installations of one commit could differ',
          fix: 'write the exact version, e.g. "1.2.3"',
        });
      }
    }
  }
  return problems;
}

/** Written in pieces, so that this file does not name what it looks for. */
const places = [['', 'work', ''].join('/'), ['', 'tmp', 'n24', ''].join('/')];
const hosts = [
  ['registry', 'npmjs', 'org'],
  ['registry', 'npmjs', 'com'],
  ['registry', 'yarnpkg', 'com'],
  ['npm', 'pkg', 'github', 'com'],
  ['pypi', 'org'],
  ['files', 'pythonhosted', 'org'],
  ['proxy', 'golang', 'org'],
  ['sum', 'golang', 'org'],
  ['index', 'crates', 'io'],
  ['static', 'crates', 'io'],
  ['rubygems', 'org'],
].map((labels) => labels.join('.'));

export function checkPlaces(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const [path, text] of tree) {
    for (const place of places) {
      const pattern = new RegExp(`(?<![\\w.}\\])/~-])${place}`, 'g');
      for (const match of text.matchAll(pattern)) {
        problems.push({
          file: path,
          line: lineAt(text, match.index),
          what: `names a path under ${place}`,
          why: 'it exists only on the machine where this was written',
          fix: 'use a path relative to the repository, or a temporary folder',
        });
      }
    }
    for (const host of hosts) {
      const pattern = new RegExp(`(?<![\\w.-])${host.replaceAll('.', '\\.')}(?![\\w-])`, 'g');
      for (const match of text.matchAll(pattern)) {
        problems.push({
          file: path,
          line: lineAt(text, match.index),
          what: `names the package registry ${host}`,
          why: 'where packages come from is the setting of each machine',
          fix: 'leave it to the client (npm config, GOPROXY); lockfiles are written with omit-lockfile-registry-resolved',
        });
      }
    }
  }
  return problems;
}
