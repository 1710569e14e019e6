/**
 * Connections of NetworkManager that may take the guest's interface. Pure.
 * Source: nm-settings-keyfile(5), NetworkManager.conf(5).
 */
import type { LintContext } from '../context.ts';
import { namesIn, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';
import { matchesGlob } from './glob.ts';
import { booleanOf, lastOf, parseIni } from './ini.ts';
import type { Setting } from './ini.ts';

export type Connection = { path: string; line: number | null; method: string; addresses: readonly string[]; gateway: boolean };
export type NetworkManager = {
  connections: readonly Connection[];
  /** the configuration tells it to leave the interface alone */
  unmanaged: boolean;
};

const CONNECTIONS = ['/etc/NetworkManager/system-connections', '/usr/lib/NetworkManager/system-connections'];
const CONFIGS = ['/usr/lib/NetworkManager/conf.d', '/etc/NetworkManager/conf.d'];

export function networkManagerOf(view: ImageView, context: LintContext): NetworkManager {
  const configs = [
    '/etc/NetworkManager/NetworkManager.conf',
    ...CONFIGS.flatMap((folder) =>
      namesIn(view, folder)
        .filter((name) => name.endsWith('.conf'))
        .map((name) => `${folder}/${name}`),
    ),
  ];
  const settings = configs.flatMap((path) => parseIni(textOf(view, path) ?? '', path));
  return {
    connections: CONNECTIONS.flatMap((folder) => namesIn(view, folder).flatMap((name) => connection(view, `${folder}/${name}`, context))),
    unmanaged: settings.some((one) => one.key === 'unmanaged-devices' && listNames(one.value, context)),
  };
}

function connection(view: ImageView, path: string, context: LintContext): Connection[] {
  const settings = parseIni(textOf(view, path) ?? '', path);
  const value = (section: string, key: string): Setting | null => lastOf(settings, section, key);
  const type = value('connection', 'type')?.value;
  const name = value('connection', 'interface-name')?.value ?? context.interfaceName;
  if ((type !== 'ethernet' && type !== '802-3-ethernet') || name !== context.interfaceName) return [];
  if (booleanOf(value('connection', 'autoconnect')?.value ?? 'yes') === false) return [];
  const method = value('ipv4', 'method');
  const addresses = settings.filter((one) => one.section === 'ipv4' && /^address(?:es)?\d*$/.test(one.key));
  return [
    {
      path,
      line: (method ?? value('connection', 'type'))?.line ?? null,
      method: method?.value ?? 'auto',
      addresses: addresses.map((one) => one.value.split(/[,;]/)[0] ?? ''),
      gateway: value('ipv4', 'gateway') !== null || addresses.some((one) => one.value.includes(',')),
    },
  ];
}

/** `interface-name:eth*;driver:virtio_net;*`, with `except:` for what is not meant. */
function listNames(value: string, context: LintContext): boolean {
  const specs = value.split(/[;,]/).map((spec) => spec.trim());
  const fits = (spec: string): boolean => {
    const [, kind = 'interface-name', pattern = spec] = /^(interface-name|driver|type):=?(.*)$/.exec(spec) ?? [];
    const text = { 'interface-name': context.interfaceName, driver: 'virtio_net', type: 'ethernet' }[kind] ?? '';
    return pattern !== '' && matchesGlob(pattern, text);
  };
  const except = specs.some((spec) => spec.startsWith('except:') && fits(spec.slice('except:'.length)));
  return !except && specs.some((spec) => !spec.startsWith('except:') && fits(spec));
}
