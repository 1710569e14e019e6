import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { makeId, type BootId } from '@linstock/contract';
import { eventually } from '@linstock/testkit';
import { testVmm, type VmmBench } from '@linstock/testkit/vmm-suite';
import { bench, noCgroups, type BenchParts } from '../testing/benches.ts';
import { ConsoleKeeper } from '../console-log.ts';
import { floodingGuest } from '../tiny-guest.ts';
import { QemuVmm } from './driver.ts';
import type { QemuHost } from './plan.ts';

const found = spawnSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' });
const version = /version (\d+\.\d+\.\d+)/.exec(found.stdout ?? '')?.[1];
const missing = version === undefined ? 'qemu-system-x86_64 is not installed' : false;
const qemu = version === undefined ? '' : execFileSync('sh', ['-c', 'command -v qemu-system-x86_64'], { encoding: 'utf8' }).trim();

const never = new AbortController().signal;
const parts = (by: 'cgroup' | 'mark', host: Partial<QemuHost> = {}): BenchParts => ({
  by,
  driver: (units) => new QemuVmm({ host: { qemu, accelerator: 'tcg', tscKhz: 2_600_000, ...host }, version: version ?? '', units }),
  disk: (path) => void execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M']),
  bad: { kernel: 'this is not a kernel\n'.repeat(1_000), refusal: /kernel|PVH/ },
});

for (const by of ['cgroup', 'mark'] as const) {
  const why = missing !== false ? missing : by === 'cgroup' && noCgroups();
  describe.skipIf(why !== false)(`units by ${by}${why === false ? '' : ` (skipped: ${why})`}`, () => {
    testVmm('qemu', async () => bench(parts(by)));
  });
}

describe.skipIf(missing !== false)(`QEMU itself${missing === false ? '' : ` (skipped: ${missing})`}`, () => {
  const open: VmmBench[] = [];
  const aBench = (host: Partial<QemuHost> = {}): VmmBench => {
    const made = bench(parts('mark', host));
    open.push(made);
    return made;
  };
  // also after a failure: a guest left behind would idle for ever
  afterEach(async () => {
    for (const b of open.splice(0)) {
      for (const { owner } of await b.driver().inventory()) await b.driver().end(owner as BootId, join(b.state, 'boots', owner), never);
      await b.done();
    }
  });
  const id = (n: number): `boot_${string}` => makeId('boot', Date.now(), new Uint8Array(10).fill(n));

  test.each([
    ['with ACPI', { tscKhz: 2_600_000 }],
    ['without, where QEMU appends the devices itself', { tscKhz: null }],
  ])('the guest gets the command line of the plan, token by token: %s', async (_, host) => {
    const b = aBench(host);
    const boot = id(1);
    const folder = join(b.state, 'boots', boot);
    mkdirSync(folder, { recursive: true });
    const vmm = b.driver();
    const plan = vmm.plan(b.order(boot, folder, 'good'));
    await vmm.launch(plan, folder, never);
    const printed = await eventually(
      () => (existsSync(join(folder, 'console.log')) ? readFileSync(join(folder, 'console.log'), 'latin1') : ''),
      (text) => text.includes('\n'),
    );
    const { given, addedForVmm, appendedByVmm } = plan.commandLine;
    expect(printed.trim().split(' ')).toEqual([...given, ...addedForVmm, ...appendedByVmm]);
    await vmm.end(boot, folder, never);
  });

  test('refusals that the host is to blame for: the disk in use by another, no such program', async () => {
    const b = aBench();
    const [one, two, three] = [id(1), id(2), id(3)];
    const folders = [one, two, three].map((boot) => {
      mkdirSync(join(b.state, 'boots', boot), { recursive: true });
      return join(b.state, 'boots', boot);
    });
    const [f1 = '', f2 = '', f3 = ''] = folders;
    const vmm = b.driver();
    const first = b.order(one, f1, 'good');
    await vmm.launch(vmm.plan(first), f1, never);
    await eventually(() => vmm.ask(one, f1));
    await vmm.launch(vmm.plan({ ...b.order(two, f2, 'good'), files: first.files }), f2, never);
    expect(
      await eventually(
        () => vmm.look(two, f2),
        (sight) => sight.is === 'ended',
      ),
    ).toMatchObject({ refused: true, hint: expect.stringContaining('lock') as string });
    const plan = vmm.plan(b.order(three, f3, 'good'));
    await vmm.launch({ ...plan, argv: ['/no/such/qemu', ...plan.argv.slice(1)] }, f3, never);
    expect(
      await eventually(
        () => vmm.look(three, f3),
        (sight) => sight.is === 'ended',
      ),
    ).toMatchObject({ refused: true, hint: expect.stringContaining('/no/such/qemu') as string });
    for (const [i, boot] of [one, two, three].entries()) await vmm.end(boot, folders[i] ?? '', never);
  });

  test('a folder too deep for a socket address', async () => {
    const b = aBench();
    const boot = id(1);
    const folder = join(b.state, 'a-rather-long-name/'.repeat(8), boot);
    mkdirSync(folder, { recursive: true });
    const vmm = b.driver();
    await vmm.launch(vmm.plan(b.order(boot, folder, 'good')), folder, never);
    await eventually(() => vmm.ask(boot, folder));
    await vmm.command(boot, folder, 'pause', never);
    expect(await vmm.look(boot, folder)).toEqual({ is: 'alive', paused: true });
    await vmm.end(boot, folder, never);
  });

  test('a guest that floods its console is kept in bounds and goes on', async () => {
    const b = aBench();
    const boot = id(1);
    const folder = join(b.state, 'boots', boot);
    mkdirSync(folder, { recursive: true });
    const vmm = b.driver();
    const order = b.order(boot, folder, 'good');
    writeFileSync(join(b.state, 'flood'), floodingGuest());
    await vmm.launch(vmm.plan({ ...order, files: { ...order.files, kernel: join(b.state, 'flood') } }), folder, never);
    const keeper = new ConsoleKeeper({ folder, now: Date.now, limitBytes: 64 * 1024 });
    const seen = await eventually(
      () => keeper.tend(),
      ({ oldest }) => oldest >= 128 * 1024,
      60_000,
    );
    expect(keeper.trouble).toBeNull();
    expect(statSync(join(folder, 'console.log')).blocks * 512).toBeLessThan(seen.newest);
    expect((await keeper.tail(100)).bytes.toString()).toBe('A'.repeat(100));
    expect(await vmm.look(boot, folder)).toEqual({ is: 'alive', paused: false });
    await vmm.end(boot, folder, never);
  });

  test('an end after the guest spoke is no refusal', async () => {
    const b = aBench();
    const boot = id(1);
    const folder = join(b.state, 'boots', boot);
    mkdirSync(folder, { recursive: true });
    const vmm = b.driver();
    // stands in for a QEMU that gives up in mid-life
    const plan = { ...vmm.plan(b.order(boot, folder, 'good')), argv: ['/bin/sh', '-c', 'echo "qemu: \u001b[31mdevice broke" >&2; exit 1'] };
    writeFileSync(join(folder, 'console.log'), 'Linux version 6.1\n');
    await vmm.launch(plan, folder, never);
    expect(
      await eventually(
        () => vmm.look(boot, folder),
        (sight) => sight.is === 'ended',
      ),
    ).toEqual({ is: 'ended', refused: false, hint: 'QEMU ended with exit code 1: qemu: device broke' });
  });
});
