/**
 * Kernels of some ten instructions, assembled here byte by byte: the smallest guests that say something. They start in the state of the
 * PVH entry (32-bit protected mode, flat segments, no paging, EBX → hvm_start_info; https://xenbits.xen.org/docs/unstable/misc/pvh.html),
 * write to the first serial port, and end or idle. The accelerator probe and the tests of the drivers boot them.
 */

/** Where the file is loaded, all of it in one piece: 1 MiB, the first address that no firmware of a PC uses. */
const LOAD_ADDRESS = 0x10_0000;
/** ELF header (64), two program headers (56 each), the note (24), filled up to a multiple of 16. */
const CODE_OFFSET = 0xd0;
const NOTE_OFFSET = 0xb0;

/** Exit status of QEMU when the guest writes this to the port of `isa-debug-exit`: (value << 1) | 1. */
export const debugExit = { port: 0xf4, value: 0x2a, status: 0x55 } as const;

/** Writes its own command line to the serial port, then a line feed, and idles until it is killed. */
export function idleGuest(): Buffer {
  // oxfmt-ignore
  return elf(
    assemble([
      0x31, 0xc0, //                       xor  eax, eax
      0x40, 0x90, //                       inc  eax; nop         in 64-bit code the first byte is a prefix of the second
      0x85, 0xc0, //                       test eax, eax
      0x75, { to: 'pvh' }, //              jnz  pvh
      // Firecracker up to 1.11 knows no PVH, and starts it as the kernel's 64-bit boot protocol has it (Documentation/arch/x86/boot.rst)
      0x8b, 0xb6, ...u32(0x228), //        mov  esi, [rsi+228]   boot_params.hdr.cmd_line_ptr
      0xeb, { to: 'write' }, //            jmp  write
      { label: 'pvh' },
      0x8b, 0x73, 0x18, //                 mov  esi, [ebx+18]    hvm_start_info.cmdline_paddr
      { label: 'write' },
      ...writeStringAtEsi,
      0xb0, 0x0a, //                       mov  al, '\n'
      0xee, //                             out  dx, al
      ...standStill,
    ]),
  );
}

/** How a guest can end its VMM: by the keyboard controller's reset line, or by a fault whose handling faults, and that one's as well. */
export type GuestsEnd = 'resets' | 'triple-faults';

/** Writes the text to the serial port, and ends. The same code in both ways to be started. */
export function endingGuest(text: string, end: GuestsEnd): Buffer {
  // oxfmt-ignore
  return elf(
    assemble([
      0xbe, { address: 'text' }, //        mov  esi, text
      ...writeStringAtEsi,
      ...(end === 'resets'
        ? [0xb0, 0xfe, 0xe6, 0x64] //      mov  al, fe; out 64, al
        : [
          0xbe, { address: 'none' }, //    mov  esi, none
          0x0f, 0x01, 0x1e, //             lidt [esi]            no vectors at all
          0x0f, 0x0b, //                   ud2
        ]),
      ...standStill,
      { label: 'none' }, ...u32(0), ...u32(0), ...u32(0),
      { label: 'text' }, ...Buffer.from(`${text}\0`, 'latin1'),
    ]),
  );
}

/** Writes `A` for ever, as fast as it can: the hostile guest of the console tests. */
export function floodingGuest(): Buffer {
  // oxfmt-ignore
  return elf(
    Buffer.from([
      0x66, 0xba, 0xf8, 0x03, //           mov  dx, 3f8
      0xb0, 0x41, //                       mov  al, 'A'
      0xee, //                       next: out  dx, al
      0xeb, 0xfd, //                       jmp  next
    ]),
  );
}

/** What `pathfinderGuest` has written when nothing stopped it. */
export const pathfinderSays = 'PGLHIRE';

/**
 * Goes the way that every 64-bit kernel goes in its first millisecond, and says how far it came, a letter for each part:
 * P its first instruction; G paging by its own tables; L 64-bit code in its own segments; H running in the upper half of the address space,
 * where kernels live; I an exception arrived at its handler; R the handler returned; E a loop of 16 million turns at the speed of a processor.
 * Then it asks isa-debug-exit for `debugExit.status`, and who has none (Firecracker) for a reset by the keyboard controller.
 *
 * It has both entries of a kernel: that of PVH (32-bit, no paging), and that of the Linux boot protocol for VMMs that do not know PVH
 * (64-bit, paging on, memory below 1 GiB mapped one to one: Firecracker up to 1.11).
 *
 * Why all this: a KVM may open, make a VM and run a handful of instructions, and yet be no hypervisor for an ordinary kernel. KVM over
 * `kvm_pvm` (seen on Linux 6.18) serves only kernels that were changed for it; of others it interprets one instruction after the other:
 * 2 million turns of an empty loop took 9.2 s there, and `int3` in 64-bit code ends in "KVM internal error. Suberror: 1".
 */
