/** What was asked of a boot, as `key=value` lines. Pure. */
import type { EvidenceDocument } from '@linstock/contract';
import type { Vm } from '../vm.ts';
import { bridgeName, inside, type Wiring } from '../wiring.ts';
import { Page, pairs } from './page.ts';

export type RequestedOrder = {
  vm: Vm;
  boot: string | null;
  mark: string;
  /** null before the first boot: there is no lease */
  wiring: Wiring | null;
  /** as it was told to the VMM at the launch; null when nothing was launched */
  plan: {
    commandLine: { given: readonly string[]; addedForVmm: readonly string[]; appendedByVmm: readonly string[] };
    vmm: string;
    vmmVersion: string;
    accelerator: string;
  } | null;
};

export function requestedPage({ vm, boot, mark, wiring, plan }: RequestedOrder): EvidenceDocument {
  const { golden, network, memoryMiB, vcpus, ports } = vm.settings;
  const bridged = network.kind === 'bridge';
  const page = new Page().section('requested').line(pairs({ vm: vm.name, vm_id: vm.id, boot_id: boot }));
  page.line(
    pairs({
      ip: wiring?.address ?? null,
      gw: wiring?.gateway ?? null,
      mask: wiring?.netmask ?? null,
      bridge: bridged ? bridgeName(mark, network.index) : null,
      tap: bridged ? inside.tap : null,
      mac: wiring?.mac ?? null,
      ports: ports.map((p) => p.port).join(','),
      network: bridged ? null : 'user',
    }),
  );
  // the TAP is the port of a second bridge, inside the namespace of the VM, which a veth pair joins to the bridge of the network
  if (bridged && wiring)
    page.line(pairs({ netns: wiring.netns, inner_bridge: inside.bridge, bridge_port: wiring.port, subnet: network.subnet }));
  page.line(pairs({ mem_mib: memoryMiB, vcpus }));
  page.line(
    pairs({
      kernel: golden.kernel.release,
      kernel_format: golden.kernel.format,
      initrd: golden.initrd ? golden.initrd.blob.slice(0, 12) : null,
    }),
  );
  page.line(`kernel_banner: ${golden.kernel.banner}`);
  page.line(
    pairs({
      vmm: plan?.vmm ?? vm.settings.vmm,
      vmm_version: plan?.vmmVersion ?? vm.settings.vmmVersion,
      accelerator: plan?.accelerator ?? null,
    }),
  );
  page.line(pairs({ golden: `${golden.name}@${golden.version}`, digest: golden.digest }));
  for (const { port, level, path } of ports) page.line(pairs({ promised_port: port, level, path: path ?? null }));
  if (plan) {
    const { given, addedForVmm, appendedByVmm } = plan.commandLine;
    const dashes = given.indexOf('--'); // behind it stand the arguments of init
    const end = dashes === -1 ? given.length : dashes;
    page.line(`cmdline: ${[...given.slice(0, end), ...addedForVmm, ...given.slice(end)].join(' ')}`);
    if (appendedByVmm.length > 0) page.line(`appended_by_vmm: ${appendedByVmm.join(' ')}`);
  } else page.line(`cmdline_template: ${vm.settings.bootArgs.join(' ')}`);

  page.section('image').line(
    pairs({
      rootfs: golden.rootfs.fstype,
      rootfs_bytes: golden.rootfs.virtualBytes,
      init: golden.init ?? null,
      agent: golden.agent ? 'yes' : 'no',
    }),
  );
  if (golden.requires.length > 0) page.line(`requires: ${golden.requires.join(' ')}`);
  const known = Object.entries(golden.kernel.config).filter(([option]) => golden.requires.includes(option));
  for (const [option, value] of known) page.line(value === 'n' ? `# CONFIG_${option} is not set` : `CONFIG_${option}=${value}`);
  if (golden.initrd && golden.initrd.modules.length > 0) page.line(`initrd_modules: ${golden.initrd.modules.join(' ')}`);
  if (golden.userspaceArgs.length > 0) page.line(`userspace_args: ${golden.userspaceArgs.join(' ')}`);
  return page.document('requested', 'requested');
}
