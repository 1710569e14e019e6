import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FaultError, makeId, type FirecrackerSettings, type Network } from '@linstock/contract';
import { parseVersion, wiringOf } from '@linstock/core';
import type { LaunchOrder, LaunchPlan } from '../vmm.ts';
import { effectiveLine } from './command-line.ts';
import { bootOfInstance, instanceIdOf, planFirecracker, refusalOfHost, type FirecrackerHost, type JailerHost } from './plan.ts';

const bridge: Network = {
  id: 'net_1',
  index: 0,
  name: 'default',
  kind: 'bridge',
  subnet: '192.168.100.0/24',
  gateway: '192.168.100.1',
  bridge: 'ls4f-br0',
  egress: true,
  isolated: true,
};
const user: Network = { ...bridge, kind: 'user', bridge: null };
const state = '/var/lib/linstock';
const boot = 'boot_01jd7q8m5xkzv3w9r2t4n6p8bc';

const jailer: JailerHost = {
  path: '/opt/firecracker/v1.9.1/jailer',
  base: `${state}/jails`,
  ids: { first: 700_000, count: 102_400 },
  cgroup: 'linstock-4f',
  pidNamespace: true,
};
const host = (version: string, changes: Partial<FirecrackerHost> = {}): FirecrackerHost => ({
  firecracker: `/opt/firecracker/v${version}/firecracker`,
  version: parseVersion(version)!,
  jailer: { ...jailer, path: `/opt/firecracker/v${version}/jailer` },
  userNetwork: 'refused',
  ...changes,
});
const order = (changes: Partial<LaunchOrder> = {}, network = bridge, memoryMiB = 256): LaunchOrder => ({
  boot,
  vm: { settings: { memoryMiB, vcpus: 2, network, firecracker: null } },
  wiring: wiringOf('4f', network, 1, []),
  bootArgs: ['console=ttyS0', 'panic=1', 'root=/dev/vda'],
  files: { kernel: `${state}/images/a/kernel`, initrd: `${state}/images/a/initrd`, disk: `${state}/disks/vm_1/root.raw` },
  folder: `${state}/boots/${boot}`,
  ...changes,
});

const tuned = (firecracker: FirecrackerSettings, on = order()): LaunchOrder => ({
  ...on,
  vm: { settings: { ...on.vm.settings, firecracker } },
});

/** As a reviewer reads it: an option with its value on a line, then files, then the jail. */
function shown(plan: LaunchPlan): string {
  const { given, addedForVmm, appendedByVmm } = plan.commandLine;
  const words = plan.argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word)));
  const { jail } = plan;
  return [
    `netns ${plan.netns}, standard output to ${plan.output ?? 'vmm.log'}`,
    `at most ${plan.limits?.memoryMaxBytes} bytes of memory, ${plan.limits?.pidsMax} processes and threads`,
    words.join(' ').replaceAll(/ (--[a-z-]*)/g, '\n  $1'),
    '',
    `given     ${given.join(' ')}`,
    `added     ${addedForVmm.join(' ')}`,
    `appended  ${appendedByVmm.join(' ')}`,
    '',
    ...plan.files.map(({ path, text, mode }) => `file ${mode.toString(8)} ${path}\n${text}`),
    ...(jail === undefined
      ? ['no jail']
      : [
          `jail ${jail.root} of ${jail.owner.uid}:${jail.owner.gid}`,
          ...jail.links.map(({ from, to, is }) => `  ${is.padEnd(6)} ${from}\n      -> ${to}`),
        ]),
    '',
  ].join('\n');
}

describe('golden launch plans', () => {
  const bare = order({ bootArgs: ['console=ttyS0', 'quiet'], files: { ...order().files, initrd: null } }, bridge, 4_096);
  const limited = tuned(
    {
      disk: { bytes: { size: 10_485_760, refillMs: 100 } },
      receive: { operations: { size: 1_000, refillMs: 1_000, burst: 500 } },
      balloon: { amountMiB: 64, deflateOnOom: true, statsEveryS: 5 },
      mmds: { version: 'V2', data: { 'instance-id': 'i-1' } },
    },
    bare,
  );
  const plans: readonly [name: string, plan: LaunchPlan][] = [
    ['1.9.1-jailed', planFirecracker(order(), host('1.9.1'))],
    ['1.16.1-jailed', planFirecracker(order(), host('1.16.1'))],
    ['1.16.1-bare', planFirecracker(order(), host('1.16.1', { jailer: null }))],
    ['1.9.1-root-by-firecracker-4-gib', planFirecracker(bare, host('1.9.1', { jailer: null }))],
    ['1.12.1-jailed-limits', planFirecracker(limited, host('1.12.1', { jailer: { ...jailer, pidNamespace: false } }))],
  ];
  test.each(plans)('%s', async (name, plan) => {
    await expect(shown(plan)).toMatchFileSnapshot(`golden/${name}.txt`);
  });
});

