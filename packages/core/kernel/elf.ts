/**
 * The headers of an ELF file, as far as a kernel needs them: segments, the PVH note. Pure; arbitrary bytes never throw, every loop has a limit.
 * Sources: the ELF-64 object file format; include/xen/interface/elfnote.h for the note (XEN_ELFNOTE_PHYS32_ENTRY).
 */
import { isAt, u16, u32, u64 } from '../bytes.ts';
import type { Range } from './needles.ts';

export type ElfHeaders = {
  machine: number;
  /** ET_REL is an object file or a module, ET_EXEC a program at fixed addresses, ET_DYN one that can be moved. */
  type: 'relocatable' | 'executable' | 'shared' | 'other';
  entry: bigint;
  /** What the file says is loaded into memory, in the order of the file, `bytes` of the file. */
  loaded: readonly Range[];
  /** End of the highest loaded segment in physical memory. */
  highestLoadEndBytes: number;
  /** Where the PVH entry is, in guest-physical memory; null without the note. */
  pvhEntry: number | null;
  /** It asks for a dynamic loader, as ordinary programs do. */
  interpreter: boolean;
  /** How long the file must be for its segments. */
  neededBytes: number;
};

export type ElfLook = { is: 'elf'; headers: ElfHeaders } | { is: 'cut-short'; at: 'header' | 'program-headers' } | { is: 'not-64-bit' };

/** A vmlinux has 5 to 10 program headers; 128 leaves room and bounds the loop. */
const MAX_PROGRAM_HEADERS = 128;
const MAX_NOTES = 256;
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PT_LOAD = 1;
const PT_INTERP = 3;
const PT_NOTE = 4;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;

export function lookAtElf(file: Uint8Array): ElfLook {
  if (file.length < HEADER_BYTES) return { is: 'cut-short', at: 'header' };
  if (file[4] !== 2 || file[5] !== 1) return { is: 'not-64-bit' };
  const headersAt = u64(file, 32);
  const each = u16(file, 54);
  const count = u16(file, 56);
  const headers: ElfHeaders = {
    machine: u16(file, 18),
    type: ([undefined, 'relocatable', 'executable', 'shared'] as const)[u16(file, 16)] ?? 'other',
    entry: BigInt(u32(file, 24)) | (BigInt(u32(file, 28)) << 32n),
    loaded: [],
    highestLoadEndBytes: 0,
    pvhEntry: null,
    interpreter: false,
    neededBytes: 0,
  };
  if (headers.type === 'relocatable') return { is: 'elf', headers };
  if (count === 0 || count > MAX_PROGRAM_HEADERS || each < PROGRAM_HEADER_BYTES || headersAt + count * each > file.length)
    return { is: 'cut-short', at: 'program-headers' };
  const loaded: Range[] = [];
  for (let index = 0; index < count; index++) {
    const at = headersAt + index * each;
    const segment = u32(file, at);
    const offset = u64(file, at + 8);
    const physical = u64(file, at + 24);
    const fileBytes = u64(file, at + 32);
    const memoryBytes = u64(file, at + 40);
    if (segment === PT_INTERP) headers.interpreter = true;
    if (segment === PT_NOTE) headers.pvhEntry ??= pvhEntryIn(file, offset, offset + fileBytes);
    if (segment !== PT_LOAD) continue;
    loaded.push({ from: offset, to: offset + fileBytes });
    headers.highestLoadEndBytes = Math.min(Math.max(headers.highestLoadEndBytes, physical + memoryBytes), Number.MAX_SAFE_INTEGER);
    headers.neededBytes = Math.max(headers.neededBytes, offset + fileBytes);
  }
  return { is: 'elf', headers: { ...headers, loaded } };
}

function pvhEntryIn(file: Uint8Array, from: number, to: number): number | null {
  if (to > file.length) return null;
  let at = from;
  for (let note = 0; note < MAX_NOTES && at + 12 <= to; note++) {
    const nameBytes = u32(file, at);
    const valueBytes = u32(file, at + 4);
    if (nameBytes > to - at || valueBytes > to - at) return null;
    const valueAt = at + 12 + align4(nameBytes);
    if (u32(file, at + 8) === XEN_ELFNOTE_PHYS32_ENTRY && nameBytes === 4 && isAt(file, at + 12, 'Xen\0')) return u32(file, valueAt);
    at = valueAt + align4(valueBytes);
  }
  return null;
}

const align4 = (length: number): number => Math.ceil(length / 4) * 4;
