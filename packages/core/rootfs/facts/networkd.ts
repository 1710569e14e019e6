/**
 * Which .network file systemd-networkd takes for the guest's interface, and what it says. Pure.
 * Source: systemd.network(5); src/network/networkd-network.c (network_verify, network_get): files by name, the first that
 * matches is taken, and no other.
 */
import type { LintContext } from '../context.ts';
import { argOf } from '../context.ts';
import { namesIn, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';
import { matchesGlob } from './glob.ts';
import { booleanOf, lastOf, parseIni, valuesOf } from './ini.ts';
import type { Setting } from './ini.ts';

export type Certainty = 'yes' | 'maybe' | 'no';

export type NetworkFile = {
  /** the name it is sorted by */
  name: string;
  path: string;
  /** what a person would change */
  line: number | null;
  /** who wrote it: a person, or netplan or systemd-network-generator at each boot */
  from: 'file' | 'netplan' | 'network-generator';
  matches: Certainty;
  dhcp: boolean;
  addresses: readonly string[];
  gateway: string | null;
  /** KeepConfiguration= */
  keeps: 'nothing' | 'static' | 'all';
  unmanaged: boolean;
  requiredForOnline: boolean;
};

const FOLDERS = [
  '/etc/systemd/network',
  '/run/systemd/network',
  '/usr/local/lib/systemd/network',
  '/usr/lib/systemd/network',
  '/lib/systemd/network',
];

/** The files that networkd will look at for this interface, in its order, up to the one it takes for certain. */
export function networkFilesFor(view: ImageView, context: LintContext, generated: readonly NetworkFile[]): NetworkFile[] {
  const files = new Map<string, NetworkFile | null>();
  for (const folder of FOLDERS) {
    // What is generated lies in /run: a file of the same name in /etc hides it, one in /usr does not.
    if (folder === '/run/systemd/network') for (const one of generated) if (!files.has(one.name)) files.set(one.name, one);
    for (const name of namesIn(view, folder)) {
      if (name.endsWith('.network') && !files.has(name)) files.set(name, networkFile(view, folder, name, context));
    }
  }
  const taken: NetworkFile[] = [];
  for (const [, file] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (file === null || file.matches === 'no') continue;
    taken.push(file);
    if (file.matches === 'yes') break;
  }
  return taken;
}

/** null: masked, by being empty or a link to /dev/null. */
function networkFile(view: ImageView, folder: string, name: string, context: LintContext): NetworkFile | null {
  const path = `${folder}/${name}`;
  const text = textOf(view, path);
  if (text === null || text.trim() === '') return null;
  const dropIns = FOLDERS.flatMap((one) => namesIn(view, `${one}/${name}.d`).map((file) => ({ file, path: `${one}/${name}.d/${file}` })));
  const first = new Map(
    dropIns
      .filter(({ file }) => file.endsWith('.conf'))
      .toReversed()
      .map((one) => [one.file, one.path]),
  );
  const more = [...first].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, dropIn]) => parseIni(textOf(view, dropIn) ?? '', dropIn));
  const settings = [...parseIni(text, path), ...more];
  const dhcp = lastOf(settings, 'Network', 'DHCP');
  const static4 = [...valuesOf(settings, 'Network', 'Address'), ...valuesOf(settings, 'Address', 'Address')];
  const gateway = [...valuesOf(settings, 'Network', 'Gateway'), ...valuesOf(settings, 'Route', 'Gateway')].find(({ value }) =>
    value.includes('.'),
  );
  const telling = dhcp ?? static4[0] ?? settings.find((one) => one.section === 'Match') ?? null;
  return {
    name,
    path: telling?.path ?? path,
    line: telling?.line ?? null,
    from: 'file',
    matches: matchOf(settings, context),
    dhcp: dhcp !== null && ['ipv4', 'both', 'v4'].includes(dhcp.value) ? true : booleanOf(dhcp?.value ?? 'no') === true,
    addresses: static4.map(({ value }) => value).filter((value) => value.includes('.') && !value.startsWith('0.0.0.0')),
    gateway: gateway?.value ?? null,
    keeps: keepsOf(settings),
    unmanaged: booleanOf(lastOf(settings, 'Link', 'Unmanaged')?.value ?? 'no') === true,
    requiredForOnline: booleanOf(lastOf(settings, 'Link', 'RequiredForOnline')?.value ?? 'yes') !== false,
  };
}

