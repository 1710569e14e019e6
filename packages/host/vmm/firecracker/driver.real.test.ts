/** The driver with real units and real processes. The VMM is the simulator of the testkit; real binaries have a file of their own. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { makeId, type BootId } from '@linstock/contract';
import { eventually } from '@linstock/testkit';
import { testVmm } from '@linstock/testkit/vmm-suite';
import { cgroup2Mount } from '../../tools/procs.ts';
import { noCgroups } from '../testing/benches.ts';
import {
  aBoot,
  bare,
  closeBench,
  launched,
  noRoot,
  simulated,
  skipped,
  ways,
  type FirecrackerBench,
  type Launched,
  type Way,
} from '../testing/firecracker-bench.ts';
import { effectiveLine } from './command-line.ts';
import { firecrackerFile } from './config.ts';
import { instanceIdOf } from './plan.ts';

const never = new AbortController().signal;
const id = (n: number): BootId => makeId('boot', Date.now(), new Uint8Array(10).fill(n));

for (const [name, way, why] of ways) {
  for (const version of way.jailed ? (['1.9.1', '1.16.1'] as const) : (['1.16.1'] as const)) {
    describe.skipIf(why !== false)(`${version} ${name}${skipped(why)}`, () => {
      testVmm('firecracker (simulated)', async () => simulated(version, way));
    });
  }
}

const open: FirecrackerBench[] = [];
afterEach(async () => {
  for (const b of open.splice(0)) await closeBench(b);
});
const opened = (made: FirecrackerBench): FirecrackerBench => {
  open.push(made);
  return made;
};
const consoleOf = (folder: string): string =>
  existsSync(join(folder, 'console.log')) ? readFileSync(join(folder, 'console.log'), 'latin1') : '';
const ended = async ({ vmm, boot, folder }: Launched): Promise<unknown> =>
  await eventually(
    () => vmm.look(boot, folder),
    (sight) => sight.is === 'ended',
  );

describe('ends, told apart', () => {
  test.each([
    ['1.9.1', 'guest-reboots', /exit code 0: the guest rebooted$/, false],
    ['1.9.1', 'guest-panics', /the guest kernel panicked: Kernel panic - not syncing/, false],
    ['1.14.4', 'guest-triple-faults', /exit code 0: .*triple fault/, false],
    ['1.16.1', 'guest-triple-faults', /exit code 1: .*triple fault/, false],
    ['1.16.1', 'seccomp', /exit code 148: its seccomp filter.*number \d+/, false],
    ['1.16.1', 'sigbus', /exit code 149: SIGBUS/, false],
    ['1.16.1', 'sigxfsz', /exit code 151: SIGXFSZ/, false],
    ['1.16.1', 'panics', /SIGABRT: Firecracker itself panicked/, false],
    ['1.16.1', 'killed', /SIGKILL/, false],
    ['1.9.1', 'vcpu-fails', /exit code 1: KVM gave up running the guest/, false],
    ['1.9.1', 'kvm-missing', /KVM cannot run a VM on this host/, true],
    ['1.16.1', 'kvm-denied', /KVM cannot run a VM on this host.*ermission denied/, true],
    ['1.16.1', 'kvm-busy', /KVM cannot run a VM on this host/, true],
    ['1.16.1', 'kvm-unable', /KVM cannot run a VM on this host/, true],
    ['1.16.1', 'start-fails', /it cannot make this VM/, true],
  ] as const)('%s %s', async (version, fate, hint, refused) => {
    const started = await launched(opened(simulated(version, bare, { fates: [fate] })));
    expect(await ended(started)).toMatchObject({ is: 'ended', hint: expect.stringMatching(hint) as string, refused });
  });

  // what our golden images are told; their reset is a triple fault
  test.each([
    ['1.14.4', 'guest-reboots', /exit code 0: the guest rebooted$/],
    ['1.16.1', 'guest-reboots', /exit code 1: the guest rebooted$/],
    ['1.16.1', 'guest-panics', /exit code 1: the guest kernel panicked: Kernel panic/],
    ['1.16.1', 'guest-triple-faults', /exit code 1: .*triple fault/],
  ] as const)('%s with reboot=t: %s', async (version, fate, hint) => {
    const started = await launched(opened(simulated(version, { ...bare, bootArgs: ['reboot=t'] }, { fates: [fate] })));
    expect(await ended(started)).toMatchObject({ is: 'ended', hint: expect.stringMatching(hint) as string, refused: false });
  });

  test('one that hangs at its end has ended, and is ended', async () => {
    const started = await launched(opened(simulated('1.16.1', bare, { fates: ['guest-reboots', 'hangs-at-end'] })));
    const { vmm, boot, folder } = started;
    expect(await ended(started)).toMatchObject({ hint: 'Firecracker hangs at its end: the guest rebooted', refused: false });
    expect((await vmm.inventory()).map(({ owner }) => owner)).toEqual([boot]);
    expect(await vmm.end(boot, folder, never)).toEqual({ is: 'done' });
    expect(await vmm.inventory()).toEqual([]);
  });

  test('looks while a VM is made do not hide why it could not be', async () => {
    const started = await launched(opened(simulated('1.16.1', bare, { fates: ['builds-slowly=500', 'start-fails'] })));
    expect(await ended(started)).toMatchObject({
      hint: expect.stringMatching(/exit code 1: it cannot make this VM.*Out of memory/) as string,
      refused: true,
    });
  });

  test('what the host is to blame for: no program, a bad argument, no disk', async () => {
    const one = await launched(opened(simulated('1.16.1', bare)), {
      plan: (plan) => ({ ...plan, argv: ['/no/such/firecracker', ...plan.argv.slice(1)] }),
    });
    expect(await ended(one)).toMatchObject({ refused: true, hint: expect.stringContaining('/no/such/firecracker') as string });
    const two = await launched(opened(simulated('1.12.1', bare)), { plan: (plan) => ({ ...plan, argv: [...plan.argv, '--enable-pci'] }) });
    expect(await ended(two)).toMatchObject({
      refused: true,
      hint: expect.stringMatching(/exit code 153: its arguments are wrong.*enable-pci/) as string,
    });
    const three = await launched(opened(simulated('1.16.1', bare)), {
      plan: (plan) => ({ ...plan, files: plan.files.map((file) => ({ ...file, text: file.text.replaceAll('.qcow2', '.gone') })) }),
    });
    expect(await ended(three)).toMatchObject({ refused: true, hint: expect.stringMatching(/cannot make this VM.*No such file/) as string });
  });

  test.skipIf((noRoot || noCgroups()) !== false)('a jailer that refuses', async () => {
    const started = await launched(opened(simulated('1.9.1', { jailed: true, by: 'cgroup' })), {
      plan: (plan) => ({ ...plan, argv: plan.argv.map((word) => (word === 'no-file=2048' ? 'no-such=1' : word)) }),
    });
    expect(await ended(started)).toMatchObject({ refused: true, hint: expect.stringMatching(/before it began.*no-such/) as string });
  });
});

test('the guest’s console is in console.log, and nothing else is', async () => {
  const { folder, plan } = await launched(opened(simulated('1.16.1', bare)));
  await eventually(() => consoleOf(folder).includes(plan.commandLine.given.join(' ')));
  expect(consoleOf(folder)).not.toMatch(/Running Firecracker|API server/);
  expect(readFileSync(join(folder, firecrackerFile.log), 'utf8')).toContain('Running Firecracker v1.16.1');
});

test.each(['1.9.1', '1.12.1', '1.13.0', '1.16.1'] as const)(
  '%s: the line that the guest prints is the one of the plan, token by token',
  async (version) => {
    const { folder, plan } = await launched(opened(simulated(version, bare)));
    const line = await eventually(() => /Kernel command line: ([^\r\n]*)\r?\n/.exec(consoleOf(folder))?.[1] ?? '');
    expect(line.split(' ')).toEqual(effectiveLine(plan.commandLine));
  },
);

test('Ctrl-Alt-Del ends a guest that listens', async () => {
  const started = await launched(opened(simulated('1.16.1', bare)));
  await eventually(() => started.vmm.ask(started.boot, started.folder));
  await eventually(() => consoleOf(started.folder).length > 200);
  expect(
    await eventually(async () => {
      await started.vmm.command(started.boot, started.folder, 'ask-off', never);
      return (await started.vmm.look(started.boot, started.folder)).is === 'ended';
    }),
  ).toBe(true);
  expect(await ended(started)).toMatchObject({ hint: expect.stringContaining('the guest rebooted') as string });
});

test.each(['api-mute', 'api-garbage', 'api-never-binds'] as const)(
  'an API that is no use (%s) decides nothing: it is alive, and ends',
  async (fate) => {
    const { vmm, boot, folder } = await launched(opened(simulated('1.16.1', bare, { fates: [fate] })));
    await eventually(() => consoleOf(folder) !== '');
    expect(await vmm.look(boot, folder)).toEqual({ is: 'alive', paused: false });
    expect(await vmm.ask(boot, folder)).toBeNull();
    expect((await vmm.command(boot, folder, 'pause', never)).is).toBe('busy');
    expect(await vmm.end(boot, folder, never)).toEqual({ is: 'done' });
  },
);

describe.skipIf((noRoot || noCgroups()) !== false)(`in the jail${skipped(noRoot || noCgroups())}`, () => {
  const way: Way = { jailed: true, by: 'cgroup' };

  test('it runs as the user of its slot, in the cgroup of its boot, with its own files and no others', async () => {
    const b = opened(simulated('1.9.1', way));
    const { vmm, boot, folder, plan } = await launched(b);
    const pid = await eventually(async () => (await vmm.ask(boot, folder))?.pid ?? 0);
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^Uid:\s+700000\s+700000/m);
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toContain(`/${boot}\n`);
    const root = plan.jail!.root;
    expect(root).toBe(join(b.jails, 'firecracker', instanceIdOf(boot), 'root'));
    expect(statSync(join(root, 'disk')).uid).toBe(700_000);
    expect(statSync(join(root, 'disk')).ino).toBe(statSync(b.order(boot, folder, 'good').files.disk).ino);
    expect(statSync(join(root, 'kernel')).uid).toBe(0);
    expect(statSync(join(root, 'config.json')).mode & 0o777).toBe(0o400);
    expect(await vmm.end(boot, folder, never)).toEqual({ is: 'done' });
    expect(existsSync(dirname(root))).toBe(false);
    expect(existsSync(join(cgroup2Mount()!, plan.argv[plan.argv.indexOf('--parent-cgroup') + 1]!))).toBe(false);
    // what explains the boot stays with it
    expect(readFileSync(join(folder, firecrackerFile.log), 'utf8')).toContain('Running Firecracker v1.9.1');
  });

  test('a jail that was left half made is found, and removed; and may be completed', async () => {
    const b = opened(simulated('1.16.1', way));
    const [boot, other] = [id(1), id(2)];
    const half = join(b.jails, 'firecracker', instanceIdOf(boot), 'root');
    mkdirSync(half, { recursive: true });
    mkdirSync(join(b.jails, 'another-firecracker', instanceIdOf(other)), { recursive: true });
    mkdirSync(join(b.jails, 'firecracker', 'not-ours'), { recursive: true });
    expect((await b.driver().inventory()).map(({ owner }) => owner)).toEqual([boot, other].toSorted());
    expect(await b.driver().end(other, join(b.state, 'boots', other), never)).toEqual({ is: 'done' });
    writeFileSync(join(half, 'config.json'), '{ "half":');
    const started = await launched(b, { at: aBoot(b, boot) });
    await eventually(() => started.vmm.ask(boot, started.folder));
    expect(await b.driver().end(boot, started.folder, never)).toEqual({ is: 'done' });
    expect(await b.driver().inventory()).toEqual([]);
    rmSync(join(b.jails, 'firecracker', 'not-ours'), { recursive: true });
    rmSync(join(b.jails, 'another-firecracker'), { recursive: true });
  });
});
