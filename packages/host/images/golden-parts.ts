/** What both ways to a golden (built, imported) share: names, boot argument template, the kernel's part of the manifest. */
import { readFile } from 'node:fs/promises';
import type { GoldenManifest } from '@linstock/contract';
import { isAbsence } from '../tools/files.ts';
import { configValues, embeddedConfig } from './kernel-image.ts';
import { unpackKernel } from './kernel-unpack.ts';
import { MANIFEST_OPTIONS } from './manifest.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';

/**
 * `panic=1`: a dead guest ends its VMM after a second, with its last words on the console. `net.ifnames=0`: the device stays eth0, which ip=
 * names. `reboot=t`: a reset by triple fault ends every VMM at once; `k` costs 1.4 s on microvm, which has no keyboard controller (lab.md 5).
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

/** Distribution kernels have 14 MB, an unstripped vmlinux with debug data up to 900 MB. */
const MAX_KERNEL_FILE_BYTES = 1024 * 1024 * 1024;
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

/** Reads a kernel file of either format and tells all the manifest states about it. */
export async function readKernel(
  input: { path: string; configText: string | null },
  signal?: AbortSignal,
): Promise<{ ok: true; part: KernelPart } | ImageRefusal> {
  const read = await readWhole(input.path, MAX_KERNEL_FILE_BYTES);
  if (!read.ok) return read;
  const unpacked = await unpackKernel(read.bytes, signal);
  if (!unpacked.ok) return refusal('not-a-kernel', `${input.path}: ${unpacked.say}`);
  const { kernel, vmlinux } = unpacked;
  if (!kernel.pvhNote) {
    return refusal(
      'kernel-without-pvh',
      `${input.path} is a kernel without a PVH entry, which QEMU's microvm refuses ("Error loading uncompressed kernel without PVH ELF Note"). Build it with CONFIG_PVH=y.`,
    );
  }
  const embedded = input.configText === null ? embeddedConfig(vmlinux) : null;
  const text = input.configText ?? embedded;
  return {
    ok: true,
    part: {
      vmlinux,
      highestLoadEndBytes: kernel.highestLoadEndBytes,
      facts: {
        banner: kernel.banner ?? '',
        release: kernel.release ?? 'unknown',
        format: 'elf',
        configKnownBy: input.configText !== null ? 'config-file' : embedded !== null ? 'ikconfig' : 'none',
        config: text === null ? {} : configValues(text, MANIFEST_OPTIONS),
      },
    },
  };
}

/** A whole file of bounded size; what keeps it from being read is a value. */
export async function readWhole(path: string, limitBytes: number): Promise<{ ok: true; bytes: Buffer } | ImageRefusal> {
  try {
    const bytes = await readFile(path);
    return bytes.length > limitBytes
      ? refusal('file-unreadable', `${path} has ${bytes.length} bytes, more than the ${limitBytes} that are read here.`)
      : { ok: true, bytes };
  } catch (error) {
    return unreadable(path, error);
  }
}

/** A system error about a file somebody named → a refusal. Other errors are bugs and go on. */
export function unreadable(path: string, error: unknown): ImageRefusal {
  if (isAbsence(error)) return refusal('file-not-found', `There is no file ${path}. Check the path.`);
  const why = UNREADABLE.get((error as NodeJS.ErrnoException).code ?? '');
  if (why === undefined) throw error;
  return refusal('file-unreadable', `${path} ${why}`);
}

const UNREADABLE: ReadonlyMap<string, string> = new Map([
  ['EISDIR', 'is a folder, not a file.'],
  ['EACCES', 'may not be read by this user. Change its permissions or run as its owner.'],
  ['EPERM', 'may not be read by this user. Change its permissions or run as its owner.'],
  ['EIO', 'cannot be read: the disk reports an error.'],
  ['ERR_FS_FILE_TOO_LARGE', 'is too big to be a part of a golden image (more than 2 GiB).'],
]);