function keepsOf(settings: readonly Setting[]): NetworkFile['keeps'] {
  const value = lastOf(settings, 'Network', 'KeepConfiguration')?.value;
  if (value === undefined) {
    // The older name of KeepConfiguration=yes.
    return booleanOf(lastOf(settings, 'DHCP', 'CriticalConnection')?.value ?? 'no') === true ? 'all' : 'nothing';
  }
  if (value === 'static') return 'static';
  return booleanOf(value) === true ? 'all' : 'nothing';
}

type Check = (words: readonly string[], context: LintContext) => Certainty;

const certainly = (yes: boolean): Certainty => (yes ? 'yes' : 'no');
const never: Check = () => 'no';
const unsure: Check = () => 'maybe';

/** One key of [Match] against a virtio interface of a VM. A list that begins with `!` means its opposite. */
const checks: Readonly<Record<string, Check>> = {
  Name: (words, context) => globs(words, [context.interfaceName]),
  OriginalName: (words, context) => globs(words, [context.interfaceName]),
  Type: (words) => globs(words, ['ether']),
  Driver: (words) => globs(words, ['virtio_net']),
  // the kind of a made device (bridge, vlan, …); a virtio interface has none
  Kind: (words) => certainly((words[0] ?? '').startsWith('!')),
  // virtio-mmio from ACPI or from the command line
  Path: (words) => (globs(words, ['platform-virtio-mmio.0', 'platform-LNRO0005:00']) === 'yes' ? 'maybe' : 'no'),
  MACAddress: unsure,
  PermanentMACAddress: unsure,
  WLANInterfaceType: never,
  SSID: never,
  BSSID: never,
  Virtualization: (words) => virtualization(words[0] ?? ''),
  Architecture: (words) => certainly(words[0] === 'x86-64' || ((words[0] ?? '').startsWith('!') && words[0] !== '!x86-64')),
  KernelCommandLine: (words, context) => {
    const word = (words[0] ?? '').replace(/^!/, '');
    const [key = '', value] = word.split('=', 2);
    const there = value === undefined ? argOf(context, key) !== null : argOf(context, key) === value;
    return certainly(there !== (words[0] ?? '').startsWith('!'));
  },
};

export function matchOf(settings: readonly Setting[], context: LintContext): Certainty {
  const keys = new Set(settings.filter((one) => one.section === 'Match' && one.value !== '').map((one) => one.key));
  // Without a condition systemd before 243 matched everything, newer ones nothing (networkd-network.c, network_verify).
  if (keys.size === 0) return 'maybe';
  let sum: Certainty = 'yes';
  for (const key of keys) {
    const words = valuesOf(settings, 'Match', key).flatMap(({ value }) => value.split(/\s+/));
    const one = (checks[key] ?? unsure)(words, context);
    if (one === 'no') return 'no';
    if (one === 'maybe') sum = 'maybe';
  }
  return sum;
}

function globs(words: readonly string[], texts: readonly string[]): Certainty {
  const negated = (words[0] ?? '').startsWith('!');
  const patterns = words.map((word, index) => (negated && index === 0 ? word.slice(1) : word));
  return certainly(patterns.some((pattern) => texts.some((text) => matchesGlob(pattern, text))) !== negated);
}

function virtualization(word: string): Certainty {
  const negated = word.startsWith('!');
  const plain = negated ? word.slice(1) : word;
  const is = plain === 'container' || booleanOf(plain) === false ? false : plain === 'vm' || booleanOf(plain) === true ? true : null;
  return is === null ? 'maybe' : certainly(is !== negated);
}
