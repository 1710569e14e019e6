/** What a recipe does to a tree without running anything in it: files, users, units, the host name, what is left out. */
import { imageFault } from '../refusal.ts';
import { withUser } from '../tree/accounts.ts';
import type { Account, AccountFiles } from '../tree/accounts.ts';
import { removeMatches } from '../tree/glob.ts';
import { bytesOf, fileNode, folderNode } from '../tree/tree.ts';
import type { Tree, TreeNode } from '../tree/tree.ts';
import { disableUnit, enableUnit, maskUnit } from '../tree/units.ts';
import type { Stage } from './load.ts';

/** Before the commands of the stage. Files come last but one, so that they may belong to its users and bring its units. */
export async function applyStage(tree: Tree, { recipe, files }: Stage): Promise<void> {
  for (const user of recipe.users) await addUser(tree, user);
  for (const { path, node } of files) {
    // a folder that is there, or that a link leads to, keeps what it is unless the recipe says more of it than that it exists
    if (node.kind === 'folder' && node.mode === 0o755 && node.uid === 0 && tree.seen(path)?.kind === 'folder') continue;
    tree.put(path, copyOf(node));
  }
  if (recipe.hostname !== undefined) tree.put('etc/hostname', fileNode(`${recipe.hostname}\n`));
  for (const unit of recipe.units.enable) await enableUnit(tree, unit);
  for (const unit of recipe.units.disable) await disableUnit(tree, unit);
  for (const unit of recipe.units.mask) maskUnit(tree, unit);
}

/** After its commands. A pattern that fits nothing is no mistake: packages change what they hold. */
export function removeLeftOut(tree: Tree, { recipe }: Stage): void {
  for (const pattern of recipe.remove) removeMatches(tree, pattern);
}

/** A stage may be applied to more than one tree. */
function copyOf(node: TreeNode): TreeNode {
  return node.kind === 'folder' ? { ...node, children: new Map() } : { ...node };
}

async function addUser(tree: Tree, user: Stage['recipe']['users'][number]): Promise<void> {
  const done = withUser(await accountFiles(tree), user);
  if (!done.ok) throw imageFault(`The recipe cannot be followed: ${done.say}.`);
  writeAccounts(tree, done.files);
  await makeHome(tree, done.account);
}

export async function accountFiles(tree: Tree): Promise<AccountFiles> {
  return {
    passwd: (await tree.text('etc/passwd')) ?? '',
    group: (await tree.text('etc/group')) ?? '',
    shadow: await tree.text('etc/shadow'),
  };
}

/** Owner and mode of what is there stay: shadow belongs to a group of its own. */
function writeAccounts(tree: Tree, files: AccountFiles): void {
  for (const [name, text] of Object.entries(files)) {
    if (text === undefined) continue;
    const before = tree.seen(`etc/${name}`);
    tree.put(`etc/${name}`, before?.kind === 'file' ? { ...before, data: Buffer.from(text) } : fileNode(text));
  }
}

/** A home that is there stays as it is; a new one gets what /etc/skel holds. */
async function makeHome(tree: Tree, account: Account): Promise<void> {
  const home = account.home.replace(/^\/+/, '');
  if (home === '' || tree.seen(home) !== undefined) return;
  const owned = { uid: account.uid, gid: account.gid };
  tree.put(home, folderNode(0o755, owned));
  const skeleton = tree.seen('etc/skel');
  if (skeleton?.kind !== 'folder') return;
  for (const [name, node] of skeleton.children) {
    if (node.kind === 'file') tree.put(`${home}/${name}`, fileNode(await bytesOf(node.data), node.mode, owned));
  }
}