export function pathfinderGuest(): Buffer {
  const say = (letter: string): number[] => [0xb0, letter.charCodeAt(0), 0xee]; // mov al, letter; out dx, al
  const pml4 = 0x20_0000; // four page tables: level 4, level 3 for the lower and for the upper half, level 2 with pages of 2 MiB
  const [lower, upper, big] = [pml4 + 0x1000, pml4 + 0x2000, pml4 + 0x3000];
  /** mov dword [at], dword: an address without a register takes one byte more in 64-bit code */
  const store = { 32: [0xc7, 0x05], 64: [0xc7, 0x04, 0x25] } as const;
  // oxfmt-ignore
  const begin = (bits: 32 | 64): readonly Piece[] => {
    const put = (at: number, dword: number): number[] => [...store[bits], ...u32(at), ...u32(dword)];
    return [
      0xfc, //                                   cld
      0x66, 0xba, 0xf8, 0x03, //                 mov  dx, 3f8
      ...say('P'),
      0xbf, ...u32(pml4), //                     mov  edi, pml4
      0x31, 0xc0, //                             xor  eax, eax
      0xb9, ...u32(0x1000), //                   mov  ecx, 1000
      0xf3, 0xab, //                             rep stosd              16 KiB of zeroes
      ...put(pml4, lower + 3), //                present, writable
      ...put(pml4 + 0xff8, upper + 3), //        the last 512 GiB …
      ...put(lower, big + 3),
      ...put(upper + 0xff0, big + 3), //         … of which the last 2 GiB: ffffffff80000000
      0xbf, ...u32(big), //                      mov  edi, big
      0xb8, ...u32(0x83), //                     mov  eax, 83           present, writable, 2 MiB
      0xb9, ...u32(16), //                       mov  ecx, 10           32 MiB in all
      0x89, 0x07, //                       fill: mov  [edi], eax
      0x05, ...u32(0x20_0000), //                add  eax, 200000
      0x83, 0xc7, 0x08, //                       add  edi, 8
      0xe2, 0xf4, //                             loop fill
    ];
  };
  // oxfmt-ignore
  const pieces: readonly Piece[] = [
    // the 64-bit entry
    ...begin(64),
    0xb8, ...u32(pml4), 0x0f, 0x22, 0xd8, //     CR3  = pml4
    ...say('G'),
    0xbc, ...u32(0x30_0000), //                  mov  esp, 300000
    0x0f, 0x01, 0x14, 0x25, { address: 'gdtr' }, // lgdt [gdtr]
    0x6a, 0x08, 0x68, { address: 'long' }, //    push 8; push long
    0x48, 0xcb, //                               retfq
    // the entry of PVH
    { label: 'pvh' },
    ...begin(32),
    0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0, //            CR4 |= PAE
    0xb8, ...u32(pml4), 0x0f, 0x22, 0xd8, //                            CR3  = pml4
    0xb9, ...u32(0xc000_0080), 0x0f, 0x32, 0x0d, ...u32(0x100), 0x0f, 0x30, // EFER |= LME
    0x0f, 0x20, 0xc0, 0x0d, ...u32(0x8000_0001), 0x0f, 0x22, 0xc0, //   CR0 |= PG | PE
    0x66, 0xba, 0xf8, 0x03, //                   mov  dx, 3f8           rdmsr has used edx
    ...say('G'),
    0x0f, 0x01, 0x15, { address: 'gdtr' }, //    lgdt [gdtr]
    0xea, { address: 'long' }, 0x08, 0x00, //    jmp  8:long
    // from here on both are 64-bit code
    { label: 'long' },
    ...say('L'),
    0xb8, ...u32(0x10), 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, //          DS = ES = SS = 10
    0x48, 0xc7, 0xc3, ...u32(0x8000_0000), //    mov  rbx, ffffffff80000000
    0x48, 0x8d, 0x83, { address: 'high' }, //    lea  rax, [rbx + high]
    0xff, 0xe0, //                               jmp  rax
    { label: 'high' },
    ...say('H'),
    0x48, 0x8d, 0xa3, ...u32(0x30_0000), //      lea  rsp, [rbx + 300000]
    0x0f, 0x01, 0x1c, 0x25, { address: 'idtr' }, // lidt [idtr]
    0xcc, //                                     int3
    ...say('R'),
    0xb9, ...u32(1 << 24), //                    mov  ecx, 1000000      33 million instructions: 0.2 s under TCG, a minute when interpreted
    0xff, 0xc9, //                         spin: dec  ecx
    0x75, 0xfc, //                               jnz  spin
    ...say('E'),
    0xb0, debugExit.value, //                    mov  al, 2a
    0xe6, debugExit.port, //                     out  f4, al
    0xb0, 0xfe, //                               mov  al, fe
    0xe6, 0x64, //                               out  64, al            pulse the reset line
    ...standStill,
    { label: 'handler' },
    ...say('I'),
    0x48, 0xcf, //                               iretq
    { label: 'gdt' },
    ...u32(0), ...u32(0), //                     null
    0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0, //       8:  code, 64 bit
    0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0, //       10: data
    { label: 'gdtr' },
    0x17, 0x00, { address: 'gdt' }, ...u32(0),
    { label: 'idt' },
    ...Buffer.alloc(3 * 16), //                   gates 0 to 2 are empty
    { address: 'handler', bytes: [0, 1] }, 0x08, 0x00, // gate 3: handler in segment 8,
    0x00, 0x8e, 0x10, 0x80, //                   interrupt gate; bits 16 to 31 of the handler's address: 8010, as it lies at 10xxxx
    ...u32(0xffff_ffff), ...u32(0), //           upper half
    { label: 'idtr' },
    0x3f, 0x00, { address: 'idt' }, ...u32(0),
  ];
  return elf(assemble(pieces), labelsOf(pieces).get('pvh'));
}