const configOf = (plan: LaunchPlan): Record<string, Record<string, unknown>> =>
  JSON.parse(plan.files.find(({ path }) => path.endsWith('config.json'))!.text) as Record<string, Record<string, unknown>>;
const bootArgs = (plan: LaunchPlan): unknown => configOf(plan)['boot-source']?.['boot_args'];
const args = (...tokens: string[]): LaunchOrder => order({ bootArgs: tokens, files: { ...order().files, initrd: null } });

describe('boot arguments', () => {
  test.each([
    ['1.9.1', ['quiet'], 'quiet reboot=k panic=1 pci=off i8042.noaux i8042.nomux i8042.dumbkbd'],
    ['1.12.1', ['quiet'], 'quiet reboot=k panic=1 pci=off i8042.noaux i8042.nomux i8042.dumbkbd'],
    ['1.13.0', ['quiet'], 'quiet reboot=k panic=1 i8042.noaux i8042.nomux i8042.dumbkbd'],
    // by hand: what somebody wrote is what counts
    ['1.9.1', ['panic=0', 'reboot=t', 'pci=conf1', 'i8042.noaux'], 'panic=0 reboot=t pci=conf1 i8042.noaux i8042.nomux i8042.dumbkbd'],
    ['1.16.1', ['ro', '--', 'single'], 'ro reboot=k panic=1 i8042.noaux i8042.nomux i8042.dumbkbd -- single'],
    // behind -- are words for init
    ['1.16.1', ['--', 'panic=7'], 'reboot=k panic=1 i8042.noaux i8042.nomux i8042.dumbkbd -- panic=7'],
  ])('%s %j', (version, given, told) => {
    expect(bootArgs(planFirecracker(args(...given), host(version)))).toBe(told);
  });

  test('SWIOTLB is switched off only where RAM reaches above 4 GiB', () => {
    const told = (version: string, memory: number): boolean =>
      String(bootArgs(planFirecracker(order({}, bridge, memory), host(version)))).includes('swiotlb=noforce');
    expect([told('1.12.1', 3_328), told('1.12.1', 3_329), told('1.13.0', 3_072), told('1.13.0', 3_073)]).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });

  test('one owner of root=: the guest’s arguments, the initrd, or Firecracker', () => {
    const rootOf = (o: LaunchOrder): unknown => {
      const plan = planFirecracker(o, host('1.16.1'));
      const [drive] = configOf(plan)['drives'] as unknown as Record<string, unknown>[];
      return [drive?.['is_root_device'], plan.commandLine.appendedByVmm.filter((token) => token.startsWith('root='))];
    };
    expect(rootOf(args('quiet'))).toEqual([true, ['root=/dev/vda']]);
    expect(rootOf(args('root=/dev/vda1'))).toEqual([false, []]);
    expect(rootOf(order({ bootArgs: ['quiet'] }))).toEqual([false, []]);
  });

  test('the line that the guest sees, in order', () => {
    expect(effectiveLine(planFirecracker(args('quiet', '--', 'single'), host('1.16.1')).commandLine).join(' ')).toBe(
      'quiet reboot=k panic=1 i8042.noaux i8042.nomux i8042.dumbkbd pci=off root=/dev/vda rw virtio_mmio.device=4K@0xc0001000:5 ' +
        'virtio_mmio.device=4K@0xc0002000:6 virtio_mmio.device=4K@0xc0003000:7 virtio_mmio.device=4K@0xc0004000:8 -- single',
    );
  });

  test('in 1.14 the first interrupt is taken already', () => {
    const first = (version: string): string | undefined => planFirecracker(args('quiet'), host(version)).commandLine.appendedByVmm.at(-4);
    expect(['1.13.2', '1.14.0', '1.14.4', '1.15.0', '1.16.1'].map((version) => first(version)?.split(':')[1])).toEqual([
      '5',
      '6',
      '6',
      '5',
      '5',
    ]);
  });

  test('a line that becomes too long by what is appended is refused before anything starts', () => {
    expect(() => planFirecracker(args(...Array.from({ length: 20 }, (_, i) => `k${i}=${'x'.repeat(90)}`)), host('1.9.1'))).toThrow(
      FaultError,
    );
  });
});

