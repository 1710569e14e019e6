/** A configuration file and, if wanted, this machine, as one list of findings with the places where they stand. */
import { parseVersion, type Version } from '@linstock/core';
import { newest, refusalOfVersion } from '../versions.ts';
import type { Finding } from './finding.ts';
import { judgeHost } from './host-judge.ts';
import { lookAtHost } from './host-look.ts';
import { inOrder, lintConfig } from './lint.ts';

export { mostConfigBytes } from './lint.ts';

export type PlacedFinding = Finding & {
  /** `file`: it holds wherever the file is; `host`: on this machine, for this user */
  of: 'file' | 'host';
  line: number;
  column: number;
};
export type LintOrder = {
  bytes: Uint8Array;
  /** where relative paths are looked up */
  folder: string;
  /** null: nobody said; the newest that is known */
  version: Version | null;
  /** whether this machine is looked at */
  host: boolean;
  signal?: AbortSignal;
};

export async function lintFile(o: LintOrder): Promise<{ version: string; findings: readonly PlacedFinding[] }> {
  const version = o.version ?? newestVersion();
  const { findings, config, placeOf } = lintConfig(o.bytes, version, { assumed: o.version === null });
  const seen = o.host && config !== null ? judgeHost(config, version, await lookAtHost(config, o.folder, o.signal)) : [];
  const ofHost = new Set(seen);
  const all = inOrder([...findings, ...seen], placeOf);
  return {
    version: version.text,
    findings: all.map((finding) => ({ ...finding, of: ofHost.has(finding) ? 'host' : 'file', ...placeOf(finding.at) })),
  };
}

/** The version that a person wrote; null when it is none that the tables know of. */
export function versionFrom(text: string): Version | null {
  const version = parseVersion(text);
  return version === null || refusalOfVersion(version) !== null ? null : version;
}

export function newestVersion(): Version {
  const version = parseVersion(newest);
  if (version === null) throw new Error(`${newest} is no version`);
  return version;
}
