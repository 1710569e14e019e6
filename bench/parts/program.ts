/**
 * The stub VMM: a static program of 300 bytes that writes down when it was executed, and then idles. Both sides of every comparison
 * execute this same file.
 *
 * Its first instructions after a look at the number of its arguments read CLOCK_REALTIME (no vDSO, no libc, no loader): the error against the moment of execve's return is the time
 * of one system call, below 1 µs; execve itself (mapping 300 bytes) is before it and counts. A shell with `date +%s%N` would add 2 ms, the
 * time of a file would be rounded to the tick of the kernel (4 ms at HZ=250).
 */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { staticProgram } from '@linstock/host';

/** What it leaves in its working folder: seconds and nanoseconds, 8 bytes each, little endian; appended at every execution. */
export const execFile = 'stub.exec';

// cmp [rsp],2 argc; jne on; xor edi,edi; mov eax,231 exit_group; syscall: who asks for --version gets an end, not a VM
const refuseQuestions = '48833c2402 7509 31ff b8e7000000 0f05';
// mov eax,228 clock_gettime; xor edi,edi CLOCK_REALTIME; lea rsi,[rsp-64]; syscall
const readClock = 'b8e4000000 31ff 488d7424c0 0f05';
// mov eax,2 open; lea rdi,NAME; mov esi,O_WRONLY|O_CREAT|O_APPEND; mov edx,0644; syscall; mov edi,eax; mov eax,1 write
const openFor = (name: string): string => `b802000000 488d3d${name} be41040000 baa4010000 0f05 89c7 b801000000`;
const writeClock = '488d7424c0 ba10000000 0f05'; // lea rsi,[rsp-64]; mov edx,16; syscall
const writeReady = '488d3526000000 ba15000000 0f05'; // lea rsi,READY; mov edx,21; syscall
const idle = 'b822000000 0f05 ebf7'; // mov eax,34 pause; syscall; and again

const code = Buffer.concat([
  Buffer.from(
    [refuseQuestions, readClock, openFor('55000000'), writeClock, openFor('34000000'), writeReady, idle].join('').replaceAll(' ', ''),
    'hex',
  ),
  Buffer.from(`${execFile}\0console.log\0linstock-init: ready\n`, 'latin1'),
]);

export function writeProgram(path: string): void {
  if (process.arch !== 'x64') throw new Error('the stub VMM is written in machine code of x86-64');
  writeFileSync(path, staticProgram(code));
  chmodSync(path, 0o755);
}

/** When the program was last executed in this folder, `ms` since the epoch; null when it was not. */
export function execTime(file: string): number | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    return null; // ENOENT: not executed yet
  }
  if (bytes.length < 16) return null;
  const last = bytes.subarray(Math.floor(bytes.length / 16) * 16 - 16);
  return Number(last.readBigUInt64LE(0)) * 1_000 + Number(last.readBigUInt64LE(8)) / 1e6;
}

/** The same clock as the stub's, with microseconds. */
export const realNow = (): number => performance.timeOrigin + performance.now();
