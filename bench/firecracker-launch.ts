/**
 * From `launch` of our driver to a Firecracker that runs its VM, against `firecracker --no-api --config-file` of the same configuration. When
 * it runs is what Firecracker itself writes into its log, with its own clock, so both sides are measured by the same line. Bare and jailed,
 * each pair one after the other. Needs binaries in LINSTOCK_FIRECRACKER; a KVM that starts a VM is enough, its guest idles.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeBench, firecrackerBench, launched, realBinaries, type Binaries, type Way } from '@linstock/host/firecracker-bench';
import { realNow } from './parts/program.ts';
import { note, taken } from './parts/samples.ts';
import { until } from './parts/stage.ts';

export type FirecrackerLaunch = {
  versions: readonly { version: string; pairs: readonly { bare: number; jailed: number | null; plain: number }[] }[];
  /** requests to the API until the VM runs */
  calls: { linstock: number; goSdk: number };
};

const pairsEach = 20;
/**
 * For one drive, interface and vsock device: logger, metrics, machine-config, boot-source, drive, interface, vsock, InstanceStart; its reads
 * not counted. firecracker-go-sdk, handlers.go defaultFcInitHandlerList, at commit 0cf83ada.
 */
const goSdkCalls = 8;
/** The configuration is a file, and starting is what reading it does. */
const ourCalls = 0;

export async function firecrackerLaunch(): Promise<void> {
  const binaries = realBinaries();
  if (binaries.length === 0) return note('  left out: LINSTOCK_FIRECRACKER names no binaries');
  await taken('firecracker-launch', 'launch to a running Firecracker, against the binary alone', async (): Promise<FirecrackerLaunch> => {
    const versions: FirecrackerLaunch['versions'][number][] = [];
    for (const one of binaries) {
      const pairs: FirecrackerLaunch['versions'][number]['pairs'][number][] = [];
      for (let i = 0; i < pairsEach; i += 1) {
        const { ms: bare, folder } = await ours(one, { jailed: false, by: 'cgroup' });
        const plain = await alone(one, folder);
        const jailed = one.jailer === null ? null : (await ours(one, { jailed: true, by: 'cgroup', pidNamespace: true })).ms;
        rmSync(folder, { recursive: true, force: true });
        pairs.push({ bare, jailed, plain });
      }
      note(`  ${one.version}: ${pairs.length} pairs`);
      versions.push({ version: one.version, pairs });
    }
    return { versions, calls: { linstock: ourCalls, goSdk: goSdkCalls } };
  });
}

/** `folder`: a copy of what it ran with, for the other side. */
async function ours(binaries: Binaries, way: Way): Promise<{ ms: number; folder: string }> {
  const bench = firecrackerBench(binaries, way, null);
  const folder = mkdtempSync(join(tmpdir(), 'linstock-launch-'));
  try {
    const began = realNow();
    const one = await launched(bench);
    const at = await until(() => startedAt(join(one.folder, 'firecracker.log')), 1);
    if (!way.jailed) {
      const { kernel, disk } = bench.order(one.boot, one.folder, 'good').files;
      cpSync(kernel, join(folder, 'kernel'));
      cpSync(disk, join(folder, 'disk'));
      const config = readFileSync(join(one.folder, 'config.json'), 'utf8');
      writeFileSync(join(folder, 'config.json'), config.replaceAll(kernel, 'kernel').replaceAll(disk, 'disk'));
    }
    return { ms: at - began, folder };
  } finally {
    await closeBench(bench);
  }
}

async function alone({ firecracker }: Binaries, folder: string): Promise<number> {
  const log = join(folder, 'log');
  writeFileSync(log, ''); // up to 1.13 it must be there
  const began = realNow();
  const child = spawn(firecracker, ['--no-api', '--config-file', 'config.json', '--log-path', 'log', '--level', 'Info'], {
    cwd: folder,
    stdio: 'ignore',
  });
  try {
    return (await until(() => startedAt(log), 1)) - began;
  } finally {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    rmSync(join(folder, 'v.sock'), { force: true });
  }
}

/** The time of the line that says so, `ms` since the epoch; Firecracker writes local time. */
function startedAt(log: string): number | null {
  if (!existsSync(log)) return null;
  const line = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9}) .*Successfully started microvm/m.exec(readFileSync(log, 'utf8'));
  return line?.[1] === undefined ? null : new Date(line[1]).getTime() + Number(line[2]) / 1e6;
}
