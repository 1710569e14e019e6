/**
 * Whether this Firecracker runs a guest on this host's KVM: by running one. It is asked by itself and not by what QEMU showed, because the
 * two ask different things of a KVM (QEMU 7.2 stumbles over an MSR that Firecracker never sets). Bare, without jailer and network, and gone
 * when the answer is there.
 */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeFailure, exec, type ExecResult } from '../../tools/exec.ts';
import { readTextIfThere, removeTree } from '../../tools/files.ts';
import { reached } from '../accelerator.ts';
import { pathfinderGuest, pathfinderSays } from '../tiny-guest.ts';
import { whyEnded } from './exit.ts';

export type FirecrackerProbe = { works: boolean; evidence: string; ms: number };

/** As for QEMU with KVM: a processor needs a hundredth of a second; kvm_pvm, which interprets, would need a minute. */
const TIMEOUT_MS = 5_000;

export async function probeFirecracker(path: string, signal: AbortSignal): Promise<FirecrackerProbe> {
  const folder = await mkdtemp(join(tmpdir(), 'linstock-probe-'));
  try {
    const file = (name: string): string => join(folder, name);
    const config = {
      // without this one the default arguments would be given; the guest reads none
      'boot-source': { kernel_image_path: file('guest'), boot_args: 'console=ttyS0' },
      'machine-config': { vcpu_count: 1, mem_size_mib: 64 },
      drives: [],
    };
    await writeFile(file('guest'), pathfinderGuest());
    await writeFile(file('config.json'), JSON.stringify(config));
    await writeFile(file('log'), ''); // up to 1.13 it must be there
    const argv = [path, '--no-api', '--config-file', file('config.json'), '--log-path', file('log'), '--level', 'Info', '--show-level'];
    const result = await exec(argv, { cwd: folder, timeoutMs: TIMEOUT_MS, signal });
    signal.throwIfAborted();
    const works = result.code === 0 && result.stdout === pathfinderSays;
    const what = 'a guest of 90 instructions';
    const ms = Math.round(result.ms);
    if (works)
      return { works, evidence: `${what} reached 64-bit code, took an exception and ran a loop of 16 million turns in ${ms} ms`, ms };
    const far = reached[result.stdout] ?? JSON.stringify(result.stdout.slice(0, 40));
    return { works, evidence: `${what} got as far as ${far}, then ${howItEnded(result, (await readTextIfThere(file('log'))) ?? '')}`, ms };
  } finally {
    await removeTree(folder);
  }
}

function howItEnded(result: ExecResult, log: string): string {
  if (result.timedOut) return `nothing more for ${Math.round(result.ms / 1000)} s`;
  const status = result.code ?? (result.signal === null ? null : 128 + constants.signals[result.signal]);
  if (status === null) return describeFailure(result).replace(/\.$/, '');
  const { stdout, stderr } = result;
  return whyEnded({
    status,
    onRequest: false,
    ranOutOfMemory: false,
    log,
    errors: stderr,
    console: stdout,
    consoleBytes: stdout.length,
    metrics: null,
  }).hint;
}
