/** What a container image starts, as guest/init reads it: its program with environment, folder and user, resolved against its own files. */
import { z } from 'zod';
import { accountFiles } from '../recipe/apply.ts';
import { imageFault } from '../refusal.ts';
import { accountNamed } from '../tree/accounts.ts';
import { fileNode, folderNode, sizeOf } from '../tree/tree.ts';
import type { Tree } from '../tree/tree.ts';
import type { ImageConfig } from './layout.ts';

/** guest/init/main.go reads it */
export const startSchema = z.strictObject({
  argv: z.array(z.string()).min(1),
  env: z.array(z.string()),
  cwd: z.string(),
  uid: z.int(),
  gid: z.int(),
  groups: z.array(z.int()),
  stopSignal: z.int(),
});
export type Start = z.infer<typeof startSchema>;

/** Outside of what images use, so that nothing of theirs is hidden. */
export const LINSTOCK_FOLDER = 'linstock';
export const INIT_PATH = `/${LINSTOCK_FOLDER}/linstock-init`;

const USUAL_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** signal(7), x86 */
const SIGNALS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ABRT: 6,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  TERM: 15,
  CONT: 18,
  WINCH: 28,
  PWR: 30,
};

export async function startOf(config: ImageConfig, tree: Tree, what: string): Promise<Start> {
  const c = config.config ?? {};
  const argv = [...(c.Entrypoint ?? []), ...(c.Cmd ?? [])];
  if (argv.length === 0)
    throw imageFault(`${what} names no program to start (neither Entrypoint nor Cmd). Make a recipe from it with an "init" of its own.`);
  const named = c.User || '0';
  const user = accountNamed(await accountFiles(tree), named);
  if (user === null) throw imageFault(`${what} runs its program as ${JSON.stringify(named)}, and has no such user or group.`);
  const env = (c.Env ?? []).filter((one) => one.includes('=') && !one.includes('\0'));
  const has = (key: string): boolean => env.some((one) => one.startsWith(`${key}=`));
  const cwd = c.WorkingDir || '/';
  return {
    argv,
    env: [...env, ...(has('PATH') ? [] : [USUAL_PATH]), ...(has('HOME') ? [] : [`HOME=${user.home}`])],
    cwd: cwd.startsWith('/') ? cwd : `/${cwd}`,
    uid: user.uid,
    gid: user.gid,
    groups: user.groups,
    stopSignal: signalOf(c.StopSignal ?? ''),
  };
}

function signalOf(named: string): number {
  const number = /^\d{1,2}$/.test(named) ? Number(named) : SIGNALS[named.toUpperCase().replace(/^SIG/, '')];
  return number !== undefined && number >= 1 && number <= 64 ? number : 15;
}

/** What a container runtime would put into the image: where the kernel's file systems go, the folder to start in, the files that name hosts. */
export function addWhatRuntimesAdd(tree: Tree, cwd: string, owner: { uid: number; gid: number }): void {
  for (const folder of ['dev', 'proc', 'sys', 'run']) tree.ensureFolder(folder);
  tree.ensureFolder('tmp', 0o1777);
  if (tree.seen(cwd)?.kind !== 'folder') tree.put(cwd.replace(/^\/+/, ''), folderNode(0o755, { uid: owner.uid, gid: owner.gid }));
  const isEmpty = (path: string): boolean => {
    const node = tree.seen(path);
    return node === undefined || (node.kind === 'file' && sizeOf(node.data) === 0);
  };
  if (isEmpty('etc/hosts')) tree.put('etc/hosts', fileNode('127.0.0.1 localhost\n::1 localhost\n'));
  if (isEmpty('etc/hostname')) tree.put('etc/hostname', fileNode('linstock\n'));
}
