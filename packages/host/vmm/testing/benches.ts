/** What the driver tests share: a state folder, a mark of its own, and an order for the tiny guest. Real units, nothing simulated. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Network } from '@linstock/contract';
import { wiringOf } from '@linstock/core';
import type { VmmBench } from '@linstock/testkit/vmm-suite';
import { cgroup2Mount } from '../../tools/procs.ts';
import { Units } from '../../tools/units.ts';
import { idleGuest } from '../tiny-guest.ts';
import type { Vmm } from '../vmm.ts';

/** User-mode: the suite is about processes, and namespaces would need root. */
export const userNetwork: Network = {
  id: 'net_1',
  index: 0,
  name: 'default',
  kind: 'user',
  subnet: '192.168.100.0/24',
  gateway: '192.168.100.1',
  bridge: null,
  egress: false,
  isolated: true,
};

export type BenchParts = {
  /** how units are found */
  by: 'cgroup' | 'mark';
  driver: (units: Units) => Vmm;
  /** makes the disk of a boot */
  disk: (path: string) => void;
  bad: { kernel: string; refusal: RegExp };
};

/** Why units by cgroup cannot be tried here; false when they can. */
export function noCgroups(): string | false {
  if (process.getuid?.() !== 0) return 'cgroups need root';
  return cgroup2Mount() === null ? 'no writable cgroup v2 mount' : false;
}

/** `mark` and `cgroup`: by which another process makes a driver that sees the same units. */
export function bench(parts: BenchParts): VmmBench & { mark: string; cgroup: string | null } {
  const state = mkdtempSync(join(tmpdir(), 'linstock-vmm-'));
  const mark = randomBytes(3).toString('hex');
  const cgroup = parts.by === 'cgroup' ? join(cgroup2Mount() ?? '', `linstock-${mark}`) : null;
  const kernels = { good: join(state, 'good'), bad: join(state, 'bad') };
  writeFileSync(kernels.good, idleGuest());
  writeFileSync(kernels.bad, parts.bad.kernel);
  return {
    state,
    mark,
    cgroup,
    driver: () => parts.driver(new Units({ mark, ends: join(state, 'ends'), cgroup })),
    order: (boot, folder, kernel) => {
      const disk = join(state, `${boot}.qcow2`);
      if (!existsSync(disk)) parts.disk(disk);
      return {
        boot,
        vm: { settings: { memoryMiB: 32, vcpus: 1, network: userNetwork, firecracker: null } },
        wiring: wiringOf(mark, userNetwork, 0),
        bootArgs: ['hello', 'from=test'],
        files: { kernel: kernels[kernel], initrd: null, disk },
        folder,
      };
    },
    refusal: parts.bad.refusal,
    emptyUnit: cgroup === null ? null : (boot) => mkdirSync(join(cgroup, boot), { recursive: true }),
    done: async () => {
      if (cgroup !== null && existsSync(cgroup)) rmdirSync(cgroup);
      rmSync(state, { recursive: true, force: true });
    },
  };
}
