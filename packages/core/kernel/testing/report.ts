/** Reports of made-up kernels, for tests. */
import type { KernelReport, KnownOption } from '@linstock/contract';

type Value = KnownOption['value'] | 'not built in';

/** A kernel whose options have these values; an option that is not named is unknown. */
export function aReport(values: Readonly<Record<string, Value>>, more: Partial<KernelReport> = {}): KernelReport {
  return {
    file: 'vmlinux',
    bytes: 20_000_000,
    format: 'ELF vmlinux',
    wrapped: null,
    compression: 'none',
    arch: 'x86-64',
    release: '6.1.99',
    banner: 'Linux version 6.1.99 (a@b) (gcc) #1 SMP',
    build: { user: 'a', host: 'b', compiler: 'gcc', number: '1', date: null, flags: ['SMP'] },
    unpackedBytes: 20_000_000,
    unreadable: null,
    boot: [
      { protocol: 'PVH', works: true, detail: 'PVH note, entry 0x1000000' },
      { protocol: '64-bit Linux', works: true, detail: 'entry 0x1000000' },
      { protocol: 'EFI stub', works: false, detail: 'none' },
    ],
    leastMemoryMiB: 31,
    initrd: { embedded: 'no', why: 'none' },
    config: { by: 'none', file: null, refused: [] },
    options: Object.entries(values).map(([option, value]) => anOption(option, value)),
    ...more,
  };
}

export function anOption(option: string, value: Value): KnownOption {
  return {
    option,
    value: value === 'not built in' ? 'unknown' : value,
    setting: null,
    builtIn: value === 'unknown' ? null : value === 'yes',
    by: value === 'unknown' ? 'nothing' : 'proved-by',
    how: `made up: ${value}`,
    offset: null,
  };
}
