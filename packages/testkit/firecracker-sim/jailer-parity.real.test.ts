/**
 * What the simulated jailer refuses against what real ones refuse, and in which words, and what is then in the chroot folder.
 * LINSTOCK_FIRECRACKER names the Firecrackers, each with its `jailer` beside it.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { jailerAt, simulatorAt } from './executables.ts';
import { Bench } from './run.ts';
import { atLeast, isSimVersion, type SimVersion } from './versions.ts';

const named = (process.env['LINSTOCK_FIRECRACKER'] ?? '').split(':').filter((path) => path !== '');
const found = named.flatMap((firecracker) => {
  const jailer = join(dirname(firecracker), basename(firecracker).replace('firecracker', 'jailer'));
  const version = /^Firecracker v(\S+)/.exec(execFileSync(firecracker, ['--version'], { encoding: 'utf8' }))?.[1] ?? '';
  return existsSync(jailer) && isSimVersion(version) ? [{ firecracker, jailer, version }] : [];
});
const skipped = process.getuid?.() !== 0 ? 'a jailer needs root' : found.length === 0 && 'LINSTOCK_FIRECRACKER names none with a jailer';

type Refusal = {
  /** what differs from a good call; null leaves the argument out */
  given?: Readonly<Record<string, string | null>>;
  more?: readonly string[];
  before?: (bench: Bench) => void;
  /** no refusal from here on */
  until?: SimVersion;
};

const good = { id: 'vm1', 'exec-file': 'firecracker', uid: '12345', gid: '12345', 'chroot-base-dir': 'base' };
const root = 'base/firecracker/vm1/root';
const inJail = (path: string) => (bench: Bench) => {
  mkdirSync(dirname(bench.path(join(root, path))), { recursive: true });
  bench.write(join(root, path), 'there before');
};
const v2 = ['--cgroup-version', '2'];

const refusals: Readonly<Record<string, Refusal>> = {
  'no id': { given: { id: null } },
  'no exec-file': { given: { 'exec-file': null } },
  'no uid': { given: { uid: null } },
  'no gid': { given: { gid: null } },
  'an argument that is none': { more: ['--bogus'] },
  'a word': { more: ['word'] },
  'an argument twice': { more: ['--uid', '1'] },
  'an argument without its value': { more: ['--netns'] },
  'an id with a _': { given: { id: 'a_b' } },
  'an id that is empty': { given: { id: '' } },
  'an id of 65': { given: { id: 'a'.repeat(65) } },
  'an exec-file that is missing': { given: { 'exec-file': 'nowhere' } },
  'an exec-file that is a folder': { given: { 'exec-file': 'base' } },
  'an exec-file of another name': { given: { 'exec-file': 'text' }, until: '1.13.0' },
  'a chroot base that is missing': { given: { 'chroot-base-dir': 'nowhere' } },
  'a chroot base that is a file': { given: { 'chroot-base-dir': 'text' } },
  'a uid that is no number': { given: { uid: 'root' } },
  'a uid below 0': { given: { uid: '-1' } },
  'a uid of 2^32': { given: { uid: '4294967296' } },
  'an empty uid': { given: { uid: '' } },
  'a gid that is no number': { given: { gid: '1.5' } },
  'a limit without a value': { more: ['--resource-limit', 'fsize'] },
  'a limit with an empty value': { more: ['--resource-limit', 'fsize='] },
  'a limit that is no number': { more: ['--resource-limit', 'fsize=x'] },
  'a limit below 0': { more: ['--resource-limit', 'no-file=-1'] },
  'a limit of another name': { more: ['--resource-limit', 'cpu=1'] },
  'a version of cgroups that is none': { more: ['--cgroup-version', 'x'] },
  'a version of cgroups that is too large': { more: ['--cgroup-version', '256'] },
  'an absolute parent cgroup': { more: [...v2, '--parent-cgroup', '/a'] },
  'a parent cgroup above': { more: [...v2, '--parent-cgroup', 'a/../b'] },
  'a cgroup setting without a value': { more: [...v2, '--cgroup', 'pids.max'] },
  'a cgroup setting with two =': { more: [...v2, '--cgroup', 'io.max=8:0 rbps=1'] },
  'a cgroup setting above': { more: [...v2, '--cgroup', '../x=1'] },
  'a cgroup setting of no controller': { more: [...v2, '--cgroup', 'nodot=1'] },
  'a controller that is none': { more: [...v2, '--cgroup', 'bogus.max=1'] },
  'a network namespace that is missing': { more: ['--netns', '/nowhere'] },
  'a network namespace that is none': { more: ['--netns', 'text'] },
  'a jail that was used before': { before: inJail('dev/net/tun') },
  'a pid file that was left': { before: inJail('firecracker.pid') },
  'a file where a folder is to be': { before: (bench) => bench.write('base/firecracker', '') },
  'a link where the binary is to be': {
    before: (bench) => {
      mkdirSync(bench.path(root), { recursive: true });
      symlinkSync('/nowhere/at/all', bench.path(join(root, 'firecracker')));
    },
  },
};

type Outcome = { end: string; says: string; left: string[] };

async function outcomeOf({ given, more = [], before }: Refusal, put: (bench: Bench) => string): Promise<Outcome> {
  const bench = new Bench();
  try {
    mkdirSync(bench.path('base'));
    const jailer = put(bench);
    before?.(bench);
    const args = Object.entries({ ...good, ...given }).flatMap(([name, value]) => (value === null ? [] : [`--${name}`, value]));
    const { code, signal } = await bench.run(jailer, [...args, ...more]).ended();
    const left = readdirSync(bench.path('base'), { recursive: true, encoding: 'utf8' });
    return {
      end: String(code ?? signal),
      says: plain(bench.read('err')),
      left: left.map((name) => `${name}${kindOf(bench.path(join('base', name)))}`).toSorted(),
    };
  } finally {
    await bench.done();
  }
}

const kindOf = (path: string): string => (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? '/' : '');

/** The sentence, and not how Rust shows it a second time. */
const plain = (text: string): string =>
  text
    .replaceAll(/\/tmp\/[\w-]+/g, '<folder>')
    .replaceAll(/\(\d+\) panicked/g, 'panicked')
    .replaceAll(/panicked at \S+/g, 'panicked at <place>')
    .split('\n')
    .filter((line) => !line.startsWith('Error: ') && line.trim() !== '')
    .join('\n');

describe.skipIf(skipped !== false)(`real jailers${skipped === false ? '' : ` (skipped: ${skipped})`}`, () => {
  for (const { firecracker, jailer, version } of found) {
    const real = (bench: Bench): string => {
      copyFileSync(firecracker, bench.path('firecracker'));
      return jailer;
    };
    const simulated = (bench: Bench): string => {
      simulatorAt(bench.folder, version);
      return jailerAt(bench.folder, version);
    };
    test.each(Object.entries(refusals).filter(([, { until }]) => until === undefined || !atLeast(version, until)))(
      `${version} refuses %s`,
      async (_, refusal) => {
        const [theirs, ours] = await Promise.all([outcomeOf(refusal, real), outcomeOf(refusal, simulated)]);
        expect(ours).toEqual(theirs);
        expect(theirs.says).not.toBe('');
      },
    );
  }
});