/** A sample of `clockGuest`: TSC before (8 bytes), PIT counter (2, counting down), TSC ticks that reading the counter took (4). */
export const clockSampleBytes = 14;

/**
 * Reads the TSC and counter 2 of the PIT (1,193,182 Hz) again and again, and writes each pair to the serial port as raw bytes; then asks
 * isa-debug-exit for `debugExit.status`. Needs a machine with a PIT (`pit=on`).
 */
export function clockGuest(samples: number): Buffer {
  const write16 = [0xee, 0xc1, 0xe8, 0x08, 0xee]; // out dx, al; shr eax, 8; out dx, al
  const write32 = [...write16, 0xc1, 0xe8, 0x08, ...write16];
  // oxfmt-ignore
  return elf(
    assemble([
      0xe4, 0x61, 0x24, 0xfd, 0x0c, 0x01, 0xe6, 0x61, // port 61: speaker off, gate of counter 2 open
      0xb0, 0xb4, 0xe6, 0x43, //                 counter 2, both bytes, mode 2: from 65536 down and again
      0xb0, 0x00, 0xe6, 0x42, 0xe6, 0x42,
      0xb9, ...u32(samples), //                  mov  ecx, samples
      { label: 'next' },
      0x0f, 0x31, 0x89, 0xc6, 0x89, 0xd7, //     edi:esi = TSC
      0xb0, 0x80, 0xe6, 0x43, //                 latch counter 2
      0xe4, 0x42, 0x88, 0xc3, //                 bl = low byte
      0xe4, 0x42, 0x88, 0xc7, //                 bh = high byte
      0x0f, 0x31, 0x29, 0xf0, 0x89, 0xc5, //     ebp = TSC - esi
      0x66, 0xba, 0xf8, 0x03, //                 mov  dx, 3f8
      0x89, 0xf0, ...write32,
      0x89, 0xf8, ...write32,
      0x89, 0xd8, ...write16,
      0x89, 0xe8, ...write32,
      0x49, //                                   dec  ecx
      0x75, { to: 'next' }, //                 jnz  next
      0xb0, debugExit.value, 0xe6, debugExit.port,
      ...standStill,
    ]),
  );
}

type Piece = number | { to: string } | { label: string } | { address: string; bytes?: readonly number[] };

function labelsOf(pieces: readonly Piece[]): ReadonlyMap<string, number> {
  const labels = new Map<string, number>();
  let at = LOAD_ADDRESS + CODE_OFFSET;
  for (const piece of pieces) {
    if (typeof piece === 'number' || 'to' in piece) at += 1;
    else if ('label' in piece) labels.set(piece.label, at);
    else at += piece.bytes?.length ?? 4;
  }
  return labels;
}

