/** What the guest's interface will be called, and which other names the image configures. Pure. Source: systemd.link(5), systemd.net-naming-scheme(7). */
import type { LintContext } from '../context.ts';
import { argOf } from '../context.ts';
import { namesIn, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';
import { lastOf, parseIni, wordsOf } from './ini.ts';
import type { NetworkFacts } from './network.ts';
import { matchOf } from './networkd.ts';
import type { Boot } from './started.ts';

export type InterfaceNames = {
  /** a .link file gives it another name, whatever the command line says */
  renamed: { to: string; path: string; line: number } | null;
  /** udev's policy may: the file of the policy */
  predictable: string | null;
  /** names that the image configures and no guest has */
  others: readonly { name: string; path: string; line: number | null }[];
};

const FOLDERS = ['/etc/systemd/network', '/usr/local/lib/systemd/network', '/usr/lib/systemd/network', '/lib/systemd/network'];

export function namesOf(view: ImageView, context: LintContext, network: NetworkFacts, boot: Boot | null): InterfaceNames {
  const udev = boot?.started.has('systemd-udevd.service') === true;
  const links = new Map<string, string>();
  for (const folder of FOLDERS)
    for (const name of namesIn(view, folder)) if (name.endsWith('.link') && !links.has(name)) links.set(name, `${folder}/${name}`);
  let renamed: InterfaceNames['renamed'] = null;
  let predictable: string | null = null;
  for (const [, path] of [...links].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const settings = parseIni(textOf(view, path) ?? '', path);
    // A masked file matches nothing, and what may match is passed over.
    if (matchOf(settings, context) !== 'yes') continue;
    const name = lastOf(settings, 'Link', 'Name');
    if (name !== null && name.value !== context.interfaceName) renamed = { to: name.value, path, line: name.line };
    const policy = lastOf(settings, 'Link', 'NamePolicy')?.value ?? '';
    if (/\b(?:path|slot|onboard|mac)\b/.test(policy)) predictable = path;
    break;
  }
  const off = argOf(context, 'net.ifnames') === '0' || isMasked(view);
  return { renamed: udev ? renamed : null, predictable: udev && !off ? predictable : null, others: otherNames(view, context, network) };
}

/** The rule file that asks for names, replaced by nothing. */
function isMasked(view: ImageView): boolean {
  const link = view.lstat('/etc/udev/rules.d/80-net-setup-link.rules');
  return link.is === 'there' && (link.node.target === '/dev/null' || link.node.bytes === 0);
}

/** A name that the kernel or udev gives a network card, and that is not ours. */
const CARD = /^(?:eth\d+|en[opsxP][\w]*|ens\d+\w*)$/;

function otherNames(
  view: ImageView,
  { interfaceName }: LintContext,
  network: NetworkFacts,
): { name: string; path: string; line: number | null }[] {
  const found: { name: string; path: string; line: number | null }[] = [];
  const add = (name: string, path: string, line: number | null): void => {
    if (name !== interfaceName && CARD.test(name)) found.push({ name, path, line });
  };
  if (network.ifupdown.runs) for (const { name, path, line } of network.ifupdown.auto) add(name, path, line);
  if (network.networkd.runs) {
    for (const file of namesIn(view, '/etc/systemd/network')) {
      if (!file.endsWith('.network')) continue;
      const path = `/etc/systemd/network/${file}`;
      const settings = parseIni(textOf(view, path) ?? '', path);
      const words = wordsOf(settings, 'Match', 'Name');
      if (words.length === 1 && words[0] !== undefined) add(words[0], path, lastOf(settings, 'Match', 'Name')?.line ?? null);
    }
  }
  return found;
}
