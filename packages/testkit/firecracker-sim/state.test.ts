/** The state machine (vmm/src/rpc_interface.rs): what is allowed when, what a refusal says, what binds at once. */
import { existsSync, unlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { Bench, type Running } from './run.ts';
import { oneOfEachMinor, type SimVersion } from './versions.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.done());

const pre = 'The requested operation is not supported before starting the microVM.';
const post = 'The requested operation is not supported after starting the microVM.';
const line = 'console=ttyS0 reboot=k panic=1';
const boot = { kernel_image_path: 'k', boot_args: line };
const root = { drive_id: 'root', path_on_host: 'disk', is_root_device: true, is_read_only: false };
const start = { action_type: 'InstanceStart' };

async function booted(version: SimVersion): Promise<Running> {
  const sim = await bench.withApi(version);
  await all(sim, [
    ['PUT', '/boot-source', boot],
    ['PUT', '/drives/root', root],
    ['PUT', '/actions', start],
  ]);
  await eventually(() => bench.read('out').includes('linstock-init: ready'));
  return sim;
}
async function all(sim: Running, calls: readonly (readonly [string, string, unknown])[]): Promise<void> {
  for (const [method, path, body] of calls) expect([path, await sim.refusal(method, path, body)]).toEqual([path, '']);
}
async function body(sim: Running, path: string): Promise<unknown> {
  return JSON.parse((await sim.call('GET', path)).body) as unknown;
}

test.each(oneOfEachMinor)('%s from nothing to paused and back', async (version) => {
  const sim = await bench.withApi(version, {}, ['--id', 'vm-1']);
  expect(await body(sim, '/')).toEqual({ id: 'vm-1', state: 'Not started', vmm_version: version, app_name: 'Firecracker' });
  expect(await body(sim, '/version')).toEqual({ firecracker_version: version });
  expect(await body(sim, '/machine-config')).toEqual({
    vcpu_count: 1,
    mem_size_mib: 128,
    smt: false,
    track_dirty_pages: false,
    huge_pages: 'None',
  });
  const early: readonly (readonly [string, string, unknown])[] = [
    ['PATCH', '/vm', { state: 'Paused' }],
    ['PUT', '/actions', { action_type: 'FlushMetrics' }],
    ['PUT', '/actions', { action_type: 'SendCtrlAltDel' }],
    ['PATCH', '/drives/root', { drive_id: 'root', path_on_host: 'disk' }],
    ['PATCH', '/network-interfaces/e', { iface_id: 'e' }],
    ['PATCH', '/balloon', { amount_mib: 1 }],
    ['GET', '/balloon/statistics', undefined],
    ['PUT', '/snapshot/create', { snapshot_path: 's', mem_file_path: 'm' }],
  ];
  for (const [method, path, given] of early) expect([path, await sim.refusal(method, path, given)]).toEqual([path, pre]);
  expect(await sim.refusal('PUT', '/actions', start)).toBe('Start microvm error: Cannot start microvm without kernel configuration.');
  await all(sim, [
    ['PUT', '/machine-config', { vcpu_count: 2, mem_size_mib: 256 }],
    ['PUT', '/boot-source', boot],
    ['PUT', '/drives/root', root],
    ['PUT', '/actions', start],
  ]);
  expect(await body(sim, '/')).toMatchObject({ state: 'Running' });
  const late: readonly (readonly [string, string, unknown])[] = [
    ['PUT', '/boot-source', boot],
    ['PUT', '/machine-config', { vcpu_count: 2, mem_size_mib: 256 }],
    ['PATCH', '/machine-config', { vcpu_count: 2 }],
    ['PUT', '/vsock', { guest_cid: 3, uds_path: 'v' }],
    ['PUT', '/entropy', {}],
    ['PUT', '/balloon', { amount_mib: 1, deflate_on_oom: true }],
    ['PUT', '/logger', {}],
    ['PUT', '/metrics', { metrics_path: 'm' }],
    ['PUT', '/actions', start],
    ['PUT', '/snapshot/load', { snapshot_path: 's', mem_file_path: 'm' }],
  ];
  for (const [method, path, given] of late) expect([path, await sim.refusal(method, path, given)]).toEqual([path, post]);
  for (const [state, seen] of [
    ['Paused', 'Paused'],
    ['Paused', 'Paused'],
    ['Resumed', 'Running'],
    ['Resumed', 'Running'],
  ] as const) {
    expect(await sim.refusal('PATCH', '/vm', { state })).toBe('');
    expect(await body(sim, '/')).toMatchObject({ state: seen });
  }
});

test.each(['1.15.1', '1.16.1'] as const)('a device after the start: %s', async (version) => {
  const sim = await booted(version);
  const second = { drive_id: 'b', path_on_host: 'disk', is_root_device: false };
  expect(await sim.refusal('PUT', '/drives/b', second)).toBe(version === '1.15.1' ? post : 'PCI is not enabled');
});

test('hotplug over PCI: in use, not found, root, and gone', async () => {
  const sim = await bench.withApi('1.16.1', {}, ['--enable-pci']);
  await all(sim, [
    ['PUT', '/boot-source', boot],
    ['PUT', '/drives/root', root],
    ['PUT', '/actions', start],
  ]);
  const second = { drive_id: 'b', path_on_host: 'disk', is_root_device: false };
  expect(await sim.refusal('PUT', '/drives/b', second)).toBe('');
  expect(await sim.refusal('PUT', '/drives/b', second)).toBe('Device ID in use');
  expect(await sim.refusal('DELETE', '/drives/c')).toBe('Device not found');
  expect(await sim.refusal('DELETE', '/drives/root')).toBe('Cannot unplug root device');
  expect(await sim.call('DELETE', '/drives/b')).toMatchObject({ status: 204 });
  expect(await sim.refusal('DELETE', '/drives/b')).toBe('Device not found');
});

describe('the boot path', () => {
  const load = { snapshot_path: 'nowhere', mem_backend: { backend_path: 'm', backend_type: 'File' } };
  const forbidden = 'Load snapshot error: Loading a microVM snapshot not allowed after configuring boot-specific resources.';
  test.each([
    ['PUT', '/boot-source', boot],
    ['PUT', '/boot-source', { kernel_image_path: 'missing' }],
    ['PUT', '/machine-config', { vcpu_count: 0, mem_size_mib: 1 }],
    ['PUT', '/mmds/config', { network_interfaces: [] }],
    ['PUT', '/entropy', {}],
  ] as const)('%s %s forbids a load, refused or not, and the process lives', async (method, path, given) => {
    const sim = await bench.withApi('1.16.1');
    await sim.call(method, path, given);
    expect(await sim.refusal('PUT', '/snapshot/load', load)).toBe(forbidden);
    expect(await body(sim, '/')).toMatchObject({ state: 'Not started' });
  });

  test('what does not belong to it, and what never reached the VMM, leaves the load allowed; a failed load ends the process', async () => {
    const sim = await bench.withApi('1.16.1');
    await all(sim, [
      ['PUT', '/logger', {}],
      ['PUT', '/metrics', { metrics_path: 'm' }],
      ['PUT', '/serial', {}],
      ['PUT', '/mmds', {}],
      ['PUT', '/cpu-config', {}],
    ]);
    expect(await sim.refusal('PUT', '/machine-config', { bogus: 1 })).toMatch(/^An error occurred when deserializing/);
    expect(await sim.refusal('PUT', '/snapshot/load', load)).toBe(
      'Load snapshot error: Failed to restore from snapshot: Failed to get snapshot state from file: Failed to open snapshot file: No such file or directory (os error 2)',
    );
    expect(await sim.ended()).toEqual({ code: 1, signal: null });
    expect(bench.read('err')).toBe('Error: RunWithApi(BuildMicroVmError(Restore))\n');
    expect(bench.read('out')).toContain('Loading snapshot failed.');
  });
});

describe('what binds at its PUT', () => {
  test('kernel, initrd and drive are opened, in the words of the system', async () => {
    const sim = await bench.withApi('1.9.1');
    const none = 'No such file or directory (os error 2)';
    for (const [path, given, says] of [
      ['/boot-source', { kernel_image_path: 'x' }, `Boot source error: The kernel file cannot be opened: ${none}`],
      [
        '/boot-source',
        { kernel_image_path: 'k', initrd_path: 'x' },
        `Boot source error: The initrd file cannot be opened due to invalid path or invalid permissions. ${none}`,
      ],
      [
        '/drives/a',
        { ...root, drive_id: 'a', path_on_host: 'x' },
        `Drive config error: Unable to create the virtio block device: Virtio backend error: Error manipulating the backing file: ${none} x`,
      ],
      [
        '/drives/a',
        { drive_id: 'a', is_root_device: false },
        'Drive config error: Unable to create the virtio block device: Invalid block config.',
      ],
      [
        '/boot-source',
        { kernel_image_path: 'k', boot_args: 'x'.repeat(2048) },
        'Boot source error: The kernel command line is invalid: Invalid cmdline capacity provided.',
      ],
    ] as const)
      expect((await sim.refusal('PUT', path, given)).slice(0, says.length)).toBe(says);
    expect(await sim.refusal('PUT', '/boot-source', { kernel_image_path: 'k', boot_args: 'x'.repeat(2047) })).toBe('');
  });

  test('the kind of kernel is looked at only when the VM starts, and that may be tried again', async () => {
    for (const [version, where] of [
      ['1.11.0', ''],
      ['1.12.1', 'System configuration error: '],
    ] as const) {
      const sim = await bench.withApi(version);
      expect(await sim.refusal('PUT', '/boot-source', { kernel_image_path: 'text' })).toBe('');
      expect(await sim.refusal('PUT', '/actions', start)).toBe(
        `Start microvm error: ${where}Cannot load kernel due to invalid memory configuration or invalid kernel image: Kernel Loader: failed to load ELF kernel image: Kernel Loader: Invalid Elf magic number`,
      );
      expect(await body(sim, '/')).toMatchObject({ state: 'Not started' });
      await all(sim, [
        ['PUT', '/boot-source', boot],
        ['PUT', '/actions', start],
      ]);
      sim.child.kill('SIGKILL');
      await sim.ended();
      unlinkSync(bench.path('api'));
    }
  });

  test('the vsock socket listens at once; a stale file is refused; a second PUT takes the first file away', async () => {
    const sim = await bench.withApi('1.9.1');
    bench.write('stale', '');
    expect(await sim.refusal('PUT', '/vsock', { guest_cid: 3, uds_path: 'stale' })).toBe(
      'Vsock config error: Cannot create backend for vsock device: Error binding to the host-side Unix socket: Address in use (os error 98)',
    );
    expect(await sim.refusal('PUT', '/vsock', { guest_cid: 3, uds_path: 'v1' })).toBe('');
    expect(existsSync(bench.path('v1'))).toBe(true);
    expect(await sim.refusal('PUT', '/vsock', { guest_cid: 3, uds_path: 'v2' })).toBe('');
    expect([existsSync(bench.path('v1')), existsSync(bench.path('v2'))]).toEqual([false, true]);
  });

  test('a TAP is held by one process', async () => {
    const net = { iface_id: 'eth0', host_dev_name: `lsim${process.pid % 100_000}`, guest_mac: '06:00:AC:10:00:02' };
    const sim = await bench.withApi('1.16.1');
    if (process.geteuid?.() !== 0) {
      expect(await sim.refusal('PUT', '/network-interfaces/eth0', net)).toContain('Operation not permitted (os error 1)');
      return;
    }
    expect(await sim.refusal('PUT', '/network-interfaces/eth0', net)).toBe('');
    expect(await sim.refusal('PUT', '/network-interfaces/eth0', net)).toBe(''); // the same interface again
    expect(await sim.refusal('PUT', '/network-interfaces/eth1', { ...net, iface_id: 'eth1' })).toBe(
      'Network config error: The MAC address is already in use: 06:00:ac:10:00:02',
    );
    expect(await sim.refusal('PUT', '/network-interfaces/eth1', { iface_id: 'eth1', host_dev_name: net.host_dev_name })).toBe(
      `Network config error: Could not create the network device: Open tap device failed: Error while creating ifreq structure: Resource busy (os error 16). Invalid TUN/TAP Backend provided by ${net.host_dev_name}. Check our documentation on setting up the network devices.`,
    );
    expect(await sim.refusal('PUT', '/network-interfaces/eth1', { iface_id: 'eth1', host_dev_name: 'x'.repeat(16) })).toContain(
      'Invalid interface name',
    );
    expect(await sim.refusal('PUT', '/mmds/config', { network_interfaces: ['eth9'], version: 'V2' })).toContain(
      'does not correspond to any existing',
    );
    expect(await sim.call('PUT', '/mmds/config', { network_interfaces: ['eth0'] })).toMatchObject({
      status: 204,
      headers: { Deprecation: 'true' },
    });
    expect(await body(sim, '/vm/config')).toMatchObject({
      'mmds-config': { version: 'V1', network_interfaces: ['eth0'], ipv4_address: '169.254.169.254', imds_compat: false },
      'network-interfaces': [{ iface_id: 'eth0', guest_mac: '06:00:ac:10:00:02', mtu: null, rx_rate_limiter: null, tx_rate_limiter: null }],
    });
  });

  test.each(oneOfEachMinor)('files for the log and the metrics are made from 1.14 on (%s)', async (version) => {
    const sim = await bench.withApi(version);
    const makes = ['1.14.4', '1.15.1', '1.16.1'].includes(version);
    const none = 'No such file or directory (os error 2)';
    expect(await sim.refusal('PUT', '/logger', { log_path: 'log' })).toBe(makes ? '' : `Logger error: Failed to open target file: ${none}`);
    expect(await sim.refusal('PUT', '/metrics', { metrics_path: 'met' })).toBe(
      makes ? '' : `Metrics error: Cannot initialize the metrics system due to bad user input: ${none}`,
    );
    bench.write('met', '');
    if (!makes) expect(await sim.refusal('PUT', '/metrics', { metrics_path: 'met' })).toBe('');
    expect(await sim.refusal('PUT', '/metrics', { metrics_path: 'met' })).toContain('Reinitialization of metrics not allowed.');
  });
});

test('the logger: a PUT without a level is a PUT of Info', async () => {
  bench.write('log', '');
  const sim = await bench.withApi('1.9.1', {}, ['--log-path', 'log', '--level', 'Error', '--show-level']);
  expect(bench.read('log')).toBe('');
  await sim.call('GET', '/version');
  expect(await sim.refusal('PUT', '/machine-config', { vcpu_count: 0, mem_size_mib: 1 })).not.toBe('');
  expect(bench.read('log')).toMatch(
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9} \[anonymous-instance:fc_api:ERROR\] Received Error\. Status code: 400 Bad Request\. Message: /,
  );
  expect(await sim.refusal('PUT', '/logger', { show_level: false })).toBe('');
  await sim.call('GET', '/version');
  expect(bench.read('log')).toContain(':fc_api] The API server received a Get request on "/version".');
});

