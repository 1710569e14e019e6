/**
 * The driver with real Firecrackers: LINSTOCK_FIRECRACKER names them, `path[:path…]`, each with a `jailer` beside it or none. Their guests
 * have some ten instructions, because a KVM that is good for no more (seen: Linux 6.18 over kvm_pvm) runs those; where it does not even run
 * them, everything that needs a guest is skipped with the reason.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { inside, parseVersion, type Version, type Wiring, wiringOf } from '@linstock/core';
import { eventually } from '@linstock/testkit';
import { whyNoGuest } from '@linstock/testkit/firecracker-sim';
import { testVmm } from '@linstock/testkit/vmm-suite';
import { connectGuest } from '../../guest/channel.ts';
import { userNetwork } from '../testing/benches.ts';
import {
  bare,
  closeBench,
  firecrackerBench,
  launched,
  realBinaries,
  skipped,
  ways,
  type Binaries,
  type FirecrackerBench,
  type Launched,
  type Way,
} from '../testing/firecracker-bench.ts';
import { endingGuest, idleGuest, type GuestsEnd } from '../tiny-guest.ts';
import type { LaunchOrder, VmmSight } from '../vmm.ts';
import { FirecrackerClient } from './client.ts';
import { effectiveLine } from './command-line.ts';
import { firecrackerFile } from './config.ts';
import { has } from './versions.ts';

const never = new AbortController().signal;
const found = realBinaries();
const noReal = found.length === 0 && 'LINSTOCK_FIRECRACKER names no binaries';
const noNetwork = process.getuid?.() !== 0 ? 'a network namespace needs root' : spawnSync('ip', ['-V']).status !== 0 && 'there is no ip';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});
const opened = (binaries: Binaries, way: Way): FirecrackerBench => {
  const made = firecrackerBench(binaries, way, null);
  open.push(() => closeBench(made));
  return made;
};
const consoleOf = (folder: string): string =>
  existsSync(join(folder, 'console.log')) ? readFileSync(join(folder, 'console.log'), 'latin1') : '';
const ended = async ({ vmm, boot, folder }: Launched): Promise<VmmSight> =>
  await eventually(
    () => vmm.look(boot, folder),
    (sight) => sight.is === 'ended',
  );

/** Another kernel than the one that idles. */
const withKernel =
  (bench: FirecrackerBench, kernel: Uint8Array) =>
  (order: LaunchOrder): LaunchOrder => {
    const path = join(bench.state, 'another-kernel');
    writeFileSync(path, kernel);
    return { ...order, files: { ...order.files, kernel: path } };
  };

/** A namespace with a TAP as the network organ makes it, and the order of a VM that is to use it. */
function onBridge(bench: FirecrackerBench): { wiring: Wiring; order: (order: LaunchOrder) => LaunchOrder } {
  const network = { ...userNetwork, kind: 'bridge' as const, bridge: 'not-there' };
  const wiring = wiringOf(bench.setup.mark, network, 3);
  const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
  ip('netns', 'add', wiring.netns);
  open.push(async () => void ip('netns', 'del', wiring.netns));
  ip('-n', wiring.netns, 'tuntap', 'add', inside.tap, 'mode', 'tap', 'vnet_hdr');
  ip('-n', wiring.netns, 'link', 'set', inside.tap, 'up');
  return { wiring, order: (order) => ({ ...order, wiring, vm: { settings: { ...order.vm.settings, network } } }) };
}

const carries = ({ netns }: Wiring): boolean =>
  (JSON.parse(execFileSync('ip', ['-json', '-n', netns, 'link', 'show', inside.tap], { encoding: 'utf8' })) as { flags: string[] }[])
    .flatMap(({ flags }) => flags)
    .includes('LOWER_UP');

