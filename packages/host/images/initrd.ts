/**
 * Linstock's initramfs for a modular distribution kernel: busybox, the modules for what a microVM has, and an init that does what the kernel
 * would do if they were built in (guest/images/tiny/initrd-init). `planInitrd` decides, `buildInitrd` reads and packs; the bytes depend on
 * nothing but the inputs.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { gzip, zstdDecompress, gunzip } from 'node:zlib';
import { readTextIfThere } from '../tools/files.ts';
import { cpioArchive } from './cpio.ts';
import type { CpioEntry } from './cpio.ts';
import { pipeThrough } from '../kernels/unpack.ts';
import { dependsOf, loadOrder, moduleName, parseModulesBuiltin, parseModulesDep } from './modules.ts';
import type { ModuleFacts } from './modules.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';

/** Without these the guest has no disk, no network or no root file system. In load order: the transport first. */
export const REQUIRED_MODULES = ['virtio_mmio', 'virtio_blk', 'virtio_net', 'ext4'] as const;
/** Loaded when the kernel has them. pvpanic_mmio (it also matches QEMU's ISA device by ACPI) tells the host of a panic. */
export const OPTIONAL_MODULES = [
  'virtio_rng',
  'virtio_console',
  'vmw_vsock_virtio_transport',
  'overlay',
  'virtio_balloon',
  'pvpanic_mmio',
] as const;

/** What initrd-init calls. */
export const INITRD_APPLETS = [
  'sh',
  'mount',
  'umount',
  'insmod',
  'ip',
  'findfs',
  'readlink',
  'sleep',
  'reboot',
  'switch_root',
  'cat',
] as const;

export type InitrdParts = { busybox: Uint8Array; initScript: Uint8Array; modules: readonly { name: string; data: Uint8Array }[] };

/** The archive's entries, in order. Pure. */
export function planInitrd(parts: InitrdParts): CpioEntry[] {
  const folder = (path: string): CpioEntry => ({ kind: 'folder', path, mode: 0o755 });
  return [
    ...['bin', 'dev', 'etc', 'lib', 'lib/modules', 'newroot', 'proc', 'sys'].map(folder),
    // The kernel opens /dev/console for PID 1 before anything can mount devtmpfs.
    { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { kind: 'file', path: 'bin/busybox', mode: 0o755, data: parts.busybox },
    ...INITRD_APPLETS.map((name): CpioEntry => ({ kind: 'symlink', path: `bin/${name}`, target: 'busybox' })),
    ...parts.modules.map((module): CpioEntry => ({ kind: 'file', path: `lib/modules/${module.name}.ko`, mode: 0o644, data: module.data })),
    {
      kind: 'file',
      path: 'etc/modules.order',
      mode: 0o644,
      data: Buffer.from(parts.modules.map((module) => `/lib/modules/${module.name}.ko\n`).join('')),
    },
    { kind: 'file', path: 'init', mode: 0o755, data: parts.initScript },
  ];
}

export type Initrd = { ok: true; bytes: Buffer; modules: readonly string[] };

export async function buildInitrd(
  input: { modulesFolder: string; busybox: Uint8Array; initScript: Uint8Array },
  signal?: AbortSignal,
): Promise<Initrd | ImageRefusal> {
  const found = await readModules(input.modulesFolder, signal);
  if (!found.ok) return found;
  const archive = cpioArchive(planInitrd({ busybox: input.busybox, initScript: input.initScript, modules: found.modules }));
  // node:zlib writes no time into the gzip header, so equal archives give equal bytes.
  const bytes = await promisify(gzip)(archive, { level: 9 });
  return { ok: true, bytes, modules: found.modules.map((module) => module.name) };
}

type LoadedModule = { name: string; data: Buffer };

async function readModules(
  folder: string,
  signal: AbortSignal | undefined,
): Promise<{ ok: true; modules: readonly LoadedModule[] } | ImageRefusal> {
  const builtin = parseModulesBuiltin((await readTextIfThere(join(folder, 'modules.builtin'))) ?? '');
  const depText = await readTextIfThere(join(folder, 'modules.dep'));
  const data = new Map<string, Buffer>();
  let facts: Map<string, ModuleFacts>;
  const wanted = [...REQUIRED_MODULES, ...OPTIONAL_MODULES];
  if (depText !== undefined) {
    facts = parseModulesDep(depText);
  } else {
    const paths = new Map(
      (await readdir(folder, { recursive: true })).filter((path) => /\.ko(\.\w+)?$/.test(path)).map((path) => [moduleName(path), path]),
    );
    facts = new Map();
    const open = wanted.map(moduleName);
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      const path = paths.get(name);
      if (path === undefined || facts.has(name)) continue;
      const read = await readModule(join(folder, path), signal);
      if (!read.ok) return read;
      data.set(name, read.bytes);
      const depends = dependsOf(read.bytes);
      facts.set(name, { path, depends });
      open.push(...depends);
    }
  }
  const plan = loadOrder(wanted, facts, builtin);
  const lacking = plan.missing.filter((name) => !(OPTIONAL_MODULES as readonly string[]).includes(name));
  if (lacking.length > 0) {
    return refusal(
      'modules-missing',
      `This kernel has neither built in nor as a module: ${lacking.join(', ')}. A microVM needs them; take another kernel.`,
    );
  }
  const modules: LoadedModule[] = [];
  for (const { path } of plan.order) {
    const name = moduleName(path);
    const known = data.get(name);
    const read = known === undefined ? await readModule(join(folder, path), signal) : { ok: true as const, bytes: known };
    if (!read.ok) return read;
    modules.push({ name, data: read.bytes });
  }
  return { ok: true, modules };
}

/** A module unpacked: .ko as it is (Debian 12), .ko.xz (Debian 13), .ko.zst (Ubuntu). Not every busybox insmod can unpack. */
async function readModule(path: string, signal: AbortSignal | undefined): Promise<{ ok: true; bytes: Buffer } | ImageRefusal> {
  const bytes = await readFile(path);
  if (path.endsWith('.ko')) return { ok: true, bytes };
  const limit = { maxOutputLength: 256 * 1024 * 1024 };
  if (path.endsWith('.zst')) return { ok: true, bytes: await promisify(zstdDecompress)(bytes, limit) };
  if (path.endsWith('.gz')) return { ok: true, bytes: await promisify(gunzip)(bytes, limit) };
  if (!path.endsWith('.xz'))
    return refusal(
      'modules-missing',
      `The module ${relative('/', path)} is compressed in a way that is not known here. Take another kernel.`,
    );
  const unpacked = await pipeThrough(['xz', '-dc'], bytes, signal);
  return unpacked.ok
    ? unpacked
    : refusal('tool-failed', `A kernel module cannot be unpacked. ${unpacked.say} If xz is missing, install xz-utils.`);
}
