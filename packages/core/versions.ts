/** Versions as three numbers, of VMMs and of kernels, and spans of them. Pure. */

export type Version = { major: number; minor: number; patch: number; text: string };
/** Half open: `[from, until)`. */
export type Span = { from: string; until?: string };

/** `1.9.1`, `v1.16.1`, `1.17.0-dev`: what is behind the numbers does not count. */
export function parseVersion(text: string): Version | null {
  const match = /^v?(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:-[\w.-]{1,40})?$/.exec(text.trim());
  if (match === null) return null;
  const [major = 0, minor = 0, patch = 0] = match.slice(1, 4).map(Number);
  return { major, minor, patch, text: text.trim().replace(/^v/, '') };
}

export function compareVersions(a: Version, b: Version): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch;
}

/** A version that stands in a table of ours; one that is none is a bug. */
export function known(text: string): Version {
  const version = parseVersion(text);
  if (version === null) throw new Error(`${text} is no version`);
  return version;
}

export function within(version: Version, spans: readonly Span[]): boolean {
  return spans.some(
    ({ from, until }) => compareVersions(version, known(from)) >= 0 && (until === undefined || compareVersions(version, known(until)) < 0),
  );
}