test('metrics are what happened since the line before', async () => {
  bench.write('met', '');
  const sim = await bench.withApi('1.9.1', {}, ['--metrics-path', 'met']);
  await all(sim, [
    ['PUT', '/boot-source', boot],
    ['PUT', '/drives/root', root],
    ['PUT', '/actions', start],
  ]);
  const lines = (): Record<string, Record<string, number>>[] =>
    bench
      .read('met')
      .split('\n')
      .filter((one) => one !== '')
      .map((one) => JSON.parse(one) as Record<string, Record<string, number>>);
  expect(lines()).toHaveLength(1);
  expect(lines()[0]).toMatchObject({ put_api_requests: { boot_source_count: 1, drives_count: 1 }, block_root: { read_bytes: 0 } });
  await all(sim, [
    ['PATCH', '/vm', { state: 'Paused' }],
    ['PUT', '/actions', { action_type: 'FlushMetrics' }],
    ['PUT', '/actions', { action_type: 'FlushMetrics' }],
  ]);
  expect(lines()[1]?.['patch_api_requests']).toMatchObject({ vm_count: 1 });
  expect(lines()[2]?.['patch_api_requests']).not.toHaveProperty('vm_count');
  expect(lines()[2]?.['latencies_us']).toMatchObject(lines()[1]!['latencies_us']!); // a store stays
});

