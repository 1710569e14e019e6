/**
 * The truth about accelerators: what a guest did decides, never that /dev/kvm exists, opens, or makes a VM. Every probe has a time limit,
 * and at most two guests run at once.
 */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { anySignal, type ProbeBoot } from '@linstock/contract';
import { describeFailure, exec, type ExecResult } from '../tools/exec.ts';
import { readIfThere, removeTree } from '../tools/files.ts';
import { accelerationArgv, bareArgv } from './qemu/plan.ts';
import { record, withQmp } from './qemu/qmp.ts';
import { clockGuest, debugExit, pathfinderGuest, pathfinderSays } from './tiny-guest.ts';
import { measureTscKhz, readCpuinfo, settleTscKhz } from './tsc.ts';

/** Measured: 0.25 s under TCG; interpreted by kvm_pvm (0.4 million instructions per second) it would need a minute. A loaded host shares. */
const PROBE_TIMEOUT_MS = { kvm: 5_000, tcg: 30_000 } as const;
/** A stock kernel without a disk panics after 2.2 s under TCG; under KVM it can only be sooner. */
const KERNEL_TIMEOUT_MS = 15_000;
const CALIBRATION_TIMEOUT_MS = 30_000;
/** 0.2 s of samples. */
const CLOCK_SAMPLES = 4_000;

/** How far a pathfinder came, by what it wrote. */
export const reached: Record<string, string> = {
  '': 'no instruction',
  P: 'its first instruction',
  PG: 'paging',
  PGL: '64-bit code',
  PGLH: '64-bit code in the upper half',
  PGLHI: 'the handler of an exception',
  PGLHIR: 'the return from an exception',
};

export type Accelerators = { accelerator: 'kvm' | 'tcg'; probes: ProbeBoot[]; tscKhz: number | null };

/** `kernel`: a real one to boot as well where KVM passes; nothing known needs it, it is for the careful. */
export async function probeAccelerators(options: { qemu: string; signal: AbortSignal; kernel?: string }): Promise<Accelerators> {
  const [kvm, tcg] = await Promise.all([probeKvm(options), probePathfinder({ ...options, accelerator: 'tcg' })]);
  if (kvm.works) return { accelerator: 'kvm', probes: [kvm, tcg], tscKhz: null };
  return { accelerator: 'tcg', probes: [kvm, tcg], tscKhz: (await calibrateTsc(options)).tscKhz };
}

async function probeKvm(options: { qemu: string; signal: AbortSignal; kernel?: string }): Promise<ProbeBoot> {
  const first = await probePathfinder({ ...options, accelerator: 'kvm' });
  return first.works && options.kernel !== undefined ? await probeKernel({ ...options, kernel: options.kernel }, first) : first;
}

/** `cpu` is for tests: the model that guests get is the one to probe. */
export async function probePathfinder(options: {
  qemu: string;
  accelerator: 'kvm' | 'tcg';
  signal: AbortSignal;
  cpu?: string;
}): Promise<ProbeBoot> {
  const { accelerator, qemu, signal } = options;
  return await inScratch(async (folder) => {
    await writeFile(join(folder, 'guest'), pathfinderGuest());
    // oxfmt-ignore
    const argv = [
      qemu, '-M', 'microvm,acpi=on', ...accelerationArgv(accelerator), ...(options.cpu === undefined ? [] : ['-cpu', options.cpu]),
      '-m', '32', ...bareArgv, '-kernel', join(folder, 'guest'), ...serialToStdout, ...exitDevice, '-qmp', 'unix:qmp.sock,server=on,wait=off',
    ];
    const stop = new AbortController();
    const running = exec(argv, { cwd: folder, timeoutMs: PROBE_TIMEOUT_MS[accelerator], signal: anySignal([signal, stop.signal]) });
    const stuck = endWhenStuck(folder, stop, running);
    const result = await running;
    signal.throwIfAborted();
    const works = result.code === debugExit.status && result.stdout === pathfinderSays;
    const what = `a guest of 60 instructions under ${accelerator}`;
    const evidence = works
      ? `${what} reached 64-bit code, took an exception and ran a loop of 16 million turns in ${Math.round(result.ms)} ms`
      : `${what} got as far as ${reached[result.stdout] ?? JSON.stringify(result.stdout.slice(0, 40))}, then ${(await stuck) ? `KVM gave up (${lastLine(result.stderr)})` : howItEnded(result)}`;
    return { accelerator, works, evidence, ms: Math.round(result.ms) };
  });
}