for (const binaries of found) {
  const version = parseVersion(binaries.version) as Version;
  const noGuest = whyNoGuest(binaries.firecracker);
  for (const [name, way, why] of ways) {
    const missing = why || (way.jailed && binaries.jailer === null && 'no jailer beside it') || noGuest;
    describe.skipIf(missing !== false)(`${binaries.version} ${name}${skipped(missing)}`, () => {
      testVmm('firecracker', async () => firecrackerBench(binaries, way, null));

      test('its guest gets the line of the plan, token by token', async () => {
        const { folder, plan } = await launched(opened(binaries, way));
        const line = await eventually(() => /^([^\n]*)\n/.exec(consoleOf(folder))?.[1] ?? '');
        expect(line.split(' ')).toEqual(effectiveLine(plan.commandLine));
      });

      test.skipIf(noNetwork !== false)(`the same with an interface, whose TAP it holds${skipped(noNetwork)}`, async () => {
        const bench = opened(binaries, way);
        const { wiring, order } = onBridge(bench);
        expect(carries(wiring)).toBe(false);
        const { boot, folder, plan, vmm } = await launched(bench, { order });
        const line = await eventually(() => /^([^\n]*)\n/.exec(consoleOf(folder))?.[1] ?? '');
        expect(line.split(' ')).toEqual(effectiveLine(plan.commandLine));
        expect(carries(wiring)).toBe(true);
        expect(await vmm.end(boot, folder, never)).toEqual({ is: 'done' });
        await eventually(() => !carries(wiring));
      });

      test.skipIf(noNetwork !== false || !way.jailed)('without its TAP a jailed one is refused, and makes none', async () => {
        const bench = opened(binaries, way);
        const { wiring, order } = onBridge(bench);
        execFileSync('ip', ['-n', wiring.netns, 'link', 'del', inside.tap]);
        expect(await ended(await launched(bench, { order }))).toMatchObject({
          refused: true,
          hint: expect.stringMatching(/exit code 1: it cannot make this VM: .*tap0/) as string,
        });
      });

      test('a vsock without a driver behind it is silent', async () => {
        const { vmm, boot, folder } = await launched(opened(binaries, way));
        await eventually(() => vmm.ask(boot, folder));
        const agent = await vmm.agentOf(boot, folder);
        expect(agent.is === 'vsock' && statSync(agent.path).isSocket()).toBe(true);
        expect(await connectGuest(agent, { deadlineMs: 200 })).toMatchObject({ is: 'absent', why: 'silent' });
      });

      // one of many looks may come in the moment in which it ends, and then it hangs
      test.each([
        ['a reset', '', 'resets', /: the guest asked for a reset, and its console does not say why$/],
        ['a reboot', 'reboot: Restarting system\r\nreboot: machine restart\r\n', 'resets', /: the guest rebooted$/],
        ['a reboot by triple fault', 'reboot: machine restart\r\n', 'triple-faults', /: the guest rebooted$/],
        ['a panic', 'Kernel panic - not syncing: no root\r\n', 'resets', /: the guest kernel panicked: .*no root$/],
        [
          'a panic that ends by triple fault',
          'Kernel panic - not syncing: no root\r\n',
          'triple-faults',
          /: the guest kernel panicked: .*no root$/,
        ],
        ['a triple fault', 'hello\r\n', 'triple-faults', /: the guest’s processor gave up \(triple fault\)/],
      ] as const satisfies [string, string, GuestsEnd, RegExp][])('its guest ends by %s', async (_, text, end, why) => {
        const bench = opened(binaries, way);
        const started = await launched(bench, { order: withKernel(bench, endingGuest(text, end)) });
        // 1 only if the first thread sees what the vCPU's says before it looks (vmm/src/lib.rs, Vmm::process): it may be 0 all the same
        const code = end === 'triple-faults' && has(version, 'tripleFaultIsOne') ? '[01]' : '0';
        const how = new RegExp(`^Firecracker (?:ended with exit code ${code}|hangs at its end)${why.source}`);
        expect(await ended(started)).toMatchObject({ hint: expect.stringMatching(how) as string, refused: false });
      });

      test.each([
        ['SIGSEGV', /exit code 150: SIGSEGV/],
        ['SIGBUS', /exit code 149: SIGBUS/],
        ['SIGXFSZ', /exit code 151: SIGXFSZ/],
        ['SIGXCPU', /exit code 154: SIGXCPU/],
        ['SIGHUP', /exit code 156: SIGHUP/],
        ['SIGILL', /exit code 157: SIGILL/],
        ['SIGTERM', /signal SIGTERM/],
        ['SIGKILL', /signal SIGKILL, from outside/],
      ] as const)('it ends by %s', async (signal, hint) => {
        const started = await launched(opened(binaries, way));
        const pid = await eventually(async () => (await started.vmm.ask(started.boot, started.folder))?.pid ?? 0);
        process.kill(pid, signal);
        expect(await ended(started)).toMatchObject({ hint: expect.stringMatching(hint) as string, refused: false });
      });

      test('it cannot make a VM without its disk, and says so', async () => {
        const bench = opened(binaries, way);
        const started = await launched(bench, {
          plan: (plan) => ({
            ...plan,
            files: plan.files.map((file) => ({ ...file, text: file.text.replaceAll(/"path_on_host": "[^"]*/g, '$&.gone') })),
          }),
        });
        expect(await ended(started)).toMatchObject({
          refused: true,
          hint: expect.stringMatching(/exit code 1: it cannot make this VM: .*No such file or directory/) as string,
        });
      });
    });
  }

  const noJailer = binaries.jailer === null && 'no jailer beside it';
  describe(`${binaries.version} refuses`, () => {
    const jailed = ways.find(([, way, why]) => way.jailed && why === false)?.[1];
    test.skipIf(noJailer !== false || jailed === undefined)('by its jailer', async () => {
      const started = await launched(opened(binaries, jailed ?? bare), {
        plan: (plan) => ({ ...plan, argv: plan.argv.map((word) => (word === 'no-file=2048' ? 'no-such=1' : word)) }),
      });
      expect(await ended(started)).toMatchObject({ refused: true, hint: expect.stringMatching(/before it began: .*no-such/) as string });
    });

    test('an argument that it does not know', async () => {
      const started = await launched(opened(binaries, bare), { plan: (plan) => ({ ...plan, argv: [...plan.argv, '--bogus'] }) });
      expect(await ended(started)).toMatchObject({
        refused: true,
        hint: expect.stringMatching(/exit code 153: its arguments are wrong: .*bogus/) as string,
      });
    });

    test('a log that cannot be opened, of which it speaks on the console', async () => {
      const started = await launched(opened(binaries, bare), {
        plan: (plan) => ({ ...plan, argv: plan.argv.map((word) => (word === firecrackerFile.log ? 'no/such/log' : word)) }),
      });
      expect(await ended(started)).toMatchObject({ refused: true, hint: expect.stringMatching(/exit code 1 before it began/) as string });
    });
  });

  describe.skipIf(noGuest !== false)(`${binaries.version} over its API${skipped(noGuest)}`, () => {
    const client = async ({ vmm, boot, folder }: Launched): Promise<FirecrackerClient> => {
      await eventually(() => vmm.ask(boot, folder));
      const made = new FirecrackerClient({ place: await vmm.socketOf(boot, folder, 'api'), version });
      open.push(async () => made.close());
      return made;
    };

    test('a snapshot is made while it stands still, and another process goes on from it', async () => {
      const started = await launched(opened(binaries, bare));
      const one = await client(started);
      const files = { snapshot_path: 'state', mem_file_path: 'memory' };
      expect(await one.call('PUT /snapshot/create', files)).toMatchObject({ is: 'refused', kind: 'snapshot' });
      expect(await one.setState('Paused')).toMatchObject({ is: 'ok' });
      expect(await one.call('PUT /snapshot/create', files, { deadlineMs: 60_000 })).toMatchObject({ is: 'ok' });
      expect(await one.instance()).toMatchObject({ is: 'ok', value: { state: 'Paused' } });
      expect(await one.setState('Resumed')).toMatchObject({ is: 'ok' });
      expect(statSync(join(started.folder, 'memory')).size).toBe(32 * 1024 * 1024);
      one.close();
      expect(await started.vmm.end(started.boot, started.folder, never)).toEqual({ is: 'done' });

      // the same folder and no configuration: paths in a snapshot are those that it was made with
      for (const left of [firecrackerFile.api, firecrackerFile.vsock]) rmSync(join(started.folder, left), { force: true });
      const again = await launched(started.bench, {
        plan: (plan) => ({ ...plan, argv: plan.argv.filter((word) => word !== '--config-file' && word !== firecrackerFile.config) }),
      });
      for (const name of ['state', 'memory']) execFileSync('cp', [join(started.folder, name), join(again.folder, name)]);
      const two = new FirecrackerClient({ place: { folder: again.folder, name: firecrackerFile.api }, version });
      open.push(async () => two.close());
      await eventually(async () => (await two.instance()).is === 'ok');
      const load = { snapshot_path: 'state', mem_backend: { backend_type: 'File', backend_path: 'memory' }, resume_vm: true };
      expect(await two.call('PUT /snapshot/load', load, { deadlineMs: 60_000 })).toMatchObject({ is: 'ok' });
      expect(await two.instance()).toMatchObject({ is: 'ok', value: { state: 'Running' } });
    });

    test('what it is told on its command line and in its file is what it says that it has', async () => {
      const started = await launched(opened(binaries, bare));
      const answer = await (await client(started)).call('GET /vm/config');
      expect(answer).toMatchObject({
        is: 'ok',
        value: {
          'machine-config': { vcpu_count: 1, mem_size_mib: 32 },
          drives: [{ drive_id: 'root', cache_type: 'Writeback', is_root_device: true, is_read_only: false }],
          vsock: { guest_cid: 3, uds_path: firecrackerFile.vsock },
        },
      });
    });
  });
}

test.skipIf(noReal !== false)(`there are real binaries${skipped(noReal)}`, () => {
  expect(found.length).toBeGreaterThan(0);
  expect(idleGuest().length).toBeLessThan(4_096);
});
