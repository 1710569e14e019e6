/**
 * What netplan's generator makes of /etc/netplan at each boot, for the guest's interface. Pure.
 * Source: netplan-yaml(5); netplan src/networkd.c (10-netplan-<id>.network, KeepConfiguration for `critical`) and src/generate.c: as soon as there is
 * one definition for networkd, the generator also enables systemd-networkd.
 */
import type { LintContext } from '../context.ts';
import { isThere, namesIn, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';
import { matchesGlob } from './glob.ts';
import type { Certainty, NetworkFile } from './networkd.ts';
import type { Pulled } from './started.ts';
import { parseYaml, textUnder, under, yes } from './yaml.ts';
import type { Yaml } from './yaml.ts';

export type Netplan = {
  /** the generator is installed, so the files count */
  present: boolean;
  renderer: 'networkd' | 'NetworkManager';
  /** definitions for networkd that may take the interface */
  files: readonly NetworkFile[];
  /** units that its generator enables */
  enables: readonly Pulled[];
  /** files that are not understood here */
  unclear: readonly string[];
};

const FOLDERS = ['/lib/netplan', '/usr/lib/netplan', '/etc/netplan'];
const GENERATORS = ['/usr/lib/systemd/system-generators/netplan', '/lib/systemd/system-generators/netplan'];
const ENABLED = ['systemd-networkd.service', 'systemd-networkd-wait-online.service'].map((name): Pulled => ({
  name,
  by: 'netplan',
  path: '/etc/netplan',
}));
const KINDS = ['ethernets', 'bridges', 'bonds', 'vlans', 'wifis', 'tunnels', 'dummy-devices'];

export function netplanOf(view: ImageView, context: LintContext): Netplan {
  const files = new Map(FOLDERS.flatMap((folder) => namesIn(view, folder).map((name) => [name, `${folder}/${name}`] as const)));
  const unclear: string[] = [];
  const documents = [...files]
    .filter(([name]) => name.endsWith('.yaml'))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, path]) => {
      const text = textOf(view, path);
      if (text === null || text.trim() === '') return [];
      const yaml = parseYaml(text);
      if (yaml === null) unclear.push(path);
      return yaml === null ? [] : [{ path, yaml }];
    });
  const renderer = documents.map(({ yaml }) => textUnder(yaml, 'network', 'renderer')?.text).findLast((word) => word !== undefined);
  const forNetworkd = renderer !== 'NetworkManager';
  const defined = documents.some(({ yaml }) => KINDS.some((kind) => under(yaml, 'network', kind)?.is === 'map'));
  const present = GENERATORS.some((path) => isThere(view, path));
  return {
    present,
    renderer: forNetworkd ? 'networkd' : 'NetworkManager',
    files: documents.flatMap(({ path, yaml }) => ethernets(path, under(yaml, 'network', 'ethernets'), context)),
    enables: present && forNetworkd && defined ? ENABLED : [],
    unclear: present ? unclear : [],
  };
}

function ethernets(path: string, yaml: Yaml | null, context: LintContext): NetworkFile[] {
  if (yaml?.is !== 'map') return [];
  return yaml.entries.flatMap(({ key, line, value }) => {
    const matches = matchOf(key, under(value, 'match'), context);
    if (matches === 'no') return [];
    const dhcp = textUnder(value, 'dhcp4');
    const given = under(value, 'addresses');
    // An address is a word, or a map with the address as its key.
    const addresses =
      given?.is === 'list'
        ? given.items.map((one) => (one.is === 'text' ? one.text : one.is === 'map' ? (one.entries[0]?.key ?? '') : ''))
        : [];
    const routes = under(value, 'routes');
    const viaDefault = (routes?.is === 'list' ? routes.items : []).find((route) =>
      /^(?:default|0\.0\.0\.0\/0)$/.test(textUnder(route, 'to')?.text ?? ''),
    );
    return [
      {
        name: `10-netplan-${key}.network`,
        path,
        line: (yes(dhcp?.text) ? dhcp?.line : given?.line) ?? line,
        from: 'netplan' as const,
        matches,
        dhcp: yes(dhcp?.text),
        addresses: addresses.filter((address) => address.includes('.')),
        gateway: textUnder(value, 'gateway4')?.text ?? textUnder(viaDefault ?? null, 'via')?.text ?? null,
        keeps: yes(textUnder(value, 'critical')?.text) ? ('all' as const) : ('nothing' as const),
        unmanaged: textUnder(value, 'activation-mode')?.text === 'manual',
        requiredForOnline: !yes(textUnder(value, 'optional')?.text),
      },
    ];
  });
}

function matchOf(id: string, match: Yaml | null, context: LintContext): Certainty {
  if (match?.is !== 'map') return id === context.interfaceName ? 'yes' : 'no';
  let sum: Certainty = 'yes';
  for (const { key, value } of match.entries) {
    const words =
      value.is === 'text' ? [value.text] : value.is === 'list' ? value.items.map((one) => (one.is === 'text' ? one.text : '')) : [];
    const holds = (text: string): boolean => words.some((word) => matchesGlob(word, text));
    if (key === 'name' ? !holds(context.interfaceName) : key === 'driver' ? !holds('virtio_net') : false) return 'no';
    if (key !== 'name' && key !== 'driver') sum = 'maybe';
  }
  return sum;
}
