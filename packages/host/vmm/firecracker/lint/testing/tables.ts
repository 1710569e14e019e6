/** A configuration that nothing is to be said about, ways to spoil it, and the form of the tables that the rules are tested by. */
import { expect, test } from 'vitest';
import { parseVersion, type Version } from '@linstock/core';
import type { Finding, Severity } from '../finding.ts';
import { lintConfig } from '../lint.ts';

export type Sections = Record<string, unknown>;

export function v(text: string): Version {
  const version = parseVersion(text);
  if (version === null) throw new Error(`${text} is no version`);
  return version;
}

/** As a careful person writes it for 1.16.1. */
export const good = (): Sections => ({
  'boot-source': { kernel_image_path: '/k/vmlinux', boot_args: 'console=ttyS0 reboot=k panic=1' },
  'machine-config': { vcpu_count: 2, mem_size_mib: 256 },
  drives: [{ drive_id: 'root', path_on_host: '/d/root.ext4', is_root_device: true, is_read_only: false, cache_type: 'Writeback' }],
  'network-interfaces': [{ iface_id: 'eth0', host_dev_name: 'tap0', guest_mac: '02:fc:00:00:00:01' }],
  vsock: { guest_cid: 3, uds_path: '/run/v.sock' },
  entropy: {},
});
/** The good one with some fields of a section changed; undefined takes a field away. */
export const withIn = (name: string, changes: Sections): Sections => {
  const all = good();
  return { ...all, [name]: { ...(all[name] as Sections), ...changes } };
};
/** The same for the first entry of a list. */
export const withEntry = (name: string, changes: Sections): Sections => {
  const all = good();
  return { ...all, [name]: [{ ...(all[name] as Sections[])[0], ...changes }] };
};
export const withArgs = (boot_args: unknown): Sections => withIn('boot-source', { boot_args });
/** The usual arguments and more. */
export const plusArgs = (more: string): Sections => withArgs(`console=ttyS0 reboot=k panic=1 ${more}`);
export const twoDrives = (second: Sections, first: Sections = {}): Sections => {
  const all = good();
  return {
    ...all,
    drives: [
      { ...(all['drives'] as Sections[])[0], ...first },
      { drive_id: 'data', path_on_host: '/d/data', is_root_device: false, is_read_only: true, ...second },
    ],
  };
};
export const twoNets = (second: Sections): Sections => {
  const all = good();
  return {
    ...all,
    'network-interfaces': [
      ...(all['network-interfaces'] as Sections[]),
      { iface_id: 'eth1', host_dev_name: 'tap1', guest_mac: '02:fc:00:00:00:02', ...second },
    ],
  };
};

/** A text is taken as it is: for what an object cannot say. */
export const lint = (config: object | string, version = '1.16.1'): readonly Finding[] =>
  lintConfig(typeof config === 'string' ? config : JSON.stringify(config), v(version)).findings;

export type Row = {
  says: string;
  sick: object | string;
  /** the same thing mended: the finding must be gone */
  well: object | string;
  finds: `${Severity} ${string}`;
  words: RegExp;
  version?: string;
  /** for `well`, where a version is what mends it */
  wellVersion?: string;
};

/** One finding as a line: `error /drives/0/drive_id: what why fix`. */
export const line = ({ severity, at, what, why, fix }: Finding): string => `${severity} ${at}: ${what} ${why} ${fix}`;

/** Each row is found when sick, and not when well; every sentence ends as one. */
export function testRows(rows: readonly Row[], find: (config: object | string, version?: string) => readonly Finding[] = lint): void {
  test.each(rows)('$says', ({ sick, well, finds, words, version, wellVersion }) => {
    const matching = (found: readonly Finding[]): readonly string[] =>
      found
        .filter(({ severity, at }) => `${severity} ${at}` === finds)
        .map(line)
        .filter((text) => words.test(text));
    const found = find(sick, version);
    expect(found.map(line).join('\n')).toMatch(words);
    expect(matching(found)).toHaveLength(1);
    expect(matching(find(well, wellVersion ?? version))).toEqual([]);
    for (const { what, why, fix } of found) for (const sentence of [what, why]) expect([sentence, fix]).not.toContain('');
    for (const { what, why } of found) for (const sentence of [what, why]) expect(sentence).toMatch(/[.…]$/);
  });
}
