/**
 * The launch plan of a QEMU `microvm`, pure. What each word is for is said here; golden/*.txt show whole command lines to a reviewer.
 * Measured with QEMU 7.2; machine type: QEMU's docs/system/i386/microvm.rst.
 */
import { bootFile } from '../../tools/paths.ts';
import { inside } from '@linstock/core';
import { join } from 'node:path';
import type { LaunchOrder, LaunchPlan } from '../vmm.ts';

export type QemuHost = {
  /** absolute path of qemu-system-x86_64 */
  qemu: string;
  /** as the probe boot decided */
  accelerator: 'kvm' | 'tcg';
  /** host TSC as the calibration boot found it; needed by TCG only */
  tscKhz: number | null;
};

/** Name of the agent's port inside the guest: /sys/class/virtio-ports/<port>/name. */
export const agentPort = 'linstock.agent.0';

/** Both for guests and for probe boots, so that what the probe proves is what the guests get. */
export function accelerationArgv(accelerator: 'kvm' | 'tcg'): string[] {
  return ['-accel', accelerator === 'tcg' ? 'tcg,thread=multi' : 'kvm', '-cpu', 'max'];
}

/** No devices but those named, no settings from files, no window; end instead of rebooting; a seccomp filter that denies fork and exec. */
// oxfmt-ignore
export const bareArgv: readonly string[] = [
  '-nodefaults', '-no-user-config', '-nographic', '-no-reboot',
  '-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
];

export function planQemu(order: LaunchOrder, host: QemuHost): LaunchPlan {
  const { wiring, folder, files } = order;
  const { settings } = order.vm;
  const acpi = usesAcpi(host);
  const devices = [
    'virtio-blk-device,drive=root,serial=root',
    `virtio-net-device,netdev=net0,mac=${wiring.mac}`,
    'virtio-rng-device',
    'virtio-serial-device,id=vs0',
  ];
  const commandLine = commandLineOf(order.bootArgs, host, devices.length);
  const [blk = '', net = '', rng = '', serial = ''] = devices;
  // oxfmt-ignore
  const argv = [
    host.qemu,
    '-name', order.boot,
    '-M', `microvm,acpi=${acpi ? 'on' : 'off'}`,
    ...accelerationArgv(host.accelerator),
    '-m', String(settings.memoryMiB),
    '-smp', String(settings.vcpus),
    ...bareArgv,
    '-kernel', files.kernel,
    ...(files.initrd === null ? [] : ['-initrd', files.initrd]),
    '-append', toldLine(commandLine).join(' '),
    // the log is complete and needs no reader; the socket is for one person at a time. Sockets are named within the folder, see tools/sockets.ts
    '-chardev', `socket,id=con,path=${bootFile.serial},server=on,wait=off,logfile=${value(join(folder, bootFile.console))},logappend=on`,
    '-serial', 'chardev:con',
    '-qmp', `unix:${bootFile.qmp},server=on,wait=off`,
    '-drive', `id=root,file=${value(files.disk)},format=qcow2,if=none,discard=unmap`,
    '-device', blk,
    '-netdev', netdev(order),
    '-device', net,
    '-device', rng,
    '-device', 'pvpanic',
    '-device', serial,
    '-chardev', `socket,id=agent,path=${bootFile.agent},server=on,wait=off`,
    '-device', `virtserialport,bus=vs0.0,chardev=agent,name=${agentPort}`,
  ];
  return {
    boot: order.boot,
    argv,
    netns: settings.network.kind === 'bridge' ? wiring.netns : null,
    commandLine,
    files: [],
  };
}

/**
 * ACPI gives 24 virtio slots, poweroff and the power button, and appends nothing to the command line. Under TCG it takes the TSC for its
 * only clock and must be told the frequency: without it 13 % of boots hang on an idle host and nearly all on a loaded one (measured).
 * When the frequency is not known, acpi=off never hung, so that is the fall-back.
 */
export function usesAcpi(host: QemuHost): boolean {
  return host.accelerator === 'kvm' || host.tscKhz !== null;
}

function commandLineOf(given: readonly string[], host: QemuHost, devices: number): LaunchPlan['commandLine'] {
  const needs = host.accelerator === 'tcg' && host.tscKhz !== null ? [`tsc_early_khz=${host.tscKhz}`, 'tsc=reliable'] : [];
  // somebody who set the clock by hand gets what they asked for
  const addedForVmm = needs.filter((token) => !given.some((other) => other.startsWith(token.slice(0, token.indexOf('=') + 1))));
  const appendedByVmm = usesAcpi(host) ? [] : Array.from({ length: devices }, (_, i) => mmioToken(i));
  return { given, addedForVmm, appendedByVmm };
}

/** What QEMU is told. Behind `--` stand the arguments of init, so what is meant for the kernel comes before. */
function toldLine({ given, addedForVmm }: LaunchPlan['commandLine']): readonly string[] {
  const dashes = given.indexOf('--');
  const end = dashes === -1 ? given.length : dashes;
  return [...given.slice(0, end), ...addedForVmm, ...given.slice(end)];
}

/** hw/i386/microvm.c: 8 slots of 512 bytes from feb00000 with interrupts from 5; the first device takes the last slot. */
function mmioToken(device: number): string {
  const slot = 7 - device;
  return `virtio_mmio.device=512@0x${(0xfeb0_0000 + slot * 0x200).toString(16)}:${5 + slot}`;
}

function netdev({ vm: { settings }, wiring }: LaunchOrder): string {
  // made before, inside the namespace, by the network organ
  if (settings.network.kind === 'bridge') return `tap,id=net0,ifname=${inside.tap},script=no,downscript=no,vhost=off`;
  // restrict=on: without it the guest reaches services on the host's own 127.0.0.1 through the gateway (QEMU's qemu-options.hx, -netdev user)
  const forwards = wiring.forwards.map(({ port, hostPort }) => `hostfwd=tcp:127.0.0.1:${hostPort}-${wiring.address}:${port}`);
  return ['user', 'id=net0', `net=${settings.network.subnet}`, `host=${wiring.gateway}`, 'restrict=on', 'ipv6=off', ...forwards].join(',');
}

/** In QEMU's option strings a comma ends a value and two commas are one. */
function value(text: string): string {
  return text.replaceAll(',', ',,');
}
