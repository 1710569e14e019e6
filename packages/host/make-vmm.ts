import type { HostFacts } from '@linstock/contract';
import type { Paths } from './tools/paths.ts';
import type { Starter } from './tools/starter.ts';
import { Units } from './tools/units.ts';
import { QemuVmm } from './vmm/qemu/driver.ts';
import { StubVmm } from './vmm/stub/driver.ts';
import type { Vmm } from './vmm/vmm.ts';

/** The driver that the facts of this host allow. */
export function makeVmm(o: {
  name: 'qemu' | 'stub';
  mark: string;
  paths: Paths;
  facts: HostFacts;
  /** what the stub executes, when it is not its own guest */ stub?: string | null;
  starter?: Starter;
}): Vmm {
  const units = Units.open({ mark: o.mark, ends: o.paths.ends, ...(o.starter ? { starter: o.starter } : {}) });
  if (o.name === 'stub') return new StubVmm({ units, program: o.stub ?? null });
  const qemu = o.facts.vmms.find((v) => v.name === 'qemu');
  if (!qemu) throw new Error('the facts of this host name no QEMU');
  return new QemuVmm({ host: { qemu: qemu.path, accelerator: o.facts.accelerator, tscKhz: o.facts.tscKhz }, version: qemu.version, units });
}
