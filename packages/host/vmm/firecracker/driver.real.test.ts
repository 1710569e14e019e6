/**
 * The driver with real units and real processes. The VMM is the simulator of the testkit; real binaries are used as well when
 * LINSTOCK_FIRECRACKER names them, `path[:path…]`, each with a `jailer` beside it or none.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { makeId, type BootId } from '@linstock/contract';
import { eventually } from '@linstock/testkit';
import { jailerAt, simulatorAt, type Fate, type SimVersion } from '@linstock/testkit/firecracker-sim';
import { testVmm, type VmmBench } from '@linstock/testkit/vmm-suite';
import { cgroup2Mount } from '../../tools/procs.ts';
import type { Units } from '../../tools/units.ts';
import { bench, noCgroups } from '../testing/benches.ts';
import type { LaunchPlan } from '../vmm.ts';
import { effectiveLine } from './command-line.ts';
import { FirecrackerVmm } from './driver.ts';
import { firecrackerFile } from './config.ts';
import { instanceIdOf, type FirecrackerHost } from './plan.ts';
import { parseVersion, versionIn } from './versions.ts';

const never = new AbortController().signal;
const id = (n: number): BootId => makeId('boot', Date.now(), new Uint8Array(10).fill(n));

type Way = { jailed: boolean; by: 'cgroup' | 'mark'; pidNamespace?: boolean; bootArgs?: readonly string[] };
type Binaries = { firecracker: string; jailer: string | null; version: string };
type OurBench = VmmBench & { vmm(): FirecrackerVmm; jails: string };

/** A bench on these binaries; whatever else lies in `tools` goes with it. */
function aBench(binaries: Binaries, way: Way, tools: string | null): OurBench {
  // known only when the bench is made, and asked for only when a driver is
  let state = '';
  const driver = (units: Units): FirecrackerVmm => {
    const host: FirecrackerHost = {
      firecracker: realpathSync(binaries.firecracker),
      version: parseVersion(binaries.version)!,
      jailer:
        way.jailed && binaries.jailer !== null
          ? {
              path: binaries.jailer,
              base: join(state, 'jails'),
              ids: { first: 700_000, count: 1_024 },
              cgroup: basename(units.cgroup ?? ''),
              pidNamespace: way.pidNamespace === true,
            }
          : null,
      userNetwork: 'no-interface',
    };
    return new FirecrackerVmm({ host, units });
  };
  const made = bench({
    by: way.by,
    driver,
    disk: (path) => writeFileSync(path, Buffer.alloc(1024 * 1024)),
    bad: { kernel: 'this is not a kernel\n'.repeat(1_000), refusal: /Elf|ELF|magic|kernel/ },
  });
  state = made.state;
  chmodSync(state, 0o711); // the simulated jailer changes its user and not its root
  mkdirSync(join(state, 'jails'), { mode: 0o711 });
  return {
    ...made,
    // the simulated guest is a kernel: it writes to the console that it is told
    order: (boot, folder, kernel) => {
      const order = made.order(boot, folder, kernel);
      return { ...order, bootArgs: ['console=ttyS0', ...(way.bootArgs ?? []), ...order.bootArgs] };
    },
    vmm: () => made.driver() as FirecrackerVmm,
    jails: join(state, 'jails'),
    done: async () => {
      const left = existsSync(join(state, 'jails', basename(binaries.firecracker)))
        ? execFileSync('find', [join(state, 'jails'), '-mindepth', '2'], { encoding: 'utf8' })
        : '';
      await made.done();
      if (tools !== null) rmSync(tools, { recursive: true, force: true });
      expect(left).toBe('');
    },
  };
}

function simulated(version: SimVersion, way: Way, fates: readonly Fate[] = []): OurBench {
  const tools = mkdtempSync(join(tmpdir(), 'linstock-fcbin-'));
  chmodSync(tools, 0o755);
  return aBench({ firecracker: simulatorAt(tools, version, { fates }), jailer: jailerAt(tools, version), version }, way, tools);
}

