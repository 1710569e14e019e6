/**
 * Snapshot files (vmm/src/persist.rs): a state file that begins with the magic number and carries the format version, the exact release and a check
 * sum; a memory file of the size of the guest's memory. What is inside is ours; what is looked at, and in which order, is theirs.
 */
import { ftruncateSync, closeSync, existsSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { createConnection } from 'node:net';
import { at } from './jail-paths.ts';
import { textOf, type Json } from './json.ts';
import { osError } from './output.ts';
import { Refused, type Resources } from './resources.ts';
import { atLeast, snapshotFormat, type SimVersion } from './versions.ts';
import type { VmmFace } from './vmm-face.ts';

const magic = '0710198486640000';

export type SnapshotState = {
  /** the layout differs between releases that share a format number (1.13 and 1.14; 1.9 and 1.10.0) */
  layout: string;
  line: string;
  machine: Resources['machine'];
  drives: Resources['drives'];
  nets: Resources['nets'];
  pmem: Resources['pmem'];
  balloon: Resources['balloon'];
  entropy: Resources['entropy'];
  vsock: { guest_cid: number; uds_path: string } | null;
  mmds: Resources['mmds'];
  memoryHotplug: Resources['memoryHotplug'];
};

export function createSnapshot(vmm: VmmFace, given: Record<string, Json>): void {
  const { resources, parts, line } = vmm;
  const { vsock } = resources;
  if (resources.drives.some((drive) => drive.socket !== null))
    throw new Refused('Cannot save the microVM state: Operation not allowed: Cannot save a VM with vhost-user-block device');
  const state: SnapshotState = {
    layout: layoutOf(parts.version),
    line,
    machine: resources.machine,
    drives: resources.drives,
    nets: resources.nets,
    pmem: resources.pmem,
    balloon: resources.balloon,
    entropy: resources.entropy,
    vsock: vsock && { guest_cid: vsock.guest_cid, uds_path: vsock.uds_path },
    mmds: resources.mmds,
    memoryHotplug: resources.memoryHotplug,
  };
  const text = JSON.stringify(state);
  write(at(textOf(given['snapshot_path'])), 'w', 'snapshot', (fd) => {
    writeSync(fd, `${magic} ${snapshotFormat(parts.version)} ${checkSum(text)}\n${text}`);
  });
  const size = resources.machine.mem_size_mib * 0x10_0000;
  const path = at(textOf(given['mem_file_path']));
  // A memory file of the right size is written over, not made anew; a Diff makes a sparse one.
  const flags = existsSync(path) && statSync(path).size === size ? 'r+' : 'w';
  write(path, flags, 'memory', (fd) => {
    ftruncateSync(fd, size);
    writeSync(fd, `${given['snapshot_type'] === 'Diff' ? 'diff' : 'full'}\n`, 0);
  });
  // The guest hears of a transport reset, the host sees its connections end.
  vsock?.socket.reset();
}

function write(path: string, flags: 'w' | 'r+', what: 'snapshot' | 'memory', fill: (fd: number) => void): void {
  try {
    const fd = openSync(path, flags, 0o644);
    fill(fd);
    fsyncSync(fd);
    closeSync(fd);
  } catch (error) {
    throw new Refused(`Cannot perform open on the ${what} backing file: ${osError(error)}`);
  }
}

/** For `--describe-snapshot`: the version that a state file carries. Throws the words of the refusal. */
export function describeSnapshot(path: string): string {
  let head: string;
  try {
    head = readFileSync(at(path), 'latin1').slice(0, 200);
  } catch (error) {
    throw new Refused(`Unable to open snapshot state file: ${osError(error)}`);
  }
  const found = new RegExp(`^${magic} (\\d+\\.\\d+\\.\\d+) `).exec(head);
  if (!found) throw new Refused('Invalid data format version of snapshot file: Magic value does not match arch: 0');
  return found[1] ?? '';
}

export async function loadSnapshot(vmm: VmmFace, given: Record<string, Json>): Promise<SnapshotState> {
  const { resources, parts } = vmm;
  const state = readState(textOf(given['snapshot_path']), parts.version);
  for (const one of (given['network_overrides'] ?? []) as { iface_id: string; host_dev_name: string }[]) {
    const net = state.nets.find((other) => other.iface_id === one.iface_id);
    if (!net) throw new Refused('Failed to restore from snapshot: Failed to get snapshot state from file: Unknown Network Device.');
    net.host_dev_name = one.host_dev_name;
  }
  const override = given['vsock_override'] as { uds_path: string } | null | undefined;
  if (override) {
    if (!state.vsock) throw new Refused('Failed to restore from snapshot: Failed to get snapshot state from file: Unknown Vsock Device.');
    state.vsock.uds_path = override.uds_path;
  }
  await loadMemory(given, state);
  resources.machine = {
    ...state.machine,
    track_dirty_pages: given['track_dirty_pages'] === true || given['enable_diff_snapshots'] === true,
  };
  const devices = async (restore: () => void | Promise<void>): Promise<void> => {
    try {
      await restore();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const where = atLeast(parts.version, '1.13.0')
        ? 'Failed to restore devices: Error restoring MMIO devices: '
        : 'Failed to restore MMIO device: ';
      throw new Refused(`Failed to restore from snapshot: Failed to build microVM from snapshot: ${where}${error.message}`);
    }
  };
  for (const drive of state.drives) await devices(() => resources.openDrive(drive));
  for (const net of state.nets) await devices(() => resources.holdTap(net.host_dev_name, (why) => `Net: CreateNet(TapOpen(${why}))`));
  for (const pmem of state.pmem) await devices(() => resources.openPmem(pmem, ''));
  const { vsock } = state;
  if (vsock) await devices(() => resources.setVsock(vsock));
  Object.assign(resources, {
    drives: state.drives,
    nets: state.nets,
    pmem: state.pmem,
    balloon: state.balloon,
    entropy: state.entropy,
    mmds: state.mmds,
    memoryHotplug: state.memoryHotplug,
  });
  if (state.mmds) vmm.mmds.configured();
  return state;
}

async function loadMemory(given: Record<string, Json>, state: SnapshotState): Promise<void> {
  const backend = given['mem_backend'] as { backend_path: string; backend_type: string } | null | undefined;
  const path = at(backend?.backend_path ?? textOf(given['mem_file_path']));
  const prefix = 'Failed to restore from snapshot: Failed to load guest memory: Error creating guest memory from ';
  if (backend?.backend_type === 'Uffd') {
    await new Promise<void>((resolve, reject) => {
      const handler = createConnection(path, () => resolve());
      handler.on('error', (error) => reject(new Refused(`${prefix}uffd: Failed to connect to UDS Unix stream: ${osError(error)}`)));
    });
    return;
  }
  if (state.machine.huge_pages !== 'None')
    throw new Refused(`${prefix}file: Cannot restore hugetlbfs backed snapshot by mapping the memory file. Please use uffd.`);
  let size: number;
  try {
    closeSync(openSync(path, 'r'));
    ({ size } = statSync(path));
  } catch (error) {
    throw new Refused(`${prefix}file: Failed to load guest memory: ${osError(error)}`);
  }
  if (size < state.machine.mem_size_mib * 0x10_0000)
    throw new Refused(
      `${prefix}file: Failed to restore guest memory: Cannot create mmap region: The specified file offset and length is greater then file length`,
    );
}

function readState(path: string, version: SimVersion): SnapshotState {
  const prefix = 'Failed to restore from snapshot: Failed to get snapshot state from file: ';
  let text: string;
  try {
    text = readFileSync(at(path), 'utf8');
  } catch (error) {
    throw new Refused(`${prefix}Failed to open snapshot file: ${osError(error)}`);
  }
  const bad = (why: string): Refused => new Refused(`${prefix}Failed to load snapshot state from file: ${why}`);
  const cut = text.indexOf('\n');
  const [found, format = '', sum] = text.slice(0, cut).split(' ');
  if (found !== magic) throw bad('Magic value does not match arch: 0');
  const [own, theirs] = [snapshotFormat(version).split('.').map(Number), format.split('.').map(Number)];
  if (own[0] !== theirs[0] || (theirs[1] ?? 0) > (own[1] ?? 0)) throw bad(`Invalid data version: ${format}`);
  const body = text.slice(cut + 1);
  if (checkSum(body) !== sum) throw bad('CRC64 validation failed');
  const state = JSON.parse(body) as SnapshotState;
  // The number does not tell 1.13 from 1.14, but the bytes do not fit.
  if (state.layout !== layoutOf(version)) throw bad('An error occurred during bincode serialization: unexpected end of file');
  return state;
}

function layoutOf(version: SimVersion): string {
  return version === '1.10.0' ? '1.10.0' : version.split('.').slice(0, 2).join('.');
}

/** Not CRC64: it has to notice a torn or changed file, and nobody else reads it. */
function checkSum(text: string): string {
  let sum = 0xcbf29ce4;
  for (const byte of Buffer.from(text)) sum = Math.imul(sum ^ byte, 0x0100_0193) >>> 0;
  return sum.toString(16);
}
