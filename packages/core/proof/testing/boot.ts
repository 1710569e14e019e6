/** A healthy boot, asked and seen, and ways to change one thing of it. */
import { readFileSync } from 'node:fs';
import type { Condition, GoldenManifest, PortLevel } from '@linstock/contract';
import { readConsole } from '../../console/reader.ts';
import type { ConsoleFacts } from '../../console/console.ts';
import type { Wiring } from '../../wiring.ts';
import type { Asked } from '../asked.ts';
import { examine } from '../examine.ts';
import type { GuestFacts, PortAnswer, Sight } from '../sight.ts';

export const now = 1_790_000_000_000;
export const fixture = (name: string): ConsoleFacts =>
  readConsole(readFileSync(new URL(`../../console/fixtures/${name}.log`, import.meta.url)), { ended: true });
export const banner =
  'Linux version 6.1.192 (lab@lab) (gcc (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #2 SMP 2025-01-01';
export const given =
  'console=ttyS0 panic=1 reboot=t root=/dev/vda rw init=/init tsc_early_khz=2600000 tsc=reliable lab.console=full ip=192.168.100.3::192.168.100.1:255.255.255.0::eth0:off'.split(
    ' ',
  );
export const mac = '02:fc:c0:a8:64:03';
export const hash = 'a'.repeat(64);

export const golden: GoldenManifest = {
  schema: 1,
  name: 'tiny',
  version: 1,
  digest: hash,
  createdAt: 0,
  kernel: {
    blob: hash,
    bytes: 1,
    format: 'elf',
    release: '6.1.192',
    banner: `${banner}\n`,
    package: null,
    config: { VIRTIO_BLK: 'y', EXT4_FS: 'y' },
    configKnownBy: 'ikconfig',
  },
  initrd: null,
  rootfs: { blob: hash, bytes: 1, fstype: 'ext4', virtualBytes: 1 },
  machine: { vcpus: 1, memoryMiB: 128, leastMemoryMiB: 32 },
  requires: ['VIRTIO_BLK', 'EXT4_FS'],
  bootArgs: [],
  userspaceArgs: [],
  ports: [],
  agent: true,
  madeWith: {},
};
export const wiring: Wiring = {
  slot: 1,
  netns: 'n',
  port: 'p',
  mac,
  address: '192.168.100.3',
  prefix: 24,
  netmask: '255.255.255.0',
  gateway: '192.168.100.1',
  forwards: [],
};
export const asked: Asked = {
  golden,
  memoryMiB: 128,
  vcpus: 1,
  ports: [{ port: 6080, level: 'rfb' }],
  wiring,
  accelerator: 'kvm',
  commandLine: { given, addedForVmm: [], appendedByVmm: [] },
  network: { kind: 'bridge', bridge: 'lsab-br0' },
  egress: true,
};
export const kernel = (more: Partial<GoldenManifest['kernel']>): Partial<Asked> => ({
  golden: {
    ...golden,
    kernel: { ...golden.kernel, ...more },
    requires: Object.keys(more.config ?? golden.kernel.config).map((name) => name.replace('CONFIG_', '')),
  },
});
export const args = (...tokens: string[]): Partial<Asked> => ({ commandLine: { given: tokens, addedForVmm: [], appendedByVmm: [] } });

export const guest: GuestFacts = {
  cmdline: given.join(' '),
  kernel: { release: '6.1.192', version: '#2 SMP 2025-01-01' },
  memoryKiB: { total: 113_768, available: 90_000 },
  cpus: 1,
  uptimeMs: 900,
  links: [
    { name: 'lo', mac: '00:00:00:00:00:00', state: 'unknown', mtu: 65_536 },
    { name: 'eth0', mac, state: 'up', mtu: 1_500 },
  ],
  addresses: [
    { link: 'lo', address: '127.0.0.1', prefix: 8 },
    { link: 'eth0', address: '192.168.100.3', prefix: 24 },
  ],
  routes: [
    { destination: 'default', gateway: '192.168.100.1', link: 'eth0' },
    { destination: 'default', gateway: 'fe80::1', link: 'eth0' },
  ],
  listening: [{ address: '0.0.0.0', port: 6080, process: 'websockify' }],
  resolvers: [],
  root: { device: '/dev/root', fstype: 'ext4', options: 'rw,relatime' },
  init: { name: 'init', state: null, failedUnits: [], networkManagers: [] },
  clockUnixMs: now - 300,
  randomSeeded: true,
};
export const answers = (more: Partial<GuestFacts> = {}): Partial<Sight> => ({
  agent: { is: 'answers', at: now - 100, ms: 5, facts: { ...guest, ...more } },
});
export const absent: Partial<Sight> = { agent: { is: 'absent', why: 'no channel' } };
export const steps = (...answer: [PortLevel, PortAnswer][]): Partial<Sight> => ({
  ports: [
    {
      port: 6080,
      steps: answer.map(([level, a]) => ({
        level,
        ok: ['open', 'status', 'upgraded', 'banner'].includes(a),
        answer: a,
        text: `${level} ${a}`,
      })),
    },
  ],
});
export const ready = (name: string): ConsoleFacts => ({
  ...fixture(name),
  initFinished: { line: 40, text: 'linstock-init: ready', afterUserspace: true, by: 'linstock-init' },
});
export const healthy = ready('healthy-tiny');
export const empty = readConsole('');
export const on = (more: Partial<ConsoleFacts>): Partial<Sight> => ({ console: { ...healthy, ...more } });
export const sight: Sight = {
  at: now,
  vmm: { alive: true, version: '7.2.22', expectedVersion: '7.2.22', pid: 42, cgroup: 'linstock/b' },
  console: healthy,
  agent: { is: 'answers', at: now - 100, ms: 5, facts: guest },
  arp: { is: 'answered', macs: [mac], text: `1 reply from ${mac}` },
  ping: { is: 'answered', ms: 1, text: '1 received' },
  route: { device: 'lsab-br0', text: '192.168.100.3 dev lsab-br0' },
  guestPing: { is: 'answered', text: '1 received' },
  egress: { is: 'answered', text: 'connected to 1.1.1.1:443' },
  ...steps(['tcp', 'open'], ['http', 'status'], ['websocket', 'upgraded'], ['rfb', 'banner']),
} as Sight;

export const look = (id: string, seen: Partial<Sight>, want: Partial<Asked> = {}): Condition => {
  const found = examine({ ...asked, ...want }, { ...sight, ...seen }).conditions.find((c) => c.id === id);
  if (!found) throw new Error(`no condition ${id}`);
  return found;
};
export const line = (text: string, n: number, afterUserspace = false): { line: number; text: string; afterUserspace: boolean } => ({
  line: n,
  text,
  afterUserspace,
});
export const panic = line('Kernel panic - not syncing: Attempted to kill init!', 60, true);
