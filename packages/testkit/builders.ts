import { createHash } from 'node:crypto';
import {
  makeId,
  type GoldenManifest,
  type HostFacts,
  type VmmFacts,
  type Id,
  type IdKind,
  type Instant,
  type Network,
  type Operation,
  type Proof,
  type Verdict,
} from '@linstock/contract';
import type { Claim, HistoryEntry, Ids, Vm, VmSettings } from '@linstock/core';

/** Valid records with defaults: a test names only what it is about. All of it is the same in each run. */

export const testStart: Instant = 1_700_000_000_000;

/** Time that moves only when told. */
export class TestClock {
  #now: Instant;
  constructor(now: Instant = testStart) {
    this.#now = now;
  }
  now = (): Instant => this.#now;
  advance(ms: number): Instant {
    this.#now += ms;
    return this.#now;
  }
}

/** Ids that count. Two sources with different seeds never give the same id. */
export function testIds(seed = 0): Ids {
  let count = 0;
  return {
    next: <Kind extends IdKind>(kind: Kind, now: Instant): Id<Kind> => {
      count += 1;
      const random = Buffer.alloc(10);
      random.writeUInt32BE(count, 2); // big end first, so that ids of one moment sort as they were made
      random.writeUInt32BE(seed, 6);
      return makeId(kind, now, random);
    },
  };
}

/** A random number from a seed, 0 ≤ x < 1 (mulberry32). */
export function testRandom(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The `n`-th id of a kind, at the start of the test's time. */
export function anId<Kind extends IdKind>(kind: Kind, n = 1): Id<Kind> {
  const random = Buffer.alloc(10);
  random.writeUInt32BE(n, 6);
  return makeId(kind, testStart, random);
}

export function aNetwork(more: Partial<Network> = {}): Network {
  return {
    id: anId('net', 1 + (more.index ?? 0)),
    index: 0,
    name: 'default',
    kind: 'bridge',
    subnet: '192.168.100.0/24',
    gateway: '192.168.100.1',
    bridge: 'lsaa-br0',
    egress: true,
    isolated: false,
    ...more,
  };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, part]) => [key, sorted(part)]),
  );
}

const blobOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The digest is the true one, so two manifests that differ have two digests. */
export function aGolden(more: Partial<Omit<GoldenManifest, 'digest'>> = {}): GoldenManifest {
  const { createdAt = testStart, ...rest } = more;
  const body = {
    schema: 1 as const,
    name: 'tiny',
    version: 1,
    kernel: {
      blob: blobOf('kernel'),
      bytes: 9_000_000,
      format: 'bzimage' as const,
      release: '6.1.0-41-cloud-amd64',
      banner: 'Linux version 6.1.0-41-cloud-amd64 (test)',
      package: null,
      config: { CONFIG_VIRTIO_BLK: 'm' as const, CONFIG_EXT4_FS: 'm' as const, CONFIG_SWIOTLB: 'y' as const },
      configKnownBy: 'config-file' as const,
    },
    initrd: { blob: blobOf('initrd'), bytes: 2_000_000, modules: ['virtio_blk', 'ext4'] },
    rootfs: { blob: blobOf('rootfs'), bytes: 16_000_000, fstype: 'ext4', virtualBytes: 64_000_000 },
    machine: { vcpus: 1, memoryMiB: 128, leastMemoryMiB: 64 },
    bootArgs: ['console=ttyS0', 'root=/dev/vda', 'ip={ip}'],
    requires: ['VIRTIO_BLK', 'EXT4_FS'],
    userspaceArgs: [],
    ports: [{ port: 8080, level: 'http' as const }],
    agent: true,
    madeWith: { linstock: '0.1.0' },
    ...rest,
  };
  return { ...body, createdAt, digest: blobOf(JSON.stringify(sorted(body))) };
}

export function aClaim(more: Partial<Claim> = {}): Claim {
  return { id: anId('boot'), slot: 0, hostBoot: 'host-boot-1', ...more };
}

export function someSettings(more: Partial<VmSettings> = {}): VmSettings {
  return {
    golden: aGolden(),
    memoryMiB: 128,
    vcpus: 1,
    bootArgs: ['console=ttyS0', 'root=/dev/vda', 'ip={ip}'],
    ports: [{ port: 8080, level: 'http' }],
    network: aNetwork(),
    vmm: 'stub',
    vmmVersion: null,
    firecracker: null,
    ...more,
  };
}

export function aVm(more: Partial<Vm> = {}): Vm {
  return {
    id: anId('vm'),
    name: 'vm-1',
    settings: someSettings(),
    wish: 'running',
    wishNo: 1,
    wishBy: 'test',
    phase: 'new',
    claim: null,
    verified: null,
    reprove: false,
    paused: false,
    deadline: null,
    stumble: null,
    fault: null,
    createdAt: testStart,
    version: 1,
    ...more,
  };
}

export function anOperation(more: Partial<Operation> = {}): Operation {
  return {
    id: anId('op'),
    kind: 'vm.create',
    subject: anId('vm'),
    by: 'test',
    state: 'running',
    openedAt: testStart,
    endedAt: null,
    fault: null,
    ...more,
  };
}

export function aProof(verified: Verdict = 'proved', more: Partial<Proof> = {}): Proof {
  return {
    verified,
    at: testStart,
    furthest: 'agent.ready',
    conditions: [
      {
        id: 'agent.ready',
        verdict: verified,
        asked: true,
        expected: 'an answer of the agent',
        observed: 'hello',
        evidence: [{ source: 'agent', text: 'hello', guestControlled: true }],
      },
    ],
    ...more,
  };
}

export function aVmm(more: Partial<VmmFacts> = {}): VmmFacts {
  return {
    name: 'qemu',
    path: '/usr/bin/qemu-system-x86_64',
    version: '7.2',
    usable: true,
    why: 'a probe guest ran',
    jailer: null,
    confinement: 'its seccomp filter',
    abilities: [],
    ...more,
  };
}

export function someHostFacts(more: Partial<HostFacts> = {}): HostFacts {
  return {
    accelerator: 'tcg',
    probes: [{ accelerator: 'kvm', works: false, evidence: 'no /dev/kvm', ms: 1 }],
    tscKhz: null,
    vmms: [aVmm(), aVmm({ name: 'stub', path: '-', version: '1' })],
    usualVmm: 'stub',
    cores: 2,
    memoryMiB: 24_000,
    freeDiskMiB: 100_000,
    cgroup: 'v2',
    root: true,
    kernel: '6.1.0',
    advice: [],
    probedAt: testStart,
    ...more,
  };
}

export function anEntry(more: Partial<HistoryEntry> = {}): HistoryEntry {
  return { at: testStart, phase: 'new', decision: 'record', outcome: 'done', ms: 1.5, ...more };
}
