/**
 * A program of 253 bytes that runs another one in a cgroup:   born-in CGROUP PROGRAM [ARGUMENT…]
 *
 * Why it is needed: moving a living process into a cgroup waits for an RCU grace period of the whole kernel, 13 to 17 ms on the reference
 * machine and most of the time from a request to the exec of its VMM; a process that is *born* there (clone3 with CLONE_INTO_CGROUP, Linux
 * 5.7) waits for nothing. Neither Node nor the tools of a distribution can ask for that, and a compiler is not to be expected on a host.
 *
 * It starts PROGRAM as a child in CGROUP and ends; where the kernel refuses it becomes PROGRAM itself, outside: whoever rests on the place
 * looks (vmm/keep does, and moves itself).
 */
import { accessSync, chmodSync, constants, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const instructions = [
  '4889e3 488b03 4c8d64c310', //         rbx = what we were given; r12 = the environment behind it
  '488b7b10 be00000900 b802000000 0f05', // fd = open(CGROUP, O_DIRECTORY|O_CLOEXEC)
  '85c0 7841', //                        none: become PROGRAM
  '89c2 4881ec80000000 4889e7 31c0 b90b000000 f348ab', // struct clone_args, 88 bytes of zero
  'c644240402 c644242011 4889542450', // flags = CLONE_INTO_CGROUP, exit_signal = SIGCHLD, cgroup = fd
  '4889e7 be58000000 b8b3010000 0f05', // clone3(args, 88)
  '85c0 7e09', //                        in the child, or refused: become PROGRAM
  '31ff b8e7000000 0f05', //             the parent: exit_group(0)
  'b870000000 0f05', //                  setsid(): who becomes PROGRAM leads a session of its own, as its caller would have
  '488b7b18 488d7318 4c89e2 b83b000000 0f05', // execve(PROGRAM, [PROGRAM, ARGUMENT…], environment)
  'bf7f000000 b8e7000000 0f05', //       there is no such program: exit_group(127)
];

const code = Buffer.from(instructions.join('').replaceAll(' ', ''), 'hex');
const base = 0x40_0000n;
const headerBytes = 64 + 56;

/** A static program of x86-64 with one segment, readable and executable (elf(5)). */
export function staticProgram(text: Uint8Array): Buffer {
  const head = Buffer.alloc(headerBytes);
  head.write('\x7fELF\x02\x01\x01', 'latin1');
  head.writeUInt16LE(2, 16); // ET_EXEC
  head.writeUInt16LE(62, 18); // EM_X86_64
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(base + BigInt(headerBytes), 24); // entry
  head.writeBigUInt64LE(64n, 32); // where program headers begin
  head.writeUInt16LE(64, 52);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(1, 56);
  head.writeUInt32LE(1, 64); // PT_LOAD
  head.writeUInt32LE(5, 68); // read, execute
  head.writeBigUInt64LE(base, 80);
  head.writeBigUInt64LE(base, 88);
  head.writeBigUInt64LE(BigInt(headerBytes + text.length), 96);
  head.writeBigUInt64LE(BigInt(headerBytes + text.length), 104);
  head.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([head, text]);
}

/** The program under that path, or null where it cannot run: another processor, or a file system without programs. */
export function ensureBornIn(path: string): string | null {
  if (process.arch !== 'x64') return null;
  const program = staticProgram(code);
  try {
    if (!sameFile(path, program)) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.half`, program);
      chmodSync(`${path}.half`, 0o755);
      renameSync(`${path}.half`, path);
    }
    accessSync(path, constants.X_OK); // says no on a file system mounted noexec
    return path;
  } catch {
    return null; // EACCES, EROFS, ENOSPC: keepers then move into their unit by themselves, which is slower and nothing else
  }
}

function sameFile(path: string, program: Buffer): boolean {
  try {
    return readFileSync(path).equals(program);
  } catch {
    return false; // ENOENT: not written yet
  }
}
