/** Snapshots (vmm/src/persist.rs) and the vsock socket (devices/virtio/vsock). */
import { rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { RawConnection } from './client.ts';
import type { Fate } from './fates.ts';
import { Bench, type Running } from './run.ts';
import type { SimVersion } from './versions.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.done());

const files = { snapshot_path: 'state', mem_file_path: 'mem' };
const load = { snapshot_path: 'state', mem_backend: { backend_path: 'mem', backend_type: 'File' } };
const notPaused = 'Create snapshot error: Cannot save the microVM state: Operation not allowed: save/restore unavailable while running';

async function running(version: SimVersion, machine: object = {}): Promise<Running> {
  const sim = await bench.withApi(version, { vsock: { 52: 'echo' } });
  for (const [path, body] of [
    ['/machine-config', { vcpu_count: 1, mem_size_mib: 4, ...machine }],
    ['/boot-source', { kernel_image_path: 'k', boot_args: 'console=ttyS0 reboot=k' }],
    ['/drives/root', { drive_id: 'root', path_on_host: 'disk', is_root_device: true }],
    ['/vsock', { guest_cid: 3, uds_path: 'v' }],
    ['/actions', { action_type: 'InstanceStart' }],
  ] as const)
    expect([path, await sim.refusal('PUT', path, body)]).toEqual([path, '']);
  await eventually(() => bench.read('out').includes('ready'));
  return sim;
}
async function saved(version: SimVersion): Promise<void> {
  const sim = await running(version);
  expect(await sim.refusal('PATCH', '/vm', { state: 'Paused' })).toBe('');
  expect(await sim.refusal('PUT', '/snapshot/create', files)).toBe('');
  sim.child.kill('SIGKILL');
  await sim.ended();
  unlinkSync(bench.path('api'));
}
async function fresh(version: SimVersion, fate: Fate | null = null): Promise<Running> {
  rmSync(bench.path('api'), { force: true });
  return await bench.withApi(version, { vsock: { 52: 'echo' }, fates: fate === null ? [] : [fate] });
}

describe('create', () => {
  test('only when paused; the memory file has the size of the memory', async () => {
    const sim = await running('1.16.1');
    expect(await sim.refusal('PUT', '/snapshot/create', files)).toBe(notPaused);
    expect(await sim.refusal('PATCH', '/vm', { state: 'Paused' })).toBe('');
    expect(await sim.refusal('PUT', '/snapshot/create', files)).toBe('');
    expect(statSync(bench.path('mem')).size).toBe(4 << 20);
    expect(JSON.parse((await sim.call('GET', '/')).body)).toMatchObject({ state: 'Paused' });
  });

  test.each([
    ['1.12.1', 'The requested operation is not supported: Diff snapshots are not allowed on uVMs with dirty page tracking disabled.'],
    ['1.13.1', ''],
  ] as const)('a Diff without dirty page tracking: %s', async (version, says) => {
    const sim = await running(version);
    await sim.call('PATCH', '/vm', { state: 'Paused' });
    expect(await sim.refusal('PUT', '/snapshot/create', { ...files, snapshot_type: 'Diff' })).toBe(says);
  });
});

describe('load', () => {
  const failed = 'Load snapshot error: Failed to restore from snapshot: ';
  test('paused first, with what was configured, and the guest does not boot again', async () => {
    await saved('1.9.1');
    unlinkSync(bench.path('v'));
    const sim = await fresh('1.9.1');
    expect(await sim.refusal('PUT', '/snapshot/load', load)).toBe('');
    expect(JSON.parse((await sim.call('GET', '/')).body)).toMatchObject({ state: 'Paused' });
    expect(JSON.parse((await sim.call('GET', '/vm/config')).body)).toMatchObject({
      'machine-config': { mem_size_mib: 4 },
      vsock: { uds_path: 'v' },
    });
    expect(await sim.refusal('PATCH', '/vm', { state: 'Resumed' })).toBe('');
    expect(bench.read('out')).not.toContain('Linux version');
    expect(await sim.refusal('PUT', '/snapshot/load', load)).toBe('The requested operation is not supported after starting the microVM.');
  });

  test('a stale vsock socket is the end, unless it is overridden (1.16)', async () => {
    await saved('1.16.1');
    const stale = await fresh('1.16.1');
    expect(await stale.refusal('PUT', '/snapshot/load', load)).toMatch(
      /Error binding to the host-side Unix socket: Address in use \(os error 98\)$/,
    );
    expect(await stale.ended()).toEqual({ code: 1, signal: null });
    const sim = await fresh('1.16.1');
    expect(await sim.refusal('PUT', '/snapshot/load', { ...load, vsock_override: { uds_path: 'w' }, resume_vm: true })).toBe('');
    expect(JSON.parse((await sim.call('GET', '/')).body)).toMatchObject({ state: 'Running' });
    expect(statSync(bench.path('w')).isSocket()).toBe(true);
  });

  test.each([
    ['1.13.1', '1.14.4', 'An error occurred during bincode serialization'],
    ['1.16.1', '1.15.1', 'Invalid data version: 10.0.0'],
    ['1.9.1', '1.10.1', 'Invalid data version: 3.0.0'],
  ] as const)('what %s wrote is nothing for %s', async (made, loads, says) => {
    await saved(made);
    const sim = await fresh(loads);
    expect(await sim.refusal('PUT', '/snapshot/load', load)).toContain(
      `${failed}Failed to get snapshot state from file: Failed to load snapshot state from file: ${says}`,
    );
    expect(await sim.ended()).toEqual({ code: 1, signal: null });
  });

  test.each([
    ['a torn state', () => writeFileSync(bench.path('state'), bench.read('state').slice(0, -5)), 'CRC64 validation failed'],
    ['no state at all', () => writeFileSync(bench.path('state'), 'nothing'), 'Magic value does not match arch'],
    [
      'a short memory',
      () => writeFileSync(bench.path('mem'), 'short'),
      'Error creating guest memory from file: Failed to restore guest memory',
    ],
    [
      'no memory',
      () => unlinkSync(bench.path('mem')),
      'Error creating guest memory from file: Failed to load guest memory: No such file or directory (os error 2)',
    ],
    ['no drive', () => unlinkSync(bench.path('disk')), 'Error manipulating the backing file: No such file or directory (os error 2) disk'],
  ] as const)('%s', async (_what, breaks, says) => {
    await saved('1.16.1');
    breaks();
    const sim = await fresh('1.16.1');
    expect(await sim.refusal('PUT', '/snapshot/load', load)).toContain(says);
    expect(await sim.ended()).toEqual({ code: 1, signal: null });
  });

  test('an interface that the snapshot does not have cannot be overridden, and a Uffd handler must listen', async () => {
    await saved('1.16.1');
    const one = await fresh('1.16.1');
    expect(await one.refusal('PUT', '/snapshot/load', { ...load, network_overrides: [{ iface_id: 'e', host_dev_name: 't' }] })).toContain(
      'Unknown Network Device.',
    );
    const two = await fresh('1.16.1');
    const uffd = { snapshot_path: 'state', mem_backend: { backend_path: 'u', backend_type: 'Uffd' } };
    expect(await two.refusal('PUT', '/snapshot/load', uffd)).toContain(
      'Failed to connect to UDS Unix stream: No such file or directory (os error 2)',
    );
  });

  test('--describe-snapshot says the format', async () => {
    await saved('1.15.1');
    const sim = bench.run(bench.path('firecracker'), ['--describe-snapshot', 'state']);
    expect(await sim.ended()).toEqual({ code: 0, signal: null });
    expect(bench.read('out')).toMatch(/^v9\.0\.0\n/);
  });
});

describe('vsock', () => {
  const talk = async (bytes: string, until: (received: string, closed: boolean) => boolean): Promise<string> => {
    const connection = new RawConnection(bench.path('v'));
    connection.send(bytes);
    await eventually(() => until(connection.received, connection.closed));
    const { received } = connection;
    connection.destroy();
    return received;
  };
  test('a port with a listener, one without, and words that are none', async () => {
    await running('1.9.1');
    expect(await talk('CONNECT 52\nhello', (received) => received.endsWith('hello'))).toMatch(/^OK \d+\nhello$/);
    expect(await talk('CONNECT 53\n', (_, closed) => closed)).toBe('');
    expect(await talk('HELLO\n', (_, closed) => closed)).toBe('');
  });

  test('a test may be the agent', async () => {
    const agent = createServer((socket) => socket.end('I am the agent'));
    await new Promise<void>((resolve) => agent.listen(bench.path('agent'), resolve));
    const sim = await bench.withApi('1.16.1', { vsock: { 1024: bench.path('agent') } });
    for (const [path, body] of [
      ['/boot-source', { kernel_image_path: 'k', boot_args: 'console=ttyS0' }],
      ['/vsock', { guest_cid: 3, uds_path: 'v' }],
      ['/actions', { action_type: 'InstanceStart' }],
    ] as const)
      await sim.call('PUT', path, body);
    await eventually(() => bench.read('out').includes('ready'));
    expect(await talk('CONNECT 1024\n', (_, closed) => closed)).toMatch(/^OK \d+\nI am the agent$/);
    agent.close();
  });

  test('who connects while it stands still waits until it goes on', async () => {
    const sim = await running('1.15.1');
    await sim.call('PATCH', '/vm', { state: 'Paused' });
    const connection = new RawConnection(bench.path('v'));
    connection.send('CONNECT 52\n');
    // by the time that a later call is answered, an answer would be there
    for (let call = 0; call < 20; call += 1) await sim.call('GET', '/');
    expect([connection.received, connection.closed]).toEqual(['', false]);
    await sim.call('PATCH', '/vm', { state: 'Resumed' });
    await eventually(() => connection.received.startsWith('OK '));
    connection.destroy();
  });

  test.each([
    ['1.15.1', false, true],
    ['1.16.1', false, false],
    ['1.16.1', true, true],
  ] as const)('after pause and resume on %s, with a snapshot between: %s, it answers: %s', async (version, snapshot, answers) => {
    const sim = await running(version);
    await sim.call('PATCH', '/vm', { state: 'Paused' });
    if (snapshot) expect(await sim.refusal('PUT', '/snapshot/create', files)).toBe('');
    await sim.call('PATCH', '/vm', { state: 'Resumed' });
    const connection = new RawConnection(bench.path('v'));
    connection.send('CONNECT 52\n');
    if (answers) await eventually(() => connection.received.startsWith('OK '));
    // By the time that a later call is answered, an answer would be there; the connection is open all the same.
    else for (let call = 0; call < 20; call += 1) await sim.call('GET', '/');
    expect([connection.received.startsWith('OK '), connection.closed]).toEqual([answers, false]);
    connection.destroy();
  });

  test('a reset closes at once, a snapshot closes what was open', async () => {
    const sim = await running('1.16.1');
    const open = new RawConnection(bench.path('v'));
    open.send('CONNECT 52\n');
    await eventually(() => open.received.startsWith('OK '));
    await sim.call('PATCH', '/vm', { state: 'Paused' });
    await sim.call('PUT', '/snapshot/create', files);
    await eventually(() => open.closed);
    unlinkSync(bench.path('v'));
    const reset = await fresh('1.16.1', 'vsock-reset');
    expect(await reset.refusal('PUT', '/snapshot/load', { ...load, resume_vm: true })).toBe('');
    expect(await talk('CONNECT 52\n', (_, closed) => closed)).toBe('');
  });
});
