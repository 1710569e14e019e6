/**
 * What each Firecracker can do, by its exact version. Pure.
 *
 * Rule for versions between those that were read: an ability holds from the version that brought it on (a lower bound), until a version
 * that lost it. "At least X" is not always enough: `clock_realtime` is in 1.14.4, not in 1.15.0, and again in 1.15.1. What came with a
 * release that is newer than this table is not known to us and not used.
 * Sources, at the tags v1.9.1, v1.13.0 and v1.16.1: CHANGELOG.md, src/firecracker/swagger/firecracker.yaml, src/vmm/src/vmm_config,
 * src/vmm/src/builder.rs, src/jailer/src.
 */

import { compareVersions, known, parseVersion, within, type Span, type Version } from '@linstock/core';

/** The oldest that we drive: 1.9.1 is what is tested, and 1.9.0 has the same API. */
export const oldest = '1.9.0';
/** The newest that the tables of this folder were read from. */
export const newest = '1.16.1';

/**
 * The version in what `--version` prints. Only its first line counts: a second one is a line of the log (firecracker/src/main.rs), and `jailer` says
 * its own name.
 */
export function versionIn(output: string): Version | null {
  const match = /^(?:Firecracker|Jailer) v(\S{1,64})/.exec(output.split('\n', 1)[0] ?? '');
  return match?.[1] === undefined ? null : parseVersion(match[1]);
}

/** Why this version is not driven at all; null when it is. */
export function refusalOfVersion(version: Version): string | null {
  if (compareVersions(version, known(oldest)) >= 0 && version.major === 1) return null;
  return `Firecracker ${version.text} is not supported: Linstock drives 1.9.1 to ${newest} and newer 1.x; install one of those.`;
}

/** Where each ability holds. `fixed…` and `safe…` name defects by their absence, so that all entries read the same way. */
export const abilitySpans = {
  /** PUT /snapshot/load may name other TAPs */
  networkOverrides: [{ from: '1.12.0' }],
  vsockOverride: [{ from: '1.16.0' }],
  clockRealtime: [{ from: '1.14.4', until: '1.15.0' }, { from: '1.15.1' }],
  trackDirtyPagesAtLoad: [{ from: '1.13.0' }],
  diffWithoutTracking: [{ from: '1.13.0' }],
  /** --enable-pci; older ones end with 153 */
  pci: [{ from: '1.13.0' }],
  /** PUT /serial; never a key of a configuration file */
  serial: [{ from: '1.14.0' }],
  serialLimit: [{ from: '1.16.0' }],
  pmem: [{ from: '1.14.0' }],
  memoryHotplug: [{ from: '1.14.0' }],
  /** devices after the start, with --enable-pci only; developer preview */
  deviceHotplug: [{ from: '1.16.0' }],
  freePageReporting: [{ from: '1.14.0' }],
  mtu: [{ from: '1.16.0' }],
  imdsCompat: [{ from: '1.13.0' }],
  inlineCpuConfig: [{ from: '1.13.0' }],
  hugePagesWithInitrd: [{ from: '1.11.0' }],
  hugePagesWithBalloon: [{ from: '1.14.0' }],
  /** the ELF is entered by its PVH note when it has one */
  pvh: [{ from: '1.12.0' }],
  /** log and metrics files are made when they are missing */
  createsLogFiles: [{ from: '1.14.0' }],
  /** `pci=off` is appended to any command line when there is no --enable-pci (builder.rs) */
  appendsPciOff: [{ from: '1.13.0' }],
  /** RAM splits at 3 GiB instead of 3.25 GiB, and devices begin at 0xc0001000 instead of 0xd0000000 (arch/x86_64/layout.rs) */
  gibibyteGap: [{ from: '1.13.0' }],
  /** VMGenID takes interrupt 5 before any device gets one (device_manager/mod.rs DeviceManager::new; seen in 1.14.4) */
  vmgenidFirst: [{ from: '1.14.0', until: '1.15.0' }],
  /** a triple fault ends with 1 instead of 0 */
  tripleFaultIsOne: [{ from: '1.15.0' }],
  /** the jailer takes a binary of any name; before, the name must contain "firecracker" */
  anyExecName: [{ from: '1.13.0' }],
  /** the jailer refuses to copy the binary over a symbolic or hard link */
  safeBinaryCopy: [{ from: '1.13.2', until: '1.14.0' }, { from: '1.14.1' }],
  /** --new-pid-ns without --daemonize under a session leader: before, a stray SIGHUP could end it (#5045) */
  safeNewPidNs: [{ from: '1.11.0' }],
  /** the guest is told after a restore that its vsock connections are gone (#4796) */
  vsockReset: [{ from: '1.10.0' }],
  /** after a bare pause and resume the host can still connect by vsock (#6100) */
  vsockSurvivesPause: [{ from: '1.9.0', until: '1.16.0' }],
  /** memory of virtio-rng is bounded */
  boundedRng: [{ from: '1.14.4', until: '1.15.0' }, { from: '1.15.1' }],
  /** incremental snapshots of VMs above 3 GiB are whole (#5705) */
  wholeDiffs: [{ from: '1.9.0', until: '1.14.0' }, { from: '1.14.2' }],
  fullSnapshotsSupported: [{ from: '1.13.0' }],
} as const satisfies Record<string, readonly Span[]>;

