/** Units of systemd in an image, enabled, disabled and masked as systemctl would, by links (systemd.unit(5), "[Install] section options"). */
import { imageFault } from '../refusal.ts';
import { linkNode } from './tree.ts';
import type { Tree } from './tree.ts';

/** In the order in which systemd looks; where a distribution keeps units is the last. */
const FOLDERS = ['etc/systemd/system', 'usr/local/lib/systemd/system', 'usr/lib/systemd/system', 'lib/systemd/system'];
const OWN = 'etc/systemd/system';

/** What the [Install] section asks for. Pure. Lists may be repeated; an empty value starts a list again. */
export function installSection(text: string): { wantedBy: string[]; requiredBy: string[]; alias: string[]; also: string[] } {
  const found: Record<string, string[]> = {};
  let section = '';
  for (const line of text
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((one) => one.trim())) {
    if (line.startsWith('#') || line.startsWith(';')) continue;
    const header = /^\[(.+)\]$/.exec(line)?.[1];
    if (header !== undefined) section = header;
    const [key = '', ...value] = line.split('=');
    if (section !== 'Install' || value.length === 0) continue;
    const words = value
      .join('=')
      .split(/\s+/)
      .filter((word) => word !== '');
    found[key.trim()] = words.length === 0 ? [] : [...(found[key.trim()] ?? []), ...words];
  }
  return {
    wantedBy: found['WantedBy'] ?? [],
    requiredBy: found['RequiredBy'] ?? [],
    alias: found['Alias'] ?? [],
    also: found['Also'] ?? [],
  };
}

export async function enableUnit(tree: Tree, unit: string): Promise<void> {
  const open = [unit];
  const done = new Set<string>();
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (done.has(name)) continue;
    done.add(name);
    const { path, text } = await unitFile(tree, name);
    const { wantedBy, requiredBy, alias, also } = installSection(text);
    if (wantedBy.length + requiredBy.length + alias.length + also.length === 0)
      throw imageFault(`The unit ${name} cannot be enabled: it has no [Install] section. It is started by others, or not at all.`);
    for (const target of wantedBy) tree.put(`${OWN}/${target}.wants/${name}`, linkNode(path));
    for (const target of requiredBy) tree.put(`${OWN}/${target}.requires/${name}`, linkNode(path));
    for (const other of alias) tree.put(`${OWN}/${other}`, linkNode(path));
    open.push(...also);
  }
}

/** Removes the links by which others start it. */
export async function disableUnit(tree: Tree, unit: string): Promise<void> {
  await unitFile(tree, unit);
  const folder = tree.seen(OWN);
  if (folder?.kind !== 'folder') return;
  for (const [name, node] of folder.children) {
    if (node.kind === 'folder' && /\.(wants|requires)$/.test(name)) node.children.delete(unit);
    else if (node.kind === 'symlink' && node.target.endsWith(`/${unit}`) && name !== unit) folder.children.delete(name);
  }
}

/** Also a unit that is not there: that one stays away, too, when a package brings it. */
export function maskUnit(tree: Tree, unit: string): void {
  tree.put(`${OWN}/${unit}`, linkNode('/dev/null'));
}

async function unitFile(tree: Tree, unit: string): Promise<{ path: string; text: string }> {
  // `getty@ttyS1.service` is one of `getty@.service`
  const template = unit.replace(/@.*(?=\.\w+$)/, '@');
  for (const name of new Set([unit, template])) {
    for (const folder of FOLDERS) {
      const text = await tree.text(`${folder}/${name}`);
      if (text !== undefined) return { path: `/${folder}/${name}`, text };
    }
  }
  throw imageFault(`The image has no unit ${unit}: write its whole name (ssh.service), and see whether a package brings it.`);
}
