/**
 * Whether cloud-init runs at the boot, and whether it writes network configuration. Pure.
 * Source: cloud-init's tools/ds-identify and systemd/cloud-init-generator; its documentation, "Network configuration" and "Datasources".
 */
import { isThere, namesIn, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';
import { parseYaml, textUnder, under } from './yaml.ts';
import type { Yaml } from './yaml.ts';

export type CloudInit = {
  /** its program and its configuration are there */
  present: boolean;
  /** by a file that switches it off */
  disabled: boolean;
  /** `network: {config: disabled}`: it leaves the network alone */
  networkDisabled: boolean;
  /** what `datasource_list` names, the last file wins; null: the built-in list, which takes what it finds */
  sources: { names: readonly string[]; path: string; line: number } | null;
};

const PROGRAMS = ['/usr/bin/cloud-init', '/usr/local/bin/cloud-init', '/bin/cloud-init'];

export function cloudInitOf(view: ImageView): CloudInit {
  const paths = ['/etc/cloud/cloud.cfg', ...namesIn(view, '/etc/cloud/cloud.cfg.d').map((name) => `/etc/cloud/cloud.cfg.d/${name}`)];
  const documents = paths
    .filter((path) => path.endsWith('.cfg'))
    .flatMap((path): { path: string; yaml: Yaml | null }[] => {
      const text = textOf(view, path);
      return text === null ? [] : [{ path, yaml: parseYaml(text) }];
    });
  const lists = documents.flatMap(({ path, yaml }) => {
    const list = under(yaml, 'datasource_list');
    return list?.is === 'list'
      ? [{ names: list.items.flatMap((one) => (one.is === 'text' ? [one.text] : [])), path, line: list.line }]
      : [];
  });
  return {
    present: PROGRAMS.some((path) => isThere(view, path)) && isThere(view, '/etc/cloud/cloud.cfg'),
    disabled: isThere(view, '/etc/cloud/cloud-init.disabled'),
    networkDisabled: documents.some(({ yaml }) => textUnder(yaml, 'network', 'config')?.text === 'disabled'),
    sources: lists.at(-1) ?? null,
  };
}

/** Sources of a cloud that asks an address on the network, which no microVM answers unless MMDS plays it. */
export function asksTheNetwork(source: string): boolean {
  return !['none', 'nocloud', 'configdrive', 'fallback', 'ovf', 'wsl'].includes(source.toLowerCase());
}
