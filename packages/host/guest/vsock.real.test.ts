/**
 * The host's end against the real agent over Firecracker's vsock socket (its docs/vsock.md): the CONNECT handshake, and what ends a line and
 * what does not. The VMM is the simulator of the testkit under the real driver; what its guest listens with is the agent on this host.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { known } from '@linstock/core';
import { eventually } from '@linstock/testkit';
import type { SimVersion } from '@linstock/testkit/firecracker-sim';
import { AgentLines } from '../agent-lines.ts';
import { aliveSince } from '../tools/procs.ts';
import { FirecrackerClient } from '../vmm/firecracker/client.ts';
import { firecrackerFile } from '../vmm/firecracker/config.ts';
import { bare, closeBench, launched, noRoot, simulated, type Launched } from '../vmm/testing/firecracker-bench.ts';
import { noCgroups } from '../vmm/testing/benches.ts';
import { agentVsockPort } from './connect.ts';
import { connectGuest, type Answer, type GuestChannel } from './channel.ts';
import { anAgent, noAgent, type AnAgent } from './testing/an-agent.ts';

const never = new AbortController().signal;
const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

/** The first piece only: the stream stays open. */
async function* firstOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk;
    return;
  }
}

function ok<T>(answer: Answer<T>): T {
  if (answer.is !== 'ok') throw new Error(JSON.stringify(answer));
  return answer.value;
}

