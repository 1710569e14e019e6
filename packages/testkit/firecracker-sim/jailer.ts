/**
 * The simulated jailer (jailer/src): its arguments and texts, the layout of the jail, cgroups, limits, identity, pid file. The last stretch
 * is done by a shell, because node can neither fork nor make device nodes; what needs rights that we lack is written down instead: a
 * device that could not be made is a file that says which one it would be.
 */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ArgumentError, parseArguments, wrongInstanceId, type Argument } from './arguments.ts';
import { osError } from './output.ts';
import { backtraceNote, onStderr } from './process.ts';
import { atLeast, type SimVersion } from './versions.ts';

export const jailerArguments: Readonly<Record<string, Argument>> = {
  id: { value: true, required: true },
  'exec-file': { value: true, required: true },
  uid: { value: true, required: true },
  gid: { value: true, required: true },
  'chroot-base-dir': { value: true },
  netns: { value: true },
  daemonize: { value: false },
  'new-pid-ns': { value: false },
  cgroup: { value: true, many: true },
  'resource-limit': { value: true, many: true },
  'cgroup-version': { value: true },
  'parent-cgroup': { value: true },
  version: { value: false },
};

/** include/uapi/linux/magic.h */
const NSFS_MAGIC = 0x6e73_6673;

class JailerError extends Error {}
class WrongArguments extends JailerError {}

/** Replaces this process, or ends it. */
export function jailer(argv: readonly string[], version: SimVersion): never {
  try {
    return run(argv, version);
  } catch (error) {
    if (!(error instanceof JailerError)) throw error;
    const { words, aborts } = refusalOf(error, version);
    onStderr(words);
    if (aborts) process.kill(process.pid, 'SIGABRT');
    process.exit(1);
  }
}

/** Up to 1.12 all but wrong arguments is a panic (jailer/src/main.rs). */
function refusalOf(error: JailerError, version: SimVersion): { words: string; aborts: boolean } {
  return !atLeast(version, '1.13.0') && !(error instanceof WrongArguments)
    ? { words: `thread 'main' panicked at src/jailer/src/main.rs:346:27:\nJailer error: ${error.message}\n${backtraceNote}`, aborts: true }
    : { words: `${error.message}\nError: ${JSON.stringify(error.message)}\n`, aborts: false };
}

function run(argv: readonly string[], version: SimVersion): never {
  const { given, extra } = parse(argv);
  if (given.has('help') || given.has('version')) {
    process.stdout.write(`Jailer v${version}\n\n`);
    process.exit(0);
  }
  const value = (name: string, otherwise = ''): string => given.get(name)?.[0] ?? otherwise;
  const id = value('id');
  const wrong = wrongInstanceId(id);
  if (wrong !== null) throw new JailerError(`Invalid instance ID: ${wrong}`);
  const exec = canonical(value('exec-file'));
  if (!statSync(exec).isFile()) throw new JailerError(`${exec} is not a file`);
  const name = basename(exec);
  if (!atLeast(version, '1.13.0') && !name.includes('firecracker'))
    throw new JailerError(`Invalid filename. The filename of \`--exec-file\` option must contain "firecracker": ${name}`);
  const base = canonical(value('chroot-base-dir', '/srv/jailer'));
  if (!statSync(base).isDirectory()) throw new JailerError(`${base} is not a directory`);
  const root = join(base, name, id, 'root');
  const [uid, gid] = [numberOr(value('uid'), 'Invalid uid'), numberOr(value('gid'), 'Invalid gid')];
  const cgroup = cgroupOf(given, id, name);
  const limits = (given.get('resource-limit') ?? []).map(limitOf);
  const netns = given.get('netns')?.[0] ?? null;

  attempt(
    () => mkdirSync(root, { recursive: true }),
    (why) => `Failed to create directory ${root}: ${why}`,
  );
  // ours alone: the real one changes its root, after which nobody asks for the folders above; this one only changes its user
  for (const folder of [base, join(base, name), join(base, name, id)]) chmodSync(folder, statSync(folder).mode | 0o011);
  copyInto(exec, join(root, name), uid, gid, version);
  if (netns !== null && !existsSync(netns)) throw new JailerError(`Failed to open file ${netns}: No such file or directory (os error 2)`);
  if (netns !== null && statfsSync(netns).type !== NSFS_MAGIC)
    throw new JailerError('Failed to join network namespace: netns: Invalid argument (os error 22)');
  cgroup?.();
  for (const folder of ['/', '/dev', '/dev/net', '/run']) {
    const path = join(root, folder);
    attempt(
      () => mkdirSync(path, { recursive: true }),
      (why) => `Failed to create directory ${folder}: ${why}`,
    );
    attempt(
      () => chmodSync(path, 0o700),
      (why) => `Failed to change permissions on ${folder}: ${why}`,
    );
    own(path, folder, uid, gid);
  }
  const nodes = devices();
  for (const { path } of nodes) {
    // Ids are not reusable without cleaning: the node of the last time is still there.
    if (existsSync(join(root, path)))
      throw new JailerError(`Failed to create ${path} via mknod inside the jail: File exists (os error 17)`);
  }
  const pidFile = join(root, `${name}.pid`);
  // opened anew by each run, as the nodes are, and after them
  const pidFileLeft = refusalOf(new JailerError(`Failed to open file /${name}.pid: File exists (os error 17)`), version);
  enter({
    root,
    name,
    id,
    uid,
    gid,
    netns,
    limits,
    extra,
    pidFile,
    pidFileLeft,
    nodes,
    daemonize: given.has('daemonize'),
    newPidNs: given.has('new-pid-ns'),
  });
}

