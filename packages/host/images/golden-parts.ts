/** What both ways to a golden (built, imported) share: names, boot argument template, the kernel's part of the manifest. */
import type { GoldenManifest } from '@linstock/contract';
import { configMarkIn, configValues, readConfigText } from '@linstock/core/kernel';
import { embeddedConfig } from '../kernels/embedded-config.ts';
import { openKernel } from '../kernels/unpack.ts';
import { MANIFEST_OPTIONS } from './manifest.ts';
import { MAX_KERNEL_FILE_BYTES, readWhole } from './read-whole.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';

/**
 * `panic=1`: a dead guest ends its VMM after a second, with its last words on the console. `net.ifnames=0`: the device stays eth0, which ip=
 * names. `reboot=t`: a reset by triple fault ends every VMM at once; `k` costs 1.4 s on microvm, which has no keyboard controller (tried).
 * Firecracker then ends as after a crash of the guest's processor, and the console's last words tell the two apart (vmm/firecracker/exit.ts).
 * `{ip}` is filled in by core/cmdline.ts.
 * Drivers add what belongs to the VMM (tsc_early_khz under TCG; the VMM itself adds virtio_mmio.device).
 */
export const STANDARD_BOOT_ARGS = [
  'console=ttyS0',
  'reboot=t',
  'panic=1',
  'root=/dev/vda',
  'rw',
  'rootfstype=ext4',
  'net.ifnames=0',
  'ip={ip}',
] as const;

const MIB = 1024 * 1024;

/**
 * The least memory that boots, `MiB`. Without an initrd a kernel needs its own segments and a little (lab: ends at 30.1 MiB, 31 boots, 30 ends
 * without a word). With one it needs the archive, its content (three times the packed size) and room for modules and init: Debian's 6.1 cloud
 * kernel ends at 62 MiB; with our initrd 88 boots and 80 dies of "System is deadlocked on memory" (tried).
 */
export function leastMemoryMiB(highestLoadEndBytes: number, initrdBytes: number | null): number {
  const kernel = Math.ceil(highestLoadEndBytes / MIB);
  if (initrdBytes === null) return kernel + 1;
  const step = 8;
  return Math.ceil((kernel + Math.ceil((4 * initrdBytes) / MIB) + 20) / step) * step;
}

export type KernelPart = {
  vmlinux: Buffer;
  highestLoadEndBytes: number;
  facts: Omit<GoldenManifest['kernel'], 'blob' | 'bytes' | 'package'>;
};

/** Reads a kernel file of any format and tells all the manifest states about it. */
export async function readKernel(
  input: { path: string; configText: string | null },
  signal?: AbortSignal,
): Promise<{ ok: true; part: KernelPart } | ImageRefusal> {
  const read = await readWhole(input.path, MAX_KERNEL_FILE_BYTES);
  if (!read.ok) return read;
  const opened = await openKernel(read.bytes, signal);
  if (!opened.ok) return refusal('not-a-kernel', `${input.path}: ${opened.say}`);
  const { core } = opened;
  if (!core.ok) return refusal('not-a-kernel', `${input.path}: ${core.say}`);
  const { kernel, bytes } = core;
  if (kernel.format !== 'elf' || kernel.arch !== 'x86-64')
    return refusal('not-a-kernel', `${input.path}: This kernel cannot run here: it is for ${kernel.arch}. Give an x86-64 vmlinux.`);
  if (kernel.pvhEntry === null) {
    return refusal(
      'kernel-without-pvh',
      `${input.path} is a kernel without a PVH entry, which QEMU's microvm refuses ("Error loading uncompressed kernel without PVH ELF Note"). Build it with CONFIG_PVH=y.`,
    );
  }
  const given = input.configText === null ? null : readConfigText(input.configText);
  const markAt = given === null ? configMarkIn(bytes, kernel.loaded) : null;
  const embedded = markAt === null ? null : await embeddedConfig(bytes, markAt);
  const config = given ?? embedded;
  return {
    ok: true,
    part: {
      vmlinux: bytes,
      highestLoadEndBytes: kernel.highestLoadEndBytes,
      facts: {
        banner: kernel.banner.text,
        release: kernel.banner.release,
        format: 'elf',
        configKnownBy: given !== null ? 'config-file' : embedded !== null ? 'ikconfig' : 'none',
        config: config === null ? {} : configValues(config, MANIFEST_OPTIONS),
      },
    },
  };
}
