import { describe, expect, test } from 'vitest';
import type { Network } from '@linstock/contract';
import { wiringOf } from '@linstock/core';
import type { LaunchOrder, LaunchPlan } from '../vmm.ts';
import { planQemu, type QemuHost } from './plan.ts';

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
const tcg: QemuHost = { qemu: '/usr/bin/qemu-system-x86_64', accelerator: 'tcg', tscKhz: 2_600_011 };

function order(network: Network, changes: Partial<LaunchOrder> = {}): LaunchOrder {
  return {
    boot: 'boot_01jd7q8m5xkzv3w9r2t4n6p8bc',
    vm: { settings: { memoryMiB: 256, vcpus: 2, firecracker: null, network } },
    wiring: wiringOf('4f', network, 1, [6080, 22]),
    bootArgs: ['console=ttyS0', 'panic=1', 'root=/dev/vda'],
    files: {
      kernel: '/var/lib/linstock/images/a/kernel',
      initrd: '/var/lib/linstock/images/a/initrd',
      disk: '/var/lib/linstock/disks/vm_1/root.qcow2',
    },
    folder: '/var/lib/linstock/boots/boot_01jd7q8m5xkzv3w9r2t4n6p8bc',
    ...changes,
  };
}

/** As a reviewer reads it: an option with its value on a line. */
function shown(plan: LaunchPlan): string {
  const { given, addedForVmm, appendedByVmm } = plan.commandLine;
  const words = plan.argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word)));
  const lines = words.join(' ').replaceAll(/ (-[a-zA-Z])/g, '\n  $1');
  return `netns ${plan.netns}\n${lines}\n\ngiven     ${given.join(' ')}\nadded     ${addedForVmm.join(' ')}\nappended  ${appendedByVmm.join(' ')}\n`;
}

describe('golden launch plans', () => {
  const plans: readonly [name: string, plan: LaunchPlan][] = [
    ['bridge-tcg', planQemu(order(bridge), tcg)],
    ['bridge-kvm', planQemu(order(bridge), { ...tcg, accelerator: 'kvm', tscKhz: null })],
    ['user-tcg', planQemu(order(user), tcg)],
    ['bridge-tcg-without-tsc', planQemu(order(bridge, { files: { ...order(bridge).files, initrd: null } }), { ...tcg, tscKhz: null })],
  ];
  test.each(plans)('%s', async (name, plan) => {
    await expect(shown(plan)).toMatchFileSnapshot(`golden/${name}.txt`);
  });
});

const appended = (plan: LaunchPlan): string | undefined => plan.argv[plan.argv.indexOf('-append') + 1];

test('what is for the kernel stands before `--`', () => {
  expect(appended(planQemu(order(bridge, { bootArgs: ['ro', '--', 'single'] }), tcg))).toBe(
    'ro tsc_early_khz=2600011 tsc=reliable -- single',
  );
});

test('a clock that was set by hand is left alone', () => {
  const plan = planQemu(order(bridge, { bootArgs: ['tsc_early_khz=1', 'tsc=unstable'] }), tcg);
  expect(plan.commandLine.addedForVmm).toEqual([]);
  expect(appended(plan)).toBe('tsc_early_khz=1 tsc=unstable');
});

test('a comma in a path does not become an option', () => {
  const plan = planQemu(order(bridge, { files: { ...order(bridge).files, disk: '/a,readonly=on/d' }, folder: '/b,server=off' }), tcg);
  expect(plan.argv).toContain('id=root,file=/a,,readonly=on/d,format=qcow2,if=none,discard=unmap');
  expect(plan.argv.join(' ')).toContain('logfile=/b,,server=off/console.log,');
});

test('socket addresses stay short however deep the folder is', () => {
  const plan = planQemu(order(bridge, { folder: `/${'deep/'.repeat(40)}` }), tcg);
  const paths = plan.argv.flatMap((word) => [...word.matchAll(/(?:unix:|path=)([^,]+)/g)].map((match) => match[1] ?? ''));
  expect(paths).toEqual(['console.sock', 'qmp.sock', 'agent.sock']);
});

test('a guest without a VM of its own network sits in no namespace', () => {
  expect(planQemu(order(user), tcg).netns).toBeNull();
  expect(planQemu(order(bridge), tcg).netns).toBe('ls4f-0-1');
});