function parse(argv: readonly string[]): ReturnType<typeof parseArguments> {
  try {
    return parseArguments(jailerArguments, argv);
  } catch (error) {
    if (error instanceof ArgumentError) throw new WrongArguments(`Failed to parse arguments: ${error.message}`);
    throw error;
  }
}

function canonical(path: string): string {
  return attempt(
    () => realpathSync(path),
    (why) => `Failed to canonicalize path ${path}: ${why}`,
  );
}

function numberOr(text: string, what: string): number {
  if (!/^\+?\d+$/.test(text) || Number(text) > 0xffff_ffff) throw new JailerError(`${what}: ${text}`);
  return Number(text);
}

function limitOf(text: string): string {
  const cut = text.indexOf('=');
  if (cut === -1) throw new JailerError(`Invalid format for resources limits: ${text}`);
  const [name, limit] = [text.slice(0, cut), text.slice(cut + 1)];
  if (!/^\+?\d+$/.test(limit))
    throw new JailerError(
      `Invalid limit value for resource: ${limit}: ${limit === '' ? 'cannot parse integer from empty string' : 'invalid digit found in string'}`,
    );
  if (name === 'fsize') return `--fsize=${limit}`;
  if (name === 'no-file') return `--nofile=${limit}`;
  throw new JailerError(`Invalid resource argument: ${name}`);
}

/** A copy, never a link, so that no two VMs share pages; the newer ones look at what they write over (jailer/src). */
function copyInto(exec: string, target: string, uid: number, gid: number, version: SimVersion): void {
  const careful = version === '1.13.2' || atLeast(version, '1.14.1');
  const before = lstatSync(target, { throwIfNoEntry: false });
  if (careful && before?.isSymbolicLink()) throw new JailerError(`Failed to open ${target}: Symbolic link loop (os error 40)`);
  if (careful && before && before.nlink > 1) throw new JailerError(`Detected hard link at: ${target}`);
  attempt(
    () => copyFileSync(exec, target),
    (why) => `Failed to copy ${exec} to ${target}: ${why}`,
  );
  if (careful) own(target, target, uid, gid);
}

function own(path: string, said: string, uid: number, gid: number): void {
  attempt(
    () => chownSync(path, uid, gid),
    (why) => `Failed to change owner for ${said}: ${why}`,
  );
}