describe('the jail', () => {
  test('every slot of every network has its own user', () => {
    const uid = (index: number, slot: number): number | undefined => {
      const network = { ...bridge, index, subnet: '10.0.0.0/16' };
      return planFirecracker(order({ wiring: wiringOf('4f', network, slot) }, network), host('1.16.1')).jail?.owner.uid;
    };
    expect([uid(0, 0), uid(0, 1), uid(1, 0), uid(2, 1023)]).toEqual([700_000, 700_001, 701_024, 703_071]);
    expect(() => uid(0, 1024)).toThrow(FaultError);
    expect(() => uid(100, 0)).toThrow(FaultError);
  });

  test('instance ids have no underscore and lead back', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 47), fc.uint8Array({ minLength: 10, maxLength: 10 }), (now, random) => {
        const id = makeId('boot', now, random);
        expect(instanceIdOf(id)).toMatch(/^[A-Za-z0-9-]{1,64}$/);
        expect(bootOfInstance(instanceIdOf(id))).toBe(id);
      }),
    );
  });

  test('every path in the configuration is one that is linked, and none leads out', () => {
    const plan = planFirecracker(order(), host('1.9.1'));
    const inside = new Set(
      [...(plan.jail?.links ?? []).map(({ to }) => to), ...plan.files.map(({ path }) => path)].map((path) =>
        path.replace(`${plan.jail?.root}`, ''),
      ),
    );
    const text = JSON.stringify(configOf(plan));
    for (const [, path] of text.matchAll(/"(?:\w+_path|path_on_host)":"([^"]+)"/g))
      expect(path === 'v.sock' || inside.has(path!)).toBe(true);
    for (const name of ['--config-file', '--log-path', '--metrics-path']) expect(inside).toContain(plan.argv[plan.argv.indexOf(name) + 1]);
    expect(text).not.toContain(state);
  });

  test('no option stands twice, because Firecracker ends with 153 then, and the jailer passes --id itself', () => {
    for (const plan of [planFirecracker(order(), host('1.9.1')), planFirecracker(order(), host('1.16.1', { jailer: null }))]) {
      const at = plan.argv.lastIndexOf('--');
      const inner = plan.argv.slice(at + 1).filter((word) => word.startsWith('--'));
      expect(new Set(inner).size).toBe(inner.length);
      if (plan.jail !== undefined) expect(inner).not.toContain('--id');
    }
  });
});

test('a network that Firecracker does not have is refused, or, for tests, left out', () => {
  expect(() => planFirecracker(order({}, user), host('1.16.1'))).toThrow(FaultError);
  const plan = planFirecracker(order({}, user), host('1.16.1', { userNetwork: 'no-interface' }));
  expect(configOf(plan)['network-interfaces']).toEqual([]);
  expect(plan.argv).not.toContain('--netns');
});

test('what this host cannot run is said', () => {
  expect(refusalOfHost({ ...host('1.16.1'), jailed: true })).toBeNull();
  expect(refusalOfHost({ ...host('1.8.0'), jailed: true })).toContain('not supported');
  expect(refusalOfHost({ ...host('1.12.1', { firecracker: '/opt/fc' }), jailed: true })).toContain('rename it');
  expect(refusalOfHost({ ...host('1.13.0', { firecracker: '/opt/fc' }), jailed: true })).toBeNull();
});

test('tuning that the version lacks is refused by our own check', () => {
  expect(() => planFirecracker(tuned({ cpuTemplate: 'T9' as 'T2' }), host('1.16.1'))).toThrow(FaultError);
  expect(planFirecracker(tuned({ cpuTemplate: 'T2' }), host('1.16.1')).files[0]?.text).toContain('"cpu_template": "T2"');
});