const noRoot = process.getuid?.() === 0 ? false : 'a jail needs root';
const noUnshare = spawnSync('unshare', ['--pid', '--fork', '--', 'true']).status === 0 ? false : 'no pid namespaces here';
const skipped = (why: string | false): string => (why === false ? '' : ` (skipped: ${why})`);
const ways: readonly (readonly [name: string, way: Way, why: string | false])[] = [
  ['by mark', { jailed: false, by: 'mark' }, false],
  ['by cgroup', { jailed: false, by: 'cgroup' }, noCgroups()],
  ['jailed', { jailed: true, by: 'cgroup' }, noRoot || noCgroups()],
  ['jailed, in a pid namespace', { jailed: true, by: 'cgroup', pidNamespace: true }, noRoot || noCgroups() || noUnshare],
];

for (const [name, way, why] of ways) {
  for (const version of way.jailed ? (['1.9.1', '1.16.1'] as const) : (['1.16.1'] as const)) {
    describe.skipIf(why !== false)(`${version} ${name}${skipped(why)}`, () => {
      testVmm('firecracker (simulated)', async () => simulated(version, way));
    });
  }
}

const open: OurBench[] = [];
// also after a failure: a guest left behind would idle for ever
afterEach(async () => {
  for (const b of open.splice(0)) {
    for (const { owner } of await b.driver().inventory()) await b.driver().end(owner as BootId, join(b.state, 'boots', owner), never);
    await b.done();
  }
});
const opened = (made: OurBench): OurBench => {
  open.push(made);
  return made;
};

type Started = { b: OurBench; vmm: FirecrackerVmm; boot: BootId; folder: string; plan: LaunchPlan };
async function start(b: OurBench, change: (plan: LaunchPlan) => LaunchPlan = (plan) => plan, boot = id(1)): Promise<Started> {
  const folder = join(b.state, 'boots', boot);
  mkdirSync(folder, { recursive: true });
  const vmm = b.vmm();
  const plan = change(vmm.plan(b.order(boot, folder, 'good')));
  expect(await vmm.launch(plan, folder, never)).toEqual({ is: 'done' });
  return { b, vmm, boot, folder, plan };
}
const consoleOf = (folder: string): string =>
  existsSync(join(folder, 'console.log')) ? readFileSync(join(folder, 'console.log'), 'latin1') : '';
const ended = async ({ vmm, boot, folder }: Started): Promise<unknown> =>
  await eventually(
    () => vmm.look(boot, folder),
    (sight) => sight.is === 'ended',
  );

const bare: Way = { jailed: false, by: 'mark' };

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
    const started = await start(opened(simulated(version, bare, [fate])));
    expect(await ended(started)).toMatchObject({ is: 'ended', hint: expect.stringMatching(hint) as string, refused });
  });

  // what our golden images are told; their reset is a triple fault
  test.each([
    ['1.14.4', 'guest-reboots', /exit code 0: the guest rebooted$/],
    ['1.16.1', 'guest-reboots', /exit code 1: the guest rebooted$/],
    ['1.16.1', 'guest-panics', /exit code 1: the guest kernel panicked: Kernel panic/],
    ['1.16.1', 'guest-triple-faults', /exit code 1: .*triple fault/],
  ] as const)('%s with reboot=t: %s', async (version, fate, hint) => {
    const started = await start(opened(simulated(version, { ...bare, bootArgs: ['reboot=t'] }, [fate])));
    expect(await ended(started)).toMatchObject({ is: 'ended', hint: expect.stringMatching(hint) as string, refused: false });
  });

  test('looks while a VM is made do not hide why it could not be', async () => {
    const started = await start(opened(simulated('1.16.1', bare, ['builds-slowly=500', 'start-fails'])));
    expect(await ended(started)).toMatchObject({
      hint: expect.stringMatching(/exit code 1: it cannot make this VM.*Out of memory/) as string,
      refused: true,
    });
  });

  test('what the host is to blame for: no program, a bad argument, no disk', async () => {
    const one = await start(opened(simulated('1.16.1', bare)), (plan) => ({
      ...plan,
      argv: ['/no/such/firecracker', ...plan.argv.slice(1)],
    }));
    expect(await ended(one)).toMatchObject({ refused: true, hint: expect.stringContaining('/no/such/firecracker') as string });
    const two = await start(opened(simulated('1.12.1', bare)), (plan) => ({ ...plan, argv: [...plan.argv, '--enable-pci'] }));
    expect(await ended(two)).toMatchObject({
      refused: true,
      hint: expect.stringMatching(/exit code 153: its arguments are wrong.*enable-pci/) as string,
    });
    const three = await start(opened(simulated('1.16.1', bare)), (plan) => ({
      ...plan,
      files: plan.files.map((file) => ({ ...file, text: file.text.replaceAll('.qcow2', '.gone') })),
    }));
    expect(await ended(three)).toMatchObject({ refused: true, hint: expect.stringMatching(/cannot make this VM.*No such file/) as string });
  });

  test.skipIf((noRoot || noCgroups()) !== false)('a jailer that refuses', async () => {
    const started = await start(opened(simulated('1.9.1', { jailed: true, by: 'cgroup' })), (plan) => ({
      ...plan,
      argv: plan.argv.map((word) => (word === 'no-file=2048' ? 'no-such=1' : word)),
    }));
    expect(await ended(started)).toMatchObject({ refused: true, hint: expect.stringMatching(/before it began.*no-such/) as string });
  });
});

