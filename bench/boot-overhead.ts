/**
 * What Linstock adds to a boot: `create` and wait for `verified`, over bare QEMU with the very same arguments, kernel, initrd and command line,
 * in a namespace with the very same TAP, until the console shows the line at which the guest is ready. A-B-A-B; the ratio is pair by pair.
 *
 * Bare QEMU gets its disk and its namespace for nothing (made before the clock starts), and is over at the console line; Linstock pays
 * for disk, network, database and for the proof of every condition. Both logs are read every 2 ms, which is the error of bare times.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Network, VmView } from '@linstock/contract';
import { wiringOf } from '@linstock/core';
import { BridgeNetworks, bootFile } from '@linstock/host';
import { realNow } from './parts/program.ts';
import { note, taken } from './parts/samples.ts';
import { settled, Stage, until } from './parts/stage.ts';

/** The last line of the golden image's init before it waits: the guest is ready. */
const readyLine = 'linstock-init: ready';
const pairs = 16;
const calmMs = 500;

export type BootPair = {
  /** ms from spawn to the line */
  bare: number;
  /** ms from request to verified, and where it went */
  linstock: number;
  /** from the request to the line, seen in the log as for bare QEMU */
  console: number;
  milestones: readonly { what: string; ms: number }[];
};
export type BootOverhead = { line: string; accelerator: string; pairs: readonly BootPair[] };

export async function boot(): Promise<void> {
  const stage = await Stage.start({ subnet: '10.78.5.0/24', stub: false });
  try {
    const { api, paths } = stage;
    const folder = join(stage.folder, 'bare');
    mkdirSync(folder);

    const boots = (): string[] => (existsSync(paths.boots) ? readdirSync(paths.boots) : []);
    const linstock = async (): Promise<{ vm: VmView; pair: Omit<BootPair, 'bare'> }> => {
      const before = new Set(boots());
      const began = realNow();
      const lineSeen = until(() => {
        const log = boots().find((one) => !before.has(one));
        return log !== undefined && saysReady(join(paths.boot(log), bootFile.console)) ? realNow() - began : null;
      }, 2);
      const { vm, reached } = await api.vms.create({}, { until: 'verified', withinMs: 120_000 });
      const ms = realNow() - began;
      if (!reached) throw new Error(`${vm.name} was not verified: ${vm.says ?? vm.phase}`);
      const boot = await api.boots.show(vm.boot ?? '');
      const milestones = boot.timeline.map(({ what, at }) => ({ what, ms: at - began }));
      return { vm, pair: { linstock: ms, console: await lineSeen, milestones } };
    };
    const away = async (vm: VmView): Promise<void> => {
      await api.vms.delete(vm.id, { until: 'deleted', withinMs: 60_000 });
      await settled(calmMs);
    };

    // the plan of a real boot is the template of the bare one
    const first = await linstock();
    const { argv } = JSON.parse(readFileSync(join(paths.boot(first.vm.boot ?? ''), bootFile.plan), 'utf8')) as { argv: string[] };
    const network = ((await api.networks.list())[0] ?? null) as Network | null;
    if (network === null) throw new Error('there is no network');
    const mark = network.bridge?.slice(2, 6) ?? '';
    const template = {
      mine: paths.boot(first.vm.boot ?? ''),
      disk: paths.disk(first.vm.id, 'qcow2'),
      address: first.vm.address ?? '',
      mac: first.vm.mac ?? '',
    };
    await away(first.vm);
    const wiring = wiringOf(mark, network, 200);
    const networks = new BridgeNetworks({ mark, stateFolder: paths.network });
    const disk = join(folder, 'root.qcow2');
    const words = argv.map((word) =>
      word
        .replaceAll(template.mine, folder)
        .replaceAll(template.disk, disk)
        .replaceAll(template.address, wiring.address)
        .replaceAll(template.mac, wiring.mac),
    );
    const backing = rootOf(stage.paths.images);

    const bare = async (): Promise<number> => {
      await networks.ensureSlot(network, wiring);
      for (const name of [bootFile.console, bootFile.agent, bootFile.qmp, bootFile.serial, 'root.qcow2'])
        rmSync(join(folder, name), { force: true });
      const made = spawnSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', backing, disk]);
      if (made.status !== 0) throw new Error(String(made.stderr));
      await settled(calmMs);
      const log = join(folder, bootFile.console);
      const began = realNow();
      const child = spawn('nsenter', [`--net=/run/netns/${wiring.netns}`, '--', ...words], { cwd: folder, stdio: 'ignore' });
      await until(() => (child.exitCode !== null || saysReady(log) ? true : null), 2);
      const ms = realNow() - began;
      if (child.exitCode !== null) throw new Error(`bare QEMU ended with ${child.exitCode}`);
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      await networks.absentSlot(network, wiring.slot);
      await settled(calmMs);
      return ms;
    };

    const accelerator = (await api.hosts.list())[0]?.facts.accelerator ?? 'unknown';
    await bare();
    await taken('boot-overhead', 'create until verified, over bare QEMU until the same console line', async (): Promise<BootOverhead> => {
      const measured: BootPair[] = [];
      for (let i = 0; i < pairs; i += 1) {
        const a = await bare();
        const { vm, pair } = await linstock();
        await away(vm);
        measured.push({ bare: a, ...pair });
        note(`  pair ${i + 1} of ${pairs}: bare ${a.toFixed(0)} ms, linstock ${pair.linstock.toFixed(0)} ms`);
      }
      return { line: readyLine, accelerator, pairs: measured };
    });
  } finally {
    await stage.close();
  }
}

const saysReady = (log: string): boolean => existsSync(log) && readFileSync(log, 'latin1').includes(readyLine);

/** The file behind the overlays: the root file system of the golden image. */
function rootOf(images: string): string {
  const manifest = JSON.parse(readFileSync(join(images, 'goldens/tiny/1/manifest.json'), 'utf8')) as { rootfs: { blob: string } };
  return join(images, 'blobs/sha256', manifest.rootfs.blob);
}
