/** Things that only one place may touch: processes, SQL, the environment, the clock, randomness. */
import { child, isTest, lineAt, memberName, nodesOf, packageOf, sources, syntaxOf } from './tree.ts';
import type { Node, Problem, Tree } from './tree.ts';
import { importsOf } from './imports.ts';

/** Folders where programs are started. */
export const mayStartProcesses: readonly string[] = ['packages/host/tools/', 'tools/', 'test/', 'bench/', 'lab/'];

/** File → why it may read the environment. */
export const mayReadEnvironment: Readonly<Record<string, string>> = {
  'packages/daemon/config.ts': 'the settings of the controller',
  'packages/cli/main.ts': 'the front door: NO_COLOR, the terminal',
  'packages/cli/environment.ts': 'the front door: where the controller is, NO_COLOR',
  'packages/host/tools/exec.ts': 'hands it on to the programs it starts, without our settings',
};

/** File → why it may look at the clock or take random numbers. */
export const mayBeUncertain: Readonly<Record<string, string>> = {
  'packages/daemon/clock.ts': 'fills the port Clock',
  'packages/cli/main.ts': 'the front door: ages in lists, the name of a throw-away VM',
  'packages/daemon/ids.ts': 'fills the port Ids',
  'packages/daemon/installation.ts': 'makes the token and the mark of an installation, once',
  'packages/host/guest/handshake.ts': 'a nonce of the agent protocol',
  'packages/host/probe/port.ts': 'the key of a WebSocket handshake (RFC 6455)',
  'packages/sdk/calls.ts': 'an idempotency key, for a caller that brought none',
};

const random = ['randomBytes', 'randomUUID', 'randomInt', 'randomFill', 'randomFillSync', 'getRandomValues'];
const timers = ['setTimeout', 'setInterval', 'setImmediate'];
const sql =
  /^\s*(?:select\s.+\sfrom\s|insert\s+(?:or\s+\w+\s+)?into\s|update\s+\w+\s+set\s|delete\s+from\s|create\s+(?:unique\s+)?(?:table|index)\s|alter\s+table\s|drop\s+table\s|pragma\s+\w)/is;

export function checkHands(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const [path, text] of sources(tree)) {
    const at = (offset: number): { file: string; line: number } => ({ file: path, line: lineAt(text, offset) });
    for (const one of importsOf(tree, path)) {
      if (
        /^(?:node:)?child_process$/.test(one.specifier) &&
        !isTest(path) &&
        !mayStartProcesses.some((folder) => path.startsWith(folder))
      ) {
        problems.push({
          ...at(one.offset),
          what: 'imports node:child_process',
          why: 'commands need one place that bounds, kills and records them',
          fix: 'use exec of packages/host/tools/exec.ts',
        });
      }
      if (/^(?:kysely|node:sqlite|pg)(?:\/|$)/.test(one.specifier) && packageOf(path) !== 'store' && !isTest(path)) {
        problems.push({
          ...at(one.offset),
          what: `imports ${one.specifier}`,
          why: 'only packages/store knows SQL',
          fix: 'add a method to Store in core/ports.ts',
        });
      }
    }
    // Our tools are for developers: no product runs them.
    if (isTest(path) || packageOf(path) === null) continue;
    const ast = syntaxOf(tree, path);
    for (const node of ast === null ? [] : nodesOf(ast)) {
      const wrong = judge(path, node);
      if (wrong !== null) problems.push({ ...at(node.start), ...wrong });
    }
  }
  return problems;
}

function judge(path: string, node: Node): Pick<Problem, 'what' | 'why' | 'fix'> | null {
  const own = packageOf(path);
  if (readsEnvironment(node) && !Object.hasOwn(mayReadEnvironment, path)) {
    return {
      what: 'reads process.env',
      why: 'settings have one reader, which checks them',
      fix: 'take the value from the settings object that packages/daemon/config.ts makes',
    };
  }
  const chance = uncertain(node);
  if (chance !== null && !Object.hasOwn(mayBeUncertain, path)) {
    return {
      what: `uses ${chance}`,
      why: 'time and chance are ports, so that tests can hold them still',
      fix: 'take Clock or Ids as a dependency (performance.now is fine for durations); a new exception goes into tools/checks/hands.ts with its reason',
    };
  }
  if (own === 'core') {
    const name = node.type === 'CallExpression' ? child(node, 'callee', 'Identifier')?.['name'] : null;
    const isDate = node.type === 'NewExpression' && child(node, 'callee', 'Identifier')?.['name'] === 'Date';
    if (isDate || timers.some((timer) => timer === name)) {
      return {
        what: `uses ${isDate ? 'new Date(' : String(name)}`,
        why: 'core decides and never waits or looks at a clock',
        fix: 'take an Instant as a parameter, or return a decision to wait',
      };
    }
  }
  const words = node.type === 'Literal' ? node['value'] : node.type === 'TemplateElement' ? rawOf(node) : null;
  if (own !== 'store' && typeof words === 'string' && sql.test(words)) {
    return { what: 'holds SQL', why: 'only packages/store knows SQL', fix: 'add a method to Store in core/ports.ts' };
  }
  return null;
}

function rawOf(node: Node): string | null {
  const value = node['value'];
  return typeof value === 'object' && value !== null && 'raw' in value && typeof value.raw === 'string' ? value.raw : null;
}

function readsEnvironment(node: Node): boolean {
  if (memberName(node) === 'process.env') return true;
  return (
    node.type === 'ImportDeclaration' &&
    child(node, 'source')?.['value'] === 'node:process' &&
    [...nodesOf(node)].some((part) => part.type === 'ImportSpecifier' && child(part, 'imported')?.['name'] === 'env')
  );
}

function uncertain(node: Node): string | null {
  const member = memberName(node);
  if (member === 'Date.now' || member === 'Math.random') return member;
  const callee = child(node, 'callee', 'Identifier');
  const given = node['arguments'];
  if (node.type === 'NewExpression' && callee?.['name'] === 'Date' && Array.isArray(given) && given.length === 0) return 'new Date()';
  if (node.type === 'CallExpression' && callee?.['name'] === 'Date') return 'Date()';
  const name =
    node.type === 'ImportSpecifier'
      ? child(node, 'imported')?.['name']
      : node.type === 'MemberExpression'
        ? child(node, 'property', 'Identifier')?.['name']
        : null;
  return random.find((one) => one === name) ?? null;
}
