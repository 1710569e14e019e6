/**
 * Runs a recipe's commands in its tree: unpacked into a scratch folder, in a sandbox of bubblewrap, and read back. A command sees the tree as its
 * root, a few devices, and nothing else of the host: no network, no other processes, and of root's capabilities those that setting up files
 * takes. Devices of the tree are not made on the host: they are put back afterwards.
 */
import { join } from 'node:path';
import { describeFailure, exec, execOk, succeeded } from '../../tools/exec.ts';
import { ensureFolder, removeTree } from '../../tools/files.ts';
import { imageFault } from '../refusal.ts';
import type { Step } from '../steps.ts';
import { treeFromTar } from '../tree/from-tar.ts';
import { writeTar } from '../tree/tar-write.ts';
import { TREE_TIME, Tree } from '../tree/tree.ts';
import type { TreeNode } from '../tree/tree.ts';

/** A command may build a database of fonts under emulation, or wait for nobody. */
const COMMAND_TIMEOUT_MS = 1_800_000;
const TAR_TIMEOUT_MS = 900_000;
/** What a script that sets up files may need; not to mount, make devices, load modules or look at other processes. */
const CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETFCAP', 'SYS_CHROOT'];
const HIDDEN = ['dev', 'proc'];

/** Pure: the command line for one command in the tree at `root`. */
export function sandboxArgv(root: string, command: readonly string[]): string[] {
  const environment = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LC_ALL: 'C.UTF-8',
    DEBIAN_FRONTEND: 'noninteractive',
    SOURCE_DATE_EPOCH: String(TREE_TIME),
  };
  const files = '--dev /dev --proc /proc --remount-ro /proc --tmpfs /tmp --tmpfs /run --chdir /';
  const walls = '--unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup-try --die-with-parent --new-session --clearenv';
  return [
    'bwrap',
    ...walls.split(' '),
    '--bind',
    root,
    '/',
    ...files.split(' '),
    ...Object.entries(environment).flatMap(([name, value]) => ['--setenv', name, value]),
    '--cap-drop',
    'ALL',
    ...CAPABILITIES.flatMap((name) => ['--cap-add', `CAP_${name}`]),
    '--',
    ...command,
  ];
}

export type CommandsJob = {
  tree: Tree;
  name: string;
  commands: readonly (readonly string[])[];
  scratch: string;
  step: Step;
  /** seconds since the epoch: what is younger was made by the commands */
  begunAt: number;
  signal: AbortSignal | undefined;
};

/** The tree after all commands; its files are parts of an archive in `scratch`. */
export async function runCommands(job: CommandsJob): Promise<Tree> {
  const { tree, name, commands, scratch, step, signal } = job;
  if (process.getuid?.() !== 0)
    throw imageFault(
      `The recipe ${name} runs commands in its tree, which only root can do here. Run this as root, or bring what they make as files.`,
    );
  const root = join(scratch, 'root');
  const archive = join(scratch, 'tree.tar');
  await ensureFolder(root);
  await step(`${name}: unpack the tree for its commands`, async () => {
    const { plain } = withoutDevices(tree);
    await writeTar(plain, archive, signal);
    const tar = [
      'tar',
      '--extract',
      '--file',
      archive,
      '--directory',
      root,
      '--numeric-owner',
      '--same-owner',
      '--preserve-permissions',
      '--xattrs',
      '--xattrs-include=*',
    ];
    await execOk(tar, { timeoutMs: TAR_TIMEOUT_MS, signal });
    await removeTree(archive);
  });
  const bubblewrap = await exec(['sh', '-c', 'command -v bwrap'], { timeoutMs: TAR_TIMEOUT_MS, signal });
  if (!succeeded(bubblewrap) && !bubblewrap.aborted)
    throw imageFault('bubblewrap is not installed, in whose sandbox the commands of recipes run: install the package bubblewrap.');
  for (const [index, command] of commands.entries()) {
    await step(`${name}: command ${index + 1} of ${commands.length}`, async () => {
      const result = await exec(['sh', '-c', 'umask 022; exec "$@"', 'sh', ...sandboxArgv(root, command)], {
        timeoutMs: COMMAND_TIMEOUT_MS,
        signal,
      });
      if (result.aborted) signal?.throwIfAborted();
      if (!succeeded(result))
        throw imageFault(`Command ${index + 1} of the recipe ${name} failed. ${describeFailure({ ...result, argv: command })}`);
    });
  }
  return step(`${name}: read the tree back`, async () => {
    const tar = [
      'tar',
      '--create',
      '--file',
      archive,
      '--directory',
      root,
      '--sort=name',
      '--format=posix',
      '--numeric-owner',
      '--xattrs',
      '--xattrs-include=*',
    ];
    await execOk([...tar, ...HIDDEN.map((folder) => `--exclude=./${folder}/*`), '.'], { timeoutMs: TAR_TIMEOUT_MS, signal });
    await removeTree(root);
    const after = await treeFromTar(archive, `The tree of ${name}`, signal);
    for (const { node } of after.walk()) if (node.mtime >= job.begunAt) node.mtime = TREE_TIME;
    if (after.root.mtime >= job.begunAt) after.root.mtime = TREE_TIME;
    for (const { path, node } of withoutDevices(tree).devices) {
      const folder = after.at(path.slice(0, Math.max(path.lastIndexOf('/'), 0)));
      if (folder?.kind === 'folder') after.put(path, node); // else a command has removed it
    }
    return after;
  });
}

/** The same tree without what must not be made on a host, and that apart. What is below /dev is hidden from the commands, so it is kept whole. */
function withoutDevices(tree: Tree): { plain: Tree; devices: { path: string; node: TreeNode }[] } {
  const plain = new Tree({ ...tree.root, children: new Map() });
  const devices: { path: string; node: TreeNode }[] = [];
  for (const { path, node } of tree.walk()) {
    if (node.kind === 'char' || node.kind === 'block' || node.kind === 'socket' || path.startsWith('dev/')) devices.push({ path, node });
    else plain.put(path, node.kind === 'folder' ? { ...node, children: new Map() } : node);
  }
  return { plain, devices };
}