/** Puts the addresses of labels in: four bytes each, or the named ones of the four; `to` is the one byte of a short jump. */
function assemble(pieces: readonly Piece[]): Buffer {
  const labels = labelsOf(pieces);
  const addressOf = (label: string): number => {
    const address = labels.get(label);
    if (address === undefined) throw new Error(`no label ${label}`); // programmer error
    return address;
  };
  const bytes: number[] = [];
  for (const piece of pieces) {
    if (typeof piece === 'number') bytes.push(piece);
    // a short jump counts from the byte after its own
    else if ('to' in piece) bytes.push((addressOf(piece.to) - (LOAD_ADDRESS + CODE_OFFSET + bytes.length + 1)) & 0xff);
    else if ('address' in piece) bytes.push(...(piece.bytes ?? [0, 1, 2, 3]).map((i) => u32(addressOf(piece.address))[i] ?? 0));
  }
  return Buffer.from(bytes);
}

// oxfmt-ignore
const writeStringAtEsi = [
  0xfc, //                                 cld
  0x66, 0xba, 0xf8, 0x03, //               mov  dx, 3f8          transmit register of COM1; QEMU's is always ready
  0xac, //                           next: lodsb
  0x84, 0xc0, //                           test al, al
  0x74, 0x03, //                           jz   done
  0xee, //                                 out  dx, al
  0xeb, 0xf8, //                           jmp  next
  //                                 done:
];

// oxfmt-ignore
const standStill = [
  0xfa, //                                 cli
  0xf4, //                           stop: hlt
  0xeb, 0xfd, //                           jmp  stop
];

/**
 * An ELF64 executable with one segment, and the note by which a VMM knows a PVH kernel (owner `Xen`, type 18: the 32-bit entry). Both entries
 * are the first byte of the code unless that of PVH is named.
 */
export function elf(code: Buffer, pvhEntry: number = LOAD_ADDRESS + CODE_OFFSET): Buffer {
  const size = CODE_OFFSET + code.length;
  const file = Buffer.alloc(size);
  const entry = BigInt(LOAD_ADDRESS + CODE_OFFSET);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // magic, 64 bit, little endian, version 1
  file.writeUInt16LE(2, 0x10); // ET_EXEC
  file.writeUInt16LE(62, 0x12); // EM_X86_64
  file.writeUInt32LE(1, 0x14); // version
  file.writeBigUInt64LE(entry, 0x18);
  file.writeBigUInt64LE(0x40n, 0x20); // program headers at
  file.writeUInt16LE(0x40, 0x34); // size of this header
  file.writeUInt16LE(0x38, 0x36); // size of a program header
  file.writeUInt16LE(2, 0x38); // how many
  programHeader(file, 0x40, { type: 1, flags: 7, offset: 0, size, align: 0x1000 }); // PT_LOAD, rwx
  programHeader(file, 0x78, { type: 4, flags: 4, offset: NOTE_OFFSET, size: 24, align: 4 }); // PT_NOTE, r
  file.writeUInt32LE(4, NOTE_OFFSET); // length of the name
  file.writeUInt32LE(8, NOTE_OFFSET + 4); // length of the value
  file.writeUInt32LE(18, NOTE_OFFSET + 8); // XEN_ELFNOTE_PHYS32_ENTRY
  file.write('Xen\0', NOTE_OFFSET + 12, 'latin1');
  file.writeBigUInt64LE(BigInt(pvhEntry), NOTE_OFFSET + 16);
  code.copy(file, CODE_OFFSET);
  return file;
}

function programHeader(
  file: Buffer,
  at: number,
  header: { type: number; flags: number; offset: number; size: number; align: number },
): void {
  file.writeUInt32LE(header.type, at);
  file.writeUInt32LE(header.flags, at + 4);
  file.writeBigUInt64LE(BigInt(header.offset), at + 8);
  file.writeBigUInt64LE(BigInt(LOAD_ADDRESS + header.offset), at + 16); // virtual
  file.writeBigUInt64LE(BigInt(LOAD_ADDRESS + header.offset), at + 24); // physical
  file.writeBigUInt64LE(BigInt(header.size), at + 32); // in the file
  file.writeBigUInt64LE(BigInt(header.size), at + 40); // in memory
  file.writeBigUInt64LE(BigInt(header.align), at + 48);
}

function u32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
