/** Imports: the walls between packages, dependencies that are declared, no cycles, no side doors. */
import { posix } from 'node:path';
import { builtinModules } from 'node:module';
import { child, isTest, lineAt, nodesOf, packageOf, sources, syntaxOf } from './tree.ts';
import type { Problem, Tree } from './tree.ts';

/** Which of our packages each package may import. The arrows lead towards contract. */
export const walls: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  core: ['contract'],
  store: ['contract', 'core'],
  host: ['contract', 'core'],
  daemon: ['contract', 'core', 'store', 'host'],
  sdk: ['contract'],
  cli: ['contract', 'sdk', 'daemon'],
  ui: ['contract', 'sdk'],
  testkit: ['contract', 'core', 'store', 'host', 'daemon', 'sdk'],
};

/** The only files of the CLI that may know the daemon: the commands that run one in this process. */
export const daemonInCli: readonly string[] = ['up', 'serve', 'down', 'test']
  .map((verb) => `packages/cli/commands/${verb}.ts`)
  .concat('packages/cli/daemon-face.ts');

/** Packages that must load without Node: contract in a browser, core without a machine. */
export const withoutNode: readonly string[] = ['contract', 'core'];

/** `typeOnly`: erased before it runs. */
export type Import = { specifier: string; offset: number; typeOnly: boolean };

export function importsOf(tree: Tree, path: string): Import[] {
  const ast = syntaxOf(tree, path);
  const found: Import[] = [];
  for (const node of ast === null ? [] : nodesOf(ast)) {
    const source =
      node.type === 'TSImportType'
        ? (child(node, 'source', 'Literal') ?? child(node, 'argument'))
        : child(node, 'source', 'Literal', 'TemplateLiteral');
    if (source === null || !/^(?:Import(?:Declaration|Expression)|Export(?:Named|All)Declaration|TSImportType)$/.test(node.type)) continue;
    const value = source['value'];
    const typeOnly = node.type === 'TSImportType' || node['importKind'] === 'type' || node['exportKind'] === 'type';
    if (typeof value === 'string') found.push({ specifier: value, offset: node.start, typeOnly });
  }
  return found;
}

export function checkImports(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const [path, text] of sources(tree)) {
    for (const one of importsOf(tree, path)) {
      const wrong = judge(tree, path, one.specifier);
      if (wrong !== null) problems.push({ file: path, line: lineAt(text, one.offset), ...wrong });
    }
  }
  return [...problems, ...cycles(tree)];
}

type Wrong = Pick<Problem, 'what' | 'why' | 'fix'>;

function judge(tree: Tree, path: string, specifier: string): Wrong | null {
  if (specifier.startsWith('.')) return judgeRelative(path, specifier);
  if (specifier.startsWith('node:')) return judgeBuiltin(path, specifier);
  if (builtinModules.includes(specifier))
    return { what: `imports ${specifier}`, why: 'a package of that name could take its place', fix: `write node:${specifier}` };
  return specifier.startsWith('@linstock/') ? judgeOwn(tree, path, specifier) : judgeForeign(tree, path, specifier);
}

function judgeRelative(path: string, specifier: string): Wrong | null {
  const own = packageOf(path);
  const other = packageOf(posix.join(posix.dirname(path), specifier));
  if (own === other || (own === null && path.startsWith('tools/'))) return null;
  if (other === null)
    return {
      what: `imports ${specifier}`,
      why: 'it lies outside its package, which runs elsewhere without it',
      fix: 'move what is needed into a package',
    };
  return {
    what: `imports ${specifier}`,
    why: 'it reaches past the entry point of another package',
    fix: `import it from @linstock/${other} and export it there by name if it is meant for others`,
  };
}

function judgeBuiltin(path: string, specifier: string): Wrong | null {
  const own = packageOf(path);
  if (own === null || !withoutNode.includes(own) || isTest(path)) return null;
  return {
    what: `imports ${specifier}`,
    why: `${own} must load without Node`,
    fix: 'take it through a port in core/ports.ts, filled by host or daemon',
  };
}

