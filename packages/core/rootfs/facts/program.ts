/**
 * Whether the kernel can execute a file of the image, and what it needs for that. Pure; any bytes give an answer.
 * Source: the kernel's fs/binfmt_elf.c and fs/binfmt_script.c; ELF by the System V ABI.
 */
import type { ImageView } from '../view.ts';

export type Program =
  /** `path`: where the way ended */
  | { is: 'absent'; path: string; loop: boolean }
  | { is: 'unreadable'; path: string; why: string }
  | {
      is: 'there';
      /** links followed */
      path: string;
      executable: boolean;
      form: 'elf' | 'script' | 'empty' | 'folder' | 'other';
      /** of an ELF file, as people call it */
      machine: string | null;
      /** the interpreter of a script, the dynamic loader of an ELF file; null: it needs none */
      needs: { path: string; program: Program } | null;
    };

export const OUR_MACHINE = 'x86-64';
const MACHINES: Readonly<Record<number, string>> = {
  3: '32-bit x86',
  8: 'MIPS',
  20: 'PowerPC',
  21: 'PowerPC',
  22: 's390',
  40: '32-bit Arm',
  62: OUR_MACHINE,
  183: 'arm64',
  243: 'RISC-V',
};

/** The loader's name stands within the first page in every program that a linker made; the kernel reads as far as it must. */
const headBytes = 8 * 1024;
/** BINPRM_BUF_SIZE: the kernel looks at so much of a script's first line. */
const scriptLine = 256;
/** The kernel gives up after four interpreters of interpreters (fs/exec.c). */
const mostInterpreters = 4;

export function programAt(view: ImageView, path: string, depth = 0): Program {
  const look = view.stat(path);
  if (look.is === 'absent') return { is: 'absent', path: look.path, loop: look.loop };
  if (look.is === 'unreadable') return { is: 'unreadable', path, why: look.why };
  const base = { is: 'there' as const, path: look.path, executable: (look.node.mode & 0o111) !== 0, machine: null, needs: null };
  if (look.node.kind !== 'file') return { ...base, form: look.node.kind === 'folder' ? 'folder' : 'other' };
  const content = view.read(path, headBytes);
  if (content.is === 'unreadable') return { is: 'unreadable', path, why: content.why };
  const bytes = content.is === 'there' ? content.bytes : new Uint8Array();
  if (bytes.length === 0) return { ...base, form: 'empty' };
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length >= 20 && data.getUint32(0) === 0x7f454c46) {
    const elf = readElf(data);
    return {
      ...base,
      form: 'elf',
      machine: elf.machine,
      needs: elf.loader === null || depth >= mostInterpreters ? null : needed(view, elf.loader, mostInterpreters),
    };
  }
  const line = new TextDecoder('latin1').decode(bytes.subarray(0, scriptLine)).split('\n', 1)[0] ?? '';
  const interpreter = /^#![ \t]*(\S+)/.exec(line)?.[1];
  if (interpreter === undefined) return { ...base, form: 'other' };
  if (depth >= mostInterpreters) return { ...base, form: 'script' };
  return { ...base, form: 'script', needs: needed(view, interpreter, depth + 1) };
}

function needed(view: ImageView, path: string, depth: number): { path: string; program: Program } {
  return { path, program: programAt(view, path, depth) };
}

function readElf(data: DataView): { machine: string; loader: string | null } {
  const little = data.getUint8(5) === 1;
  const wide = data.getUint8(4) === 2;
  const number = data.getUint16(18, little);
  const machine = MACHINES[number] ?? `machine type ${number}`;
  if (data.byteLength < 64) return { machine, loader: null };
  const headersAt = wide ? Number(data.getBigUint64(32, little)) : data.getUint32(28, little);
  const each = data.getUint16(wide ? 54 : 42, little);
  const count = Math.min(128, data.getUint16(wide ? 56 : 44, little));
  for (let index = 0; index < count; index++) {
    const at = headersAt + index * each;
    if (!(at + (wide ? 56 : 32) <= data.byteLength)) break;
    if (data.getUint32(at, little) !== 3) continue;
    const from = wide ? Number(data.getBigUint64(at + 8, little)) : data.getUint32(at + 4, little);
    const length = wide ? Number(data.getBigUint64(at + 32, little)) : data.getUint32(at + 16, little);
    // Outside of what was read: nothing is claimed.
    if (!(from + length <= data.byteLength) || length > 4096) break;
    const name = new TextDecoder('latin1').decode(new Uint8Array(data.buffer, data.byteOffset + from, length)).replace(/\0[^]*$/, '');
    return { machine, loader: name === '' ? null : name };
  }
  return { machine, loader: null };
}

/** Why the kernel cannot start a program; null: nothing speaks against it. `error`: what execve returns. */
export function obstacle(program: Program): { what: string; error: number } | null {
  switch (program.is) {
    case 'absent':
      return program.loop
        ? { what: `${program.path} is a link that leads round in circles`, error: -40 }
        : { what: `there is no ${program.path}`, error: -2 };
    case 'unreadable':
      return null;
    case 'there':
      return obstacleThere(program);
  }
}

function obstacleThere(program: Extract<Program, { is: 'there' }>): { what: string; error: number } | null {
  const { path, form, machine, needs } = program;
  if (form === 'folder') return { what: `${path} is a folder`, error: -13 };
  if (!program.executable) return { what: `${path} is not executable`, error: -13 };
  if (form === 'empty') return { what: `${path} is empty`, error: -8 };
  // 32-bit x86 runs where the kernel has IA32_EMULATION: most do.
  if (form === 'elf' && machine !== OUR_MACHINE && machine !== '32-bit x86')
    return { what: `${path} is a program for ${machine}`, error: -8 };
  if (form === 'other') return { what: `${path} is neither a program nor a script that begins with #!`, error: -8 };
  if (needs === null) return null;
  const role = form === 'elf' ? 'the loader' : 'the interpreter';
  if (needs.program.is === 'absent') return { what: `${role} of ${path}, ${needs.path}, is not there`, error: -2 };
  const inner = obstacle(needs.program);
  return inner === null ? null : { what: `${role} of ${path} cannot be started: ${inner.what}`, error: inner.error };
}