test.each([
  ['1.14.4', 200],
  ['1.15.1', 400],
] as const)('the metadata of a running VM without a service: %s', async (version, status) => {
  const sim = await booted(version);
  expect(await sim.call('GET', '/mmds')).toMatchObject({ status });
});

test('metadata: a merge, a limit with a status of its own', async () => {
  const sim = await bench.withApi('1.16.1', {}, ['--mmds-size-limit', '40']);
  expect(await sim.refusal('PATCH', '/mmds', { a: 1 })).toBe('MMDS error: The MMDS data store is not initialized.');
  expect(await body(sim, '/mmds')).toEqual({});
  await all(sim, [
    ['PUT', '/mmds', { a: { b: 1, c: 2 } }],
    ['PATCH', '/mmds', { a: { b: null, d: [1] } }],
  ]);
  expect(await body(sim, '/mmds')).toEqual({ a: { c: 2, d: [1] } });
  const tooBig = await sim.call('PUT', '/mmds', { a: 'x'.repeat(40) });
  expect(tooBig).toMatchObject({ status: 413 });
  expect(JSON.parse(tooBig.body)).toEqual({ fault_message: "MMDS limit exceeded error: The MMDS patch request doesn't fit." });
});

test.each([
  ['1.13.1', 256, 400],
  ['1.14.4', 256, 204],
] as const)('huge pages and a balloon do not go together up to 1.13 (%s)', async (version, memory, status) => {
  const sim = await bench.withApi(version);
  expect(await sim.refusal('PUT', '/machine-config', { vcpu_count: 1, mem_size_mib: 3, huge_pages: '2M' })).toContain(
    'not a multiple of the configured page size',
  );
  expect(await sim.refusal('PUT', '/machine-config', { vcpu_count: 1, mem_size_mib: memory, huge_pages: '2M' })).toBe('');
  expect(await sim.call('PUT', '/balloon', { amount_mib: 1, deflate_on_oom: false })).toMatchObject({ status });
  expect(await sim.refusal('PUT', '/balloon', { amount_mib: 257, deflate_on_oom: false })).toBe(
    'Balloon config error: Amount of pages requested is too large.',
  );
});