function judgeOwn(tree: Tree, path: string, specifier: string): Wrong | null {
  const [, name = '', ...deep] = specifier.split('/');
  // A second entry point, such as `@linstock/sdk/testing`, is one that the package itself declares.
  if (deep.length > 0 && !Object.hasOwn(tableOf(tree.get(`packages/${name}/package.json`), 'exports'), `./${deep.join('/')}`))
    return {
      what: `imports ${specifier}`,
      why: 'it reaches past the entry point of another package',
      fix: `import from @linstock/${name} and export it there by name, or declare the entry point in its package.json`,
    };
  const own = packageOf(path);
  if (own === null) return null;
  const allowed = walls[own];
  if (allowed === undefined)
    return {
      what: `package ${own} has no wall`,
      why: 'nobody decided what it may import',
      fix: 'add it to `walls` in tools/checks/imports.ts and to docs/architecture.md',
    };
  if (isTest(path) && name === 'testkit') return null;
  if (!allowed.includes(name)) {
    const list = allowed.length === 0 ? 'none of our packages' : allowed.join(', ');
    return {
      what: `imports @linstock/${name}`,
      why: `${own} may import ${list}: arrows lead towards contract`,
      fix: 'move the code to the side that may know both, or pass it in through a port',
    };
  }
  if (own === 'cli' && name === 'daemon' && !isTest(path) && !daemonInCli.includes(path)) {
    return {
      what: 'imports @linstock/daemon',
      why: 'the CLI talks to a controller over the API',
      fix: `use @linstock/sdk; only ${daemonInCli.join(', ')} start a controller`,
    };
  }
  return judgeForeign(tree, path, specifier);
}

function judgeForeign(tree: Tree, path: string, specifier: string): Wrong | null {
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const own = packageOf(path);
  const manifests = own === null ? ['package.json'] : [`packages/${own}/package.json`, ...(isTest(path) ? ['package.json'] : [])];
  const fields = own === null || isTest(path) ? ['dependencies', 'devDependencies'] : ['dependencies'];
  if (manifests.some((manifest) => fields.some((field) => Object.hasOwn(tableOf(tree.get(manifest), field), name)))) return null;
  return {
    what: `imports ${name}`,
    why: `it is not in the dependencies of ${manifests[0]}`,
    fix: 'add it there with an exact version and a line in docs/adr, or do without it',
  };
}

/** One object of a manifest, such as `dependencies` or `exports`; empty when it is not there. */
export function tableOf(manifest: string | undefined, field: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(manifest ?? '{}');
  } catch {
    // npm itself refuses a manifest that is not JSON; here it has no dependencies.
    return {};
  }
  const value: unknown = typeof parsed === 'object' && parsed !== null ? Object.entries(parsed).find(([key]) => key === field)?.[1] : null;
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** Each cycle once, said at its alphabetically first file. Type imports count: they show that two modules are one. */
function cycles(tree: Tree): Problem[] {
  const edges = new Map<string, string[]>();
  for (const [path] of sources(tree)) {
    edges.set(
      path,
      importsOf(tree, path)
        .filter((one) => one.specifier.startsWith('.'))
        .map((one) => posix.join(posix.dirname(path), one.specifier)),
    );
  }
  const done = new Set<string>();
  const found = new Map<string, string[]>();
  const visit = (path: string, trail: string[]): void => {
    const at = trail.indexOf(path);
    if (at !== -1) {
      const loop = trail.slice(at);
      const first = loop.indexOf(loop.toSorted()[0] ?? '');
      const turned = [...loop.slice(first), ...loop.slice(0, first)];
      found.set(turned.join(' '), turned);
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return [...found.values()].map((loop) => ({
    file: loop[0] ?? '',
    line: null,
    what: `imports itself: ${[...loop, loop[0]].join(' → ')}`,
    why: 'modules in a cycle cannot be understood or loaded one at a time',
    fix: 'move what both need into a third file',
  }));
}