test('the guest’s console is in console.log, and nothing else is', async () => {
  const { folder, plan } = await start(opened(simulated('1.16.1', bare)));
  await eventually(() => consoleOf(folder).includes(plan.commandLine.given.join(' ')));
  expect(consoleOf(folder)).not.toMatch(/Running Firecracker|API server/);
  expect(readFileSync(join(folder, firecrackerFile.log), 'utf8')).toContain('Running Firecracker v1.16.1');
});

test.each(['1.9.1', '1.12.1', '1.13.0', '1.16.1'] as const)(
  '%s: the line that the guest prints is the one of the plan, token by token',
  async (version) => {
    const { folder, plan } = await start(opened(simulated(version, bare)));
    const line = await eventually(() => /Kernel command line: ([^\r\n]*)\r?\n/.exec(consoleOf(folder))?.[1] ?? '');
    expect(line.split(' ')).toEqual(effectiveLine(plan.commandLine));
  },
);

test('Ctrl-Alt-Del ends a guest that listens', async () => {
  const started = await start(opened(simulated('1.16.1', bare)));
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
    const { vmm, boot, folder } = await start(opened(simulated('1.16.1', bare, [fate])));
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
    const { vmm, boot, folder, plan } = await start(b);
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
    const started = await start(b, undefined, boot);
    await eventually(() => started.vmm.ask(boot, started.folder));
    expect(await b.driver().end(boot, started.folder, never)).toEqual({ is: 'done' });
    expect(await b.driver().inventory()).toEqual([]);
    rmSync(join(b.jails, 'firecracker', 'not-ours'), { recursive: true });
    rmSync(join(b.jails, 'another-firecracker'), { recursive: true });
  });

  test('many launches and ends leave nothing', async () => {
    const b = opened(simulated('1.16.1', way));
    const vmm = b.vmm();
    for (let n = 0; n < 8; n += 1) {
      const boot = id(n);
      const folder = join(b.state, 'boots', boot);
      mkdirSync(folder, { recursive: true });
      await vmm.launch(vmm.plan(b.order(boot, folder, 'good')), folder, never);
      if (n % 2 === 0) await eventually(() => vmm.ask(boot, folder));
      expect(await vmm.end(boot, folder, never)).toEqual({ is: 'done' });
    }
    expect(await vmm.inventory()).toEqual([]);
  });
});

const named = process.env['LINSTOCK_FIRECRACKER'];
const real: readonly Binaries[] = (named ?? '')
  .split(':')
  .filter((path) => path !== '')
  .map((path) => {
    const firecracker = realpathSync(path);
    const jailer = join(dirname(firecracker), basename(firecracker).replace('firecracker', 'jailer'));
    const version = versionIn(spawnSync(firecracker, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.text ?? '';
    return { firecracker, jailer: existsSync(jailer) ? jailer : null, version };
  });
const noReal = real.length === 0 ? 'LINSTOCK_FIRECRACKER names no binaries' : false;

describe.skipIf(noReal !== false)(`real binaries${skipped(noReal)}`, () => {
  for (const binaries of real) {
    for (const [name, way, why] of ways) {
      const missing = why || (way.jailed && binaries.jailer === null && 'no jailer beside it');
      describe.skipIf(missing !== false)(`${binaries.version} ${name}${skipped(missing)}`, () => {
        testVmm('firecracker', async () => aBench(binaries, way, null));
      });
    }
  }
});
