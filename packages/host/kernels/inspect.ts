/** Looks into a kernel file: reads it, takes the kernel proper out, searches it once, and tells what is known. */
import type { KernelReport } from '@linstock/contract';
import {
  allNeedles,
  CONFIG_MARK,
  embeddedArchive,
  findNeedles,
  isUsualArchive,
  knownOptions,
  knowOptions,
  without,
} from '@linstock/core/kernel';
import type { Banner, KernelImage, OptionEvidence, Range } from '@linstock/core/kernel';
import { MAX_KERNEL_FILE_BYTES, readWhole } from '../images/read-whole.ts';
import { refusal } from '../images/refusal.ts';
import type { ImageRefusal } from '../images/refusal.ts';
import { findConfig } from './config.ts';
import type { FoundConfig } from './config.ts';
import { embeddedConfig } from './embedded-config.ts';
import { openKernel } from './unpack.ts';
import type { Core, OpenedKernel } from './unpack.ts';

export type InspectRequest = {
  path: string;
  /** A configuration to believe, unless it contradicts the kernel. */
  configPath?: string | undefined;
  signal?: AbortSignal | undefined;
};

/** A kernel that was looked into: all but its options, and what those are known from. */
export type Inspected = { facts: Omit<KernelReport, 'options'>; evidence: OptionEvidence };

export async function inspectKernel(request: InspectRequest): Promise<({ ok: true } & Inspected) | ImageRefusal> {
  const read = await readWhole(request.path, MAX_KERNEL_FILE_BYTES);
  if (!read.ok) return read;
  const outcome = await inspectBytes(read.bytes, request);
  return outcome.ok ? { ok: true, facts: outcome.facts, evidence: outcome.evidence } : outcome;
}

/** The same of a file that was read already; with what was unpacked of it. */
export async function inspectBytes(
  file: Buffer,
  { path, configPath, signal }: InspectRequest,
): Promise<({ ok: true; core: Core } & Inspected) | ImageRefusal> {
  const opened = await openKernel(file, signal);
  if (!opened.ok) return refusal('not-a-kernel', `${path}: ${opened.say}`);
  const { image, core } = opened;
  const banner = bannerOf(image, core);
  const searched = core.ok ? search(core) : null;
  const bare: OptionEvidence = {
    arch: core.ok ? core.kernel.arch : image.arch,
    banner,
    config: null,
    proper: searched,
  };
  const own = core.ok && typeof searched?.configMarkAt === 'number' ? await embeddedConfig(core.bytes, searched.configMarkAt) : null;
  const found = own === null ? await findConfig(path, configPath, bare) : ownWins(configPath);
  if (!found.ok) return found;
  const config =
    own !== null
      ? ({ by: 'ikconfig', file: null, config: own } as const)
      : found.config === null
        ? null
        : ({ by: 'config-file', ...found.config } as const);
  const evidence: OptionEvidence = { ...bare, config };
  return {
    ok: true,
    core,
    evidence,
    facts: {
      ...factsOf(path, file.length, opened, banner),
      initrd: initrdOf(evidence),
      config: { by: config?.by ?? 'none', file: config?.file ?? null, refused: [...found.refused] },
    },
  };
}

function ownWins(given: string | undefined): { ok: true } & FoundConfig {
  const why = 'the kernel holds its own, which says all';
  return { ok: true, config: null, refused: given === undefined ? [] : [{ file: given, why }] };
}

/** The report with the options asked for: by name, those that Linstock knows, or all that a configuration names. */
export function reportOf({ facts, evidence }: Inspected, options: readonly string[] | 'known' | 'all'): KernelReport {
  const named = evidence.config === null ? [] : [...evidence.config.config.values.keys()];
  const wanted = options === 'known' ? knownOptions : options === 'all' ? [...new Set([...knownOptions, ...named])].toSorted() : options;
  return { ...facts, options: knowOptions(evidence, wanted) };
}

/** The kernel proper names its compiler; the header of a bzImage does not. */
function bannerOf(image: KernelImage, core: Core): Banner | null {
  return core.ok ? core.kernel.banner : 'banner' in image ? image.banner : null;
}