describe.skipIf(noAgent !== false)(`the real agent behind vsock${noAgent === false ? '' : ` (skipped: ${noAgent})`}`, () => {
  let agent: AnAgent;
  beforeAll(async () => {
    agent = await anAgent();
    // the simulated guest of a jailed VMM is its process, and connects as its user
    chmodSync(dirname(agent.path), 0o755);
    chmodSync(agent.path, 0o777);
  }, 120_000);
  afterAll(() => agent.stop());

  async function running(version: SimVersion, way = bare, served = agent.path): Promise<Launched> {
    const bench = simulated(version, way, { vsock: { [agentVsockPort]: served } });
    open.push(() => closeBench(bench));
    return await launched(bench);
  }
  /** As the controller does it: again until the guest is up. */
  async function line({ vmm, boot, folder }: Launched): Promise<GuestChannel> {
    const connection = await eventually(
      async () => await connectGuest(await vmm.agentOf(boot, folder)),
      ({ is }) => is === 'open',
    );
    if (connection.is !== 'open') throw new Error(connection.why);
    open.push(() => connection.channel.close());
    return connection.channel;
  }
  async function api({ vmm, boot, folder }: Launched, version: string): Promise<FirecrackerClient> {
    await eventually(() => vmm.ask(boot, folder));
    const client = new FirecrackerClient({ place: await vmm.socketOf(boot, folder, 'api'), version: known(version) });
    open.push(() => client.close());
    return client;
  }
  const consoleOf = ({ folder }: Launched): string =>
    existsSync(join(folder, 'console.log')) ? readFileSync(join(folder, 'console.log'), 'latin1') : '';
  const files = { snapshot_path: 'state', mem_file_path: 'memory' };

  const jailedToo = [
    ['bare', bare, false],
    ['jailed', { jailed: true, by: 'cgroup' }, noRoot || noCgroups()],
  ] as const;
  for (const [name, way, why] of jailedToo) {
    test.skipIf(why !== false)(`${name}: hello, facts, exec, and the exit of what is killed`, async () => {
      const channel = await line(await running('1.16.1', way));
      expect(channel.hello).toMatchObject({ protocol: 1, transport: 'unix' });
      expect(ok(await channel.request('facts', {})).kernel?.banner).toContain('Linux');
      const input = Buffer.alloc(300_000, 'abcdefg');
      const ran = ok(await channel.run(['cat'], { input, tailBytes: input.length }));
      expect([ran.end, ran.stdout === input.toString()]).toMatchObject([{ is: 'exited', code: 0 }, true]);
      const sleeper = ok(await channel.exec(['sleep', '1000']));
      sleeper.kill('TERM');
      expect(await sleeper.exit).toMatchObject({ is: 'signalled', signal: 'TERM' });
    });
  }

  test('several lines at once, each to a session of its own', async () => {
    const vm = await running('1.9.1');
    const channels = [await line(vm), await line(vm), await line(vm)];
    const said = await Promise.all(channels.map((channel, n) => channel.run(['echo', String(n)])));
    expect(said.map((one) => ok(one).stdout)).toEqual(['0\n', '1\n', '2\n']);
    channels[0]?.close();
    expect(ok(await channels[1]!.run(['echo', 'on'])).stdout).toBe('on\n');
  });

  test('the end of the VMM is the end of the line and of what runs over it, and then there is no socket', async () => {
    const vm = await running('1.16.1');
    const channel = await line(vm);
    const exec = ok(await channel.exec(['sh', '-c', 'echo $$; exec sleep 1000']));
    const [pid] = await Array.fromAsync(firstOf(exec.stdout), (chunk) => Number(Buffer.from(chunk).toString()));
    expect(pid).toBeGreaterThan(0);
    expect(await vm.vmm.end(vm.boot, vm.folder, never)).toEqual({ is: 'done' });
    expect(await exec.exit).toMatchObject({ is: 'lost' });
    expect(await channel.ended).toMatchObject({ is: 'lost' });
    expect(await channel.request('ping', {})).toMatchObject({ is: 'lost' });
    // the agent has seen its host go
    await eventually(() => aliveSince(pid ?? 0) === undefined);
    expect(await connectGuest(await vm.vmm.agentOf(vm.boot, vm.folder))).toMatchObject({ is: 'absent', why: 'no-socket' });
  });

  test('nobody listens in the guest: closed instead of OK', async () => {
    const vm = await running('1.15.1');
    await line(vm);
    const target = await vm.vmm.agentOf(vm.boot, vm.folder);
    if (target.is !== 'vsock') throw new Error(target.is);
    expect(await connectGuest({ ...target, port: agentVsockPort + 1 })).toMatchObject({
      is: 'absent',
      why: 'hung-up',
      detail: expect.stringContaining('instead of OK') as string,
    });
  });

  test('a guest that stands still is silent, and whoever waits is heard when it goes on', async () => {
    const vm = await running('1.15.1');
    await line(vm);
    const target = await vm.vmm.agentOf(vm.boot, vm.folder);
    expect(await vm.vmm.command(vm.boot, vm.folder, 'pause', never)).toEqual({ is: 'done' });
    expect(await connectGuest(target, { deadlineMs: 200 })).toMatchObject({ is: 'absent', why: 'silent' });
    const waiting = connectGuest(target, { deadlineMs: 20_000 });
    expect(await vm.vmm.command(vm.boot, vm.folder, 'resume', never)).toEqual({ is: 'done' });
    const connection = await waiting;
    if (connection.is !== 'open') throw new Error(connection.why);
    open.push(() => connection.channel.close());
    expect(ok(await connection.channel.run(['echo', 'on'])).stdout).toBe('on\n');
  });

  test('a port whose listener has just gone is a line that closes behind its OK', async () => {
    const vm = await running('1.16.1', bare, join(dirname(agent.path), 'gone'));
    await eventually(() => consoleOf(vm).includes('init: ready'));
    const answer = await connectGuest(await vm.vmm.agentOf(vm.boot, vm.folder));
    expect(answer).toMatchObject({ is: 'absent', why: 'hung-up', detail: expect.not.stringContaining('instead of OK') as string });
  });

  test.each(['1.9.1', '1.15.1'] as const)('%s: a pause without a snapshot keeps the line', async (version) => {
    const vm = await running(version);
    const channel = await line(vm);
    const exec = ok(await channel.exec(['cat'], { stdin: 'open' }));
    for (const command of ['pause', 'resume'] as const)
      expect(await vm.vmm.command(vm.boot, vm.folder, command, never)).toEqual({ is: 'done' });
    await exec.stdin.write(Buffer.from('still here'));
    await exec.stdin.end();
    expect(await exec.exit).toMatchObject({ is: 'exited', code: 0 });
    expect(ok(await (await line(vm)).run(['echo', 'new'])).stdout).toBe('new\n');
  });

  test('1.16.1: after a pause without a snapshot nobody answers any more, and it says silent (firecracker issue 6100)', async () => {
    const vm = await running('1.16.1');
    await line(vm);
    for (const command of ['pause', 'resume'] as const)
      expect(await vm.vmm.command(vm.boot, vm.folder, command, never)).toEqual({ is: 'done' });
    await eventually(
      () => vm.vmm.look(vm.boot, vm.folder),
      (sight) => sight.is === 'alive' && !sight.paused,
    );
    const target = await vm.vmm.agentOf(vm.boot, vm.folder);
    expect(await connectGuest(target, { deadlineMs: 300 })).toMatchObject({ is: 'absent', why: 'silent' });
  });

  test.each(['1.9.1', '1.14.4', '1.16.1'] as const)('%s: a snapshot ends every line, and a new one is found by itself', async (version) => {
    const vm = await running(version);
    const client = await api(vm, version);
    const lines = new AgentLines({
      changed: () => undefined,
      sleep: async (ms) => await wait(ms),
    });
    open.push(() => lines.closeAll());
    const ask = async (): Promise<GuestChannel | null> => {
      const found = await lines.wait(vm.boot, () => vm.vmm.agentOf(vm.boot, vm.folder), AbortSignal.timeout(20_000));
      return found.is === 'open' ? found.channel : null;
    };
    const before = await ask();
    const exec = ok(await before!.exec(['sleep', '1000']));
    expect(await client.setState('Paused')).toMatchObject({ is: 'ok' });
    expect(await client.call('PUT /snapshot/create', files)).toMatchObject({ is: 'ok' });
    expect(await exec.exit).toMatchObject({ is: 'lost' });
    expect(await before!.ended).toMatchObject({ is: 'lost' });
    expect(await client.setState('Resumed')).toMatchObject({ is: 'ok' });
    const after = await eventually(ask, (channel) => channel !== null && channel !== before);
    expect(ok(await after!.run(['echo', 'again'])).stdout).toBe('again\n');
  });

  test.each(['1.9.1', '1.16.1'] as const)('%s: a guest that goes on in another process is reached over its socket', async (version) => {
    const first = await running(version);
    const client = await api(first, version);
    const before = await line(first);
    expect(await client.setState('Paused')).toMatchObject({ is: 'ok' });
    expect(await client.call('PUT /snapshot/create', files)).toMatchObject({ is: 'ok' });
    client.close();
    expect(await first.vmm.end(first.boot, first.folder, never)).toEqual({ is: 'done' });
    expect(await before.ended).toMatchObject({ is: 'lost' });
    // without a configuration: the snapshot has it, and the name of the socket as well
    const again = await launched(first.bench, {
      plan: (plan) => ({ ...plan, argv: plan.argv.filter((word) => word !== '--config-file' && word !== firecrackerFile.config) }),
    });
    for (const name of ['state', 'memory']) execFileSync('cp', [join(first.folder, name), join(again.folder, name)]);
    rmSync(join(again.folder, firecrackerFile.vsock), { force: true });
    const loader = new FirecrackerClient({ place: { folder: again.folder, name: firecrackerFile.api }, version: known(version) });
    open.push(() => loader.close());
    await eventually(async () => (await loader.instance()).is === 'ok');
    const load = { snapshot_path: 'state', mem_backend: { backend_type: 'File', backend_path: 'memory' }, resume_vm: true };
    expect(await loader.call('PUT /snapshot/load', load)).toMatchObject({ is: 'ok' });
    expect(ok(await (await line(again)).run(['echo', 'here'])).stdout).toBe('here\n');
  });
});
