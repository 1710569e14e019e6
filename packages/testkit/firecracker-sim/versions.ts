/**
 * The versions that are simulated, and the two ways in which a thing depends on one. A version number alone is not always enough:
 * `clock_realtime` is in 1.14.4 and 1.15.1 but not in 1.15.0.
 */

/** Every release from 1.9.1 to 1.16.1. */
export const simVersions = [
  '1.9.1',
  '1.10.0',
  '1.10.1',
  '1.11.0',
  '1.12.0',
  '1.12.1',
  '1.13.0',
  '1.13.1',
  '1.13.2',
  '1.14.0',
  '1.14.1',
  '1.14.2',
  '1.14.3',
  '1.14.4',
  '1.15.0',
  '1.15.1',
  '1.16.0',
  '1.16.1',
] as const;
export type SimVersion = (typeof simVersions)[number];

/** The one release of each minor that most tests run on: those whose API documents are at hand, and 1.11. */
export const oneOfEachMinor = [
  '1.9.1',
  '1.10.1',
  '1.11.0',
  '1.12.1',
  '1.13.1',
  '1.14.4',
  '1.15.1',
  '1.16.1',
] as const satisfies SimVersion[];

export function isSimVersion(text: string): text is SimVersion {
  return simVersions.some((version) => version === text);
}

/** The first release that has a thing, and later ones that lack it all the same. */
export type Since = { since: SimVersion; but?: readonly SimVersion[] };
export const always: Since = { since: '1.9.1' };

export function has(version: SimVersion, { since, but = [] }: Since): boolean {
  return atLeast(version, since) && !but.includes(version);
}

export function atLeast(version: SimVersion, other: SimVersion): boolean {
  return simVersions.indexOf(version) >= simVersions.indexOf(other);
}

/** The format of the snapshots that a version writes (vmm/src/persist.rs): 1.13 and 1.14 share a number and not the layout. */
export function snapshotFormat(version: SimVersion): string {
  const formats: readonly (readonly [SimVersion, string])[] = [
    ['1.16.0', '10.0.0'],
    ['1.15.0', '9.0.0'],
    ['1.13.0', '8.0.0'],
    ['1.12.0', '6.0.0'],
    ['1.11.0', '5.0.0'],
    ['1.10.1', '4.0.0'],
  ];
  return formats.find(([from]) => atLeast(version, from))?.[1] ?? '3.0.0';
}