function search(core: Core & { ok: true }): NonNullable<OptionEvidence['proper']> {
  const { kernel, bytes } = core;
  const ranges: readonly Range[] = kernel.format === 'elf' ? kernel.loaded : [{ from: 0, to: bytes.length }];
  const archive = embeddedArchive(bytes, ranges);
  // What lies in an embedded archive is not in the kernel: a module there holds the same texts as the built-in driver.
  const hits = findNeedles(bytes, [...allNeedles, CONFIG_MARK], without(ranges, archive));
  return {
    hits,
    pvhEntry: kernel.format === 'elf' ? kernel.pvhEntry : undefined,
    archive,
    configMarkAt: hits.get(CONFIG_MARK)?.[0] ?? null,
  };
}

const MIB = 1024 * 1024;

function factsOf(
  file: string,
  bytes: number,
  opened: OpenedKernel & { ok: true },
  banner: Banner | null,
): Omit<KernelReport, 'options' | 'initrd' | 'config'> {
  const { image, core, wrapped } = opened;
  const elf = core.ok && core.kernel.format === 'elf' ? core.kernel : null;
  const x86 = elf?.arch === 'x86-64';
  return {
    file,
    bytes,
    format: image.format === 'elf' ? 'ELF vmlinux' : image.format,
    wrapped,
    compression: 'payload' in image ? image.payload.compression : 'none',
    arch: core.ok ? core.kernel.arch : image.arch,
    release: banner?.release ?? null,
    banner: banner?.text ?? null,
    build: {
      user: banner?.user ?? null,
      host: banner?.host ?? null,
      compiler: banner?.compiler ?? null,
      number: banner?.buildNumber ?? null,
      date: banner?.date ?? null,
      flags: [...(banner?.flags ?? [])],
    },
    unpackedBytes: core.ok ? core.bytes.length : null,
    unreadable: core.ok ? null : core.say,
    boot: bootOf(image, elf),
    leastMemoryMiB: x86 ? Math.ceil(elf.highestLoadEndBytes / MIB) : null,
  };
}

type ElfCore = (Core & { ok: true })['kernel'] & { format: 'elf' };

function bootOf(image: KernelImage, elf: ElfCore | null): KernelReport['boot'] {
  const entry64 =
    image.format === 'bzImage'
      ? { works: image.entry64, detail: `boot protocol ${image.protocol}, 64-bit entry ${image.entry64 ? 'allowed' : 'not allowed'}` }
      : elf?.arch === 'x86-64'
        ? { works: true, detail: `entry 0x${elf.entry.toString(16)}` }
        : { works: false, detail: 'not an x86-64 kernel' };
  const stub =
    image.format === 'elf'
      ? { works: false, detail: 'a vmlinux has none: it is put before a bzImage' }
      : image.format === 'EFI zboot'
        ? { works: true, detail: 'it unpacks itself as an EFI program' }
        : { works: image.efiStub, detail: image.efiStub ? 'it begins as an EFI program' : 'its first bytes are not those of one' };
  return [
    {
      protocol: 'PVH',
      works: elf !== null && elf.pvhEntry !== null,
      detail:
        elf === null
          ? 'no ELF vmlinux could be read'
          : elf.pvhEntry === null
            ? 'no PVH note'
            : `PVH note, entry 0x${elf.pvhEntry.toString(16)}`,
    },
    { protocol: '64-bit Linux', ...entry64 },
    { protocol: 'EFI stub', ...stub },
  ];
}

function initrdOf({ proper, config }: OptionEvidence): KernelReport['initrd'] {
  const source = config?.config.values.get('INITRAMFS_SOURCE');
  if (proper === null) {
    if (source === undefined) return { embedded: 'unknown', why: 'the kernel inside of the file could not be read' };
    return { embedded: source === '' ? 'no' : 'yes', why: `CONFIG_INITRAMFS_SOURCE="${source.slice(0, 200)}"` };
  }
  const { archive } = proper;
  if (archive === null) return { embedded: 'no', why: 'there is no archive where a kernel keeps it' };
  const size = `${archive.to - archive.from} bytes${archive.compression === 'none' ? '' : ` of ${archive.compression}`}`;
  if (isUsualArchive(archive)) return { embedded: 'no', why: `only the small archive that every kernel has (${size})` };
  return { embedded: 'yes', why: `an archive of ${archive.entries === null ? size : `${archive.entries - 1} entries, ${size}`}` };
}