/** Checks first, then gives what is to be done: v1 is the default, also where there is none (jailer/src). */
function cgroupOf(given: ReadonlyMap<string, readonly string[]>, id: string, name: string): (() => void) | null {
  const parent = given.get('parent-cgroup')?.[0] ?? name;
  if (parent.startsWith('/') || parent.split('/').some((part) => part === '.' || part === '..'))
    throw new JailerError("Parent cgroup path is invalid. Path should not be absolute or contain '..' or '.'");
  const said = given.get('cgroup-version')?.[0] ?? '1';
  if (!/^\d+$/.test(said) || Number(said) > 255) throw new JailerError(`${said} is an invalid cgroup version specifier`);
  const wanted = given.get('cgroup') ?? [];
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const mountOf = (kind: 'cgroup' | 'cgroup2', controller: string | null): string | undefined =>
    mounts
      .map((line) => line.split(' '))
      .find(([, , type, options = '']) => type === kind && (controller === null || options.split(',').includes(controller)))?.[1];
  const mount = mountOf(said === '2' ? 'cgroup2' : 'cgroup', null);
  if (wanted.length === 0 && said !== '2') return null;
  if (mount === undefined) throw new JailerError('Hierarchy not found: No hierarchy found for this cgroup version.');
  if (said !== '1' && said !== '2') throw new JailerError(`${said} is an invalid cgroup version specifier`);
  if (wanted.length === 0) {
    // Into a parent that is there; without a word nowhere, when it is not.
    const folder = join(mount, parent);
    if (!existsSync(folder)) return null;
    return () =>
      attempt(
        () => writeFileSync(join(folder, 'cgroup.procs'), String(process.pid)),
        (why) =>
          `Failed to move process to cgroup (${folder}): ${why}.\nHint: If you intended to create a child cgroup under ${folder}, pass any --cgroup parameters.`,
      );
  }
  const properties = wanted.map((one) => {
    const parts = one.split('=');
    const [file = '', setting = ''] = parts;
    if (parts.length !== 2 || setting === '') throw new JailerError(`Invalid format for cgroups: ${one}`);
    if (file.startsWith('/') || file.split('/').some((part) => part === '.' || part === '..'))
      throw new JailerError(`Cgroup invalid file: ${one}`);
    if (!file.includes('.')) throw new JailerError(`Cgroup invalid file: ${file}`);
    const controller = file.split('.')[0] ?? '';
    const where = said === '2' ? mount : mountOf('cgroup', controller);
    if (
      where === undefined ||
      (said === '2' && !readFileSync(join(mount, 'cgroup.controllers'), 'utf8').trim().split(' ').includes(controller))
    )
      throw new JailerError(`Controller ${controller} is unavailable`);
    return { file, setting, controller, folder: join(where, parent, id), where };
  });
  return () => {
    for (const { file, setting, controller, folder, where } of properties) {
      attempt(
        () => mkdirSync(folder, { recursive: true }),
        (why) => `Failed to create directory ${folder}: ${why}`,
      );
      if (said === '2') enableAbove(dirname(folder), where, controller);
      writeOr(join(folder, file), setting);
    }
    for (const folder of new Set(properties.map((one) => one.folder)))
      writeOr(join(folder, said === '2' ? 'cgroup.procs' : 'tasks'), String(process.pid));
  };
}

/** From the top down, since a folder can only hand on what it was given. */
function enableAbove(folder: string, mount: string, controller: string): void {
  if (folder !== mount && folder.startsWith(mount)) enableAbove(dirname(folder), mount, controller);
  writeOr(join(folder, 'cgroup.subtree_control'), `+${controller}`);
}

function writeOr(path: string, text: string): void {
  attempt(
    () => writeFileSync(path, `${text}\n`),
    (why) => `Failed to write to ${path}: ${why}`,
  );
}

type Node = { path: string; major: number; minor: number };
function devices(): Node[] {
  const minor = /^\s*(\d+) userfaultfd$/m.exec(readFileSync('/proc/misc', 'utf8'))?.[1];
  return [
    { path: '/dev/net/tun', major: 10, minor: 200 },
    { path: '/dev/kvm', major: 10, minor: 232 },
    { path: '/dev/urandom', major: 1, minor: 9 },
    ...(minor === undefined ? [] : [{ path: '/dev/userfaultfd', major: 10, minor: Number(minor) }]),
  ];
}