export type FirecrackerAbility = keyof typeof abilitySpans;
export const firecrackerAbilities = Object.keys(abilitySpans) as readonly FirecrackerAbility[];

export function has(version: Version, ability: FirecrackerAbility): boolean {
  return within(version, abilitySpans[ability]);
}

/** Why a VM of this version must not be paused; null when it may, or when nobody can tell. */
export function refusalOfPause(text: string): string | null {
  const version = parseVersion(text);
  if (version === null || has(version, 'vsockSurvivesPause')) return null;
  return 'after a pause the host never reaches its guest by vsock again (Firecracker issue 6100); stop it, or run it on another version';
}

/** All that this version has, sorted: for `host show`. */
export function abilitiesOf(version: Version): readonly FirecrackerAbility[] {
  return firecrackerAbilities.filter((ability) => has(version, ability)).toSorted();
}

/** `it came with 1.12.0` or, where it went and came again, `1.14.4 has it, 1.15.0 does not, 1.15.1 and newer do`. */
export function whenSpans(spans: readonly Span[]): string {
  const [only, ...more] = spans;
  if (only !== undefined && more.length === 0) {
    return only.until === undefined
      ? `it came with ${only.from}`
      : `it is in ${only.from} and newer until ${only.until}, which has it no more`;
  }
  return spans
    .map(({ from, until }) => (until === undefined ? `${from} and newer have it` : `${from} has it, ${until} does not`))
    .join(', ');
}

/**
 * Snapshots load in the version that made them and nowhere else: 1.13 and 1.14 carry the same number and different layouts, so did 1.9 and
 * 1.10.0 (vmm/src/persist.rs SNAPSHOT_VERSION). For people, and to tell what a file was made by; never to decide that a load will work.
 */
export function snapshotFormatOf(version: Version): string | null {
  const formats: readonly (readonly [since: string, format: string])[] = [
    ['1.9.0', '3.0.0'],
    ['1.10.1', '4.0.0'],
    ['1.11.0', '5.0.0'],
    ['1.12.0', '6.0.0'],
    ['1.13.0', '8.0.0'],
    ['1.15.0', '9.0.0'],
    ['1.16.0', '10.0.0'],
  ];
  return formats.findLast(([since]) => compareVersions(version, known(since)) >= 0)?.[1] ?? null;
}

/** Whether a kernel file can be started; the first 1 KiB of it is enough. Firecracker itself looks only when the VM is started. */
export function refusalOfKernel(head: Uint8Array): string | null {
  if (head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46) return null;
  const isBzImage = head.length >= 0x206 && Buffer.from(head.subarray(0x202, 0x206)).toString('latin1') === 'HdrS';
  return isBzImage
    ? 'The kernel is a bzImage, and Firecracker up to 1.16.1 starts only an uncompressed ELF vmlinux: take it out with extract-vmlinux.'
    : 'The kernel is not an ELF file, and Firecracker starts only an uncompressed ELF vmlinux.';
}