async function probeKernel(options: { qemu: string; signal: AbortSignal; kernel: string }, first: ProbeBoot): Promise<ProbeBoot> {
  // oxfmt-ignore
  const argv = [
    options.qemu, '-M', 'microvm,acpi=on', ...accelerationArgv('kvm'), '-m', '128', ...bareArgv, '-kernel', options.kernel,
    // no disk: it comes as far as it can, panics, and a panic restarts at once, which -no-reboot turns into an end
    '-append', 'console=ttyS0 earlyprintk=serial,ttyS0 panic=-1 reboot=t', ...serialToStdout,
  ];
  const result = await exec(argv, { timeoutMs: KERNEL_TIMEOUT_MS, signal: options.signal });
  options.signal.throwIfAborted();
  const works = result.code === 0 && result.stdout.includes('Linux version ');
  const evidence = works
    ? `${first.evidence}, and ${options.kernel} came up in ${Math.round(result.ms)} ms`
    : `${first.evidence}, but ${options.kernel} did not come up: ${howItEnded(result)}`;
  return { accelerator: 'kvm', works, evidence, ms: first.ms + Math.round(result.ms) };
}

/** The host's TSC frequency for guests under TCG; null when it is not to be had, and then guests go without ACPI. */
export async function calibrateTsc(options: {
  qemu: string;
  signal: AbortSignal;
}): Promise<{ tscKhz: number | null; evidence: string; ms: number }> {
  return await inScratch(async (folder) => {
    const started = performance.now();
    await writeFile(join(folder, 'guest'), clockGuest(CLOCK_SAMPLES));
    // oxfmt-ignore
    const argv = [
      options.qemu, '-M', 'microvm,acpi=off,pit=on', ...accelerationArgv('tcg'), '-m', '32', ...bareArgv,
      '-kernel', join(folder, 'guest'), ...serialToStdout, ...exitDevice,
    ];
    const samples = join(folder, 'samples');
    const result = await exec(argv, { cwd: folder, timeoutMs: CALIBRATION_TIMEOUT_MS, signal: options.signal, stdoutFile: samples });
    options.signal.throwIfAborted();
    const bytes = (await readIfThere(samples)) ?? Buffer.alloc(0);
    const measured = result.code === debugExit.status ? measureTscKhz(bytes) : null;
    const { tscKhz, why } = settleTscKhz(measured, readCpuinfo(await readFile('/proc/cpuinfo', 'utf8')));
    const evidence = result.code === debugExit.status ? why : `${why}: ${describeFailure(result)}`;
    return { tscKhz, evidence, ms: Math.round(performance.now() - started) };
  });
}

/** Raw bytes, and no key of ours is a signal to QEMU. */
const serialToStdout: readonly string[] = ['-chardev', 'stdio,id=con,signal=off', '-serial', 'chardev:con'];
const exitDevice: readonly string[] = ['-device', `isa-debug-exit,iobase=${debugExit.port},iosize=4`];

/** A KVM that cannot go on stops the guest and keeps the process: only QMP tells, and there is no need to wait for the time limit. */
async function endWhenStuck(folder: string, stop: AbortController, running: Promise<unknown>): Promise<boolean> {
  const ended = new AbortController();
  void running.then(() => ended.abort());
  while (!ended.signal.aborted) {
    try {
      const status = await withQmp(
        { folder, socket: 'qmp.sock' },
        { timeoutMs: 1_000, signal: ended.signal },
        async (qmp) => record(await qmp.execute('query-status'))['status'],
      );
      if (status === 'internal-error') {
        stop.abort(new Error('stuck'));
        return true;
      }
      await wait(50, undefined, { signal: ended.signal });
    } catch {
      // Not listening yet, or ended meanwhile: the loop's condition tells which.
      await wait(20);
    }
  }
  return false;
}

function howItEnded(result: ExecResult): string {
  return result.timedOut ? `nothing more for ${Math.round(result.ms / 1000)} s` : describeFailure(result);
}

function lastLine(text: string): string {
  return text.split('\n').find((line) => line.includes('error')) ?? 'without a word';
}

async function inScratch<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'linstock-probe-'));
  try {
    return await work(folder);
  } finally {
    await removeTree(folder);
  }
}