function attempt<T>(act: () => T, words: (why: string) => string): T {
  try {
    return act();
  } catch (error) {
    throw new JailerError(words(osError(error)));
  }
}

type Entry = {
  root: string;
  name: string;
  id: string;
  uid: number;
  gid: number;
  netns: string | null;
  limits: readonly string[];
  extra: readonly string[];
  pidFile: string;
  /** what is said when it is there already, and whether it is a panic */
  pidFileLeft: { words: string; aborts: boolean };
  nodes: readonly Node[];
  daemonize: boolean;
  newPidNs: boolean;
};

/** The arguments of the shell: root, owner, pid file, what is said when that is there, its end then, mode, then the nodes up to `--`, then the command. */
const stretch = `
root=$1 owner=$2 pid=$3 left=$4 end=$5 mode=$6
shift 6
cd "$root" || exit 1
while [ "$1" != -- ]; do
  mknod -m 600 "$root$1" c "$2" "$3" 2>/dev/null || echo "c $2 $3" >"$root$1"
  chown "$owner" "$root$1"
  shift 3
done
shift
if [ -e "$pid" ]; then
  printf %s "$left" >&2
  case $end in abort) kill -ABRT $$ ;; esac
  exit 1
fi
case $mode in
  become) printf %s $$ >"$pid"; exec "$@" ;;
  daemon) setsid sh -c '(p=$1; shift; sh -c '\\''printf %s $$ >"$0"; exec "$@"'\\'' "$p" "$@" <&- 0</dev/null 1</dev/null 2</dev/null &)' sh "$pid" "$@" & wait $!; exit 0 ;;
  newns) exec unshare --pid sh -c 'p=$1; shift; "$@" & printf %s $! >"$p"' sh "$pid" "$@" ;;
  newns-daemon) setsid unshare --pid sh -c 'p=$1; shift; "$@" 0</dev/null 1</dev/null 2</dev/null & printf %s $! >"$p"' sh "$pid" "$@" & wait $!; exit 0 ;;
esac
`;

function enter(entry: Entry): never {
  const { root, name, id, uid, gid, netns, limits, extra, pidFile, pidFileLeft, nodes, daemonize, newPidNs } = entry;
  const same = process.getuid?.() === uid && process.getgid?.() === gid;
  if (!same && process.geteuid?.() !== 0) throw new JailerError('Failed to exec into Firecracker: Operation not permitted (os error 1)');
  const nofile = limits.some((one) => one.startsWith('--nofile')) ? [] : ['--nofile=2048'];
  // As pid 1 of a namespace it would not be ended by SIGTERM; where no namespace can be made it is told to behave so.
  const namespaces = process.geteuid?.() === 0;
  const mode = newPidNs && namespaces ? (daemonize ? 'newns-daemon' : 'newns') : daemonize ? 'daemon' : 'become';
  const command = [
    ...(netns === null ? [] : ['nsenter', `--net=${resolve(netns)}`, '--']),
    'prlimit',
    ...nofile,
    ...limits,
    ...(same ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--']),
    join(root, name),
    '--sim-root',
    root,
    ...(newPidNs && !namespaces ? ['--sim-fate', 'ignores-sigterm'] : []),
    '--id',
    id,
    '--start-time-us',
    '1',
    '--start-time-cpu-us',
    '1',
    '--parent-cpu-time-us',
    '1',
    ...extra,
  ];
  const words = nodes.flatMap(({ path, major, minor }) => [path, String(major), String(minor)]);
  // The environment is cleared, as the real one does it.
  process.execve?.(
    '/bin/sh',
    [
      'jailer',
      '-c',
      stretch,
      'jailer',
      root,
      `${uid}:${gid}`,
      pidFile,
      pidFileLeft.words,
      pidFileLeft.aborts ? 'abort' : 'exit',
      mode,
      ...words,
      '--',
      ...command,
    ],
    {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    },
  );
  throw new Error('execve came back');
}
