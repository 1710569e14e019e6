/**
 * Firecracker from the API down: the controller, its network and its jails are real, the VMM is the simulator, and the agent that its guest
 * serves is the real one, run on this host. What a guest's kernel would have to prove is refuted or unknown, and said to be.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jailerAt, simulatorAt } from '@linstock/testkit/firecracker-sim';
import { clone, conditionOf, eventually, faultOf, Installation, keepsEvidence, reasonToSkip } from './installation.ts';

const go = spawnSync('go', ['version']).status === 0 ? undefined : 'no go to build the agent with';
const reason = (await reasonToSkip('Firecracker from the API down')) ?? go;
const versions = ['1.16.1', '1.9.1'] as const;

describe.skipIf(reason !== undefined)('Firecracker from the API down', () => {
  let tools: string;
  let agent: ChildProcess;
  let it: Installation;
  keepsEvidence(() => it);

  beforeAll(async () => {
    tools = await mkdtemp(join(tmpdir(), 'linstock-fcbin-'));
    await chmod(tools, 0o755);
    const program = join(tools, 'agent');
    const env = { ...process.env, CGO_ENABLED: '0', GOPROXY: 'off', GOFLAGS: '' };
    execFileSync('go', ['build', '-trimpath', '-buildvcs=false', '-o', program, '.'], { cwd: join(clone, 'guest/agent'), env });
    const socket = join(tools, 'agent.sock');
    agent = spawn(program, ['-listen', `unix:${socket}`], { stdio: ['ignore', 'ignore', 'pipe'] });
    if (agent.stderr) await once(agent.stderr, 'data'); // "ready on …"
    await chmod(socket, 0o777); // a jailed simulator is another user
    const paths: string[] = [];
    for (const version of versions) {
      const folder = join(tools, version);
      await mkdir(folder, { mode: 0o755 });
      paths.push(simulatorAt(folder, version, { vsock: { 1024: socket } }));
      jailerAt(folder, version);
    }
    it = await Installation.make({
      subnet: '10.77.19.0/24',
      environment: { LINSTOCK_FIRECRACKER: paths.join(':'), LINSTOCK_ACCELERATOR: 'kvm' },
    });
    // the simulated jailer changes its user and not its root
    await chmod(it.folder, 0o711);
    await chmod(it.stateFolder, 0o711);
    await it.start();
  }, 180_000);
  afterAll(async () => {
    await it?.purge();
    agent?.kill();
    await rm(tools, { recursive: true, force: true });
  });

  test('the host shows each binary with its jailer and what its version can do, and takes the newest', async () => {
    const facts = (await it.api.hosts.list())[0]?.facts;
    expect(facts?.usualVmm).toBe('firecracker');
    const [newest, oldest] = facts?.vmms ?? [];
    expect(newest).toMatchObject({ name: 'firecracker', version: '1.16.1', usable: true, jailer: join(tools, '1.16.1/jailer') });
    expect(newest?.abilities).toContain('pci');
    expect(oldest).toMatchObject({ version: '1.9.1' });
    expect(oldest?.abilities).not.toContain('pci');
  });

  test.each([
    ['firecracker', '1.16.1'],
    ['firecracker@1.9.1', '1.9.1'],
  ])('%s boots in its jail, and its agent answers by vsock', async (vmm, version) => {
    const firecracker = {
      disk: { bytes: { size: 1_048_576, refillMs: 100 } },
      balloon: { amountMiB: 8 },
      mmds: { data: { 'instance-id': 'i-1' } },
    };
    const { vm } = await it.api.vms.create({ vmm, firecracker }, { until: 'running', withinMs: 60_000 });
    expect(vm).toMatchObject({ vmm: 'firecracker', vmmVersion: vmm.includes('@') ? version : null });
    expect((await it.exec(vm.id, 'echo', 'by vsock')).out).toBe('by vsock\n');
    const proof = await it.reproved(vm.id);
    expect(conditionOf(proof, 'vmm.started')).toMatchObject({ verdict: 'proved', observed: expect.stringContaining(version) as string });
    expect(conditionOf(proof, 'agent.ready').verdict).toBe('proved');
    // the simulated guest has no network, and nothing rounds that up
    expect(conditionOf(proof, 'net.layer2').verdict).toBe('refuted');

    const boot = await it.api.boots.show(vm.boot as string);
    expect(boot).toMatchObject({ vmm: 'firecracker', vmmVersion: version, accelerator: 'kvm' });
    expect(boot.addedArgs).toContain('i8042.noaux');
    expect(boot.effectiveArgs?.split(' ').toSorted()).toEqual([...boot.requestedArgs, ...boot.addedArgs].toSorted());
    const jail = join(it.paths.jails, 'firecracker', boot.id.replace('_', '-'), 'root');
    expect(existsSync(join(jail, 'disk'))).toBe(true);
    const config = JSON.parse(readFileSync(join(jail, 'config.json'), 'utf8')) as Record<string, unknown>;
    expect(config).toMatchObject({
      drives: [{ rate_limiter: { bandwidth: { size: 1_048_576, refill_time: 100 } } }],
      balloon: { amount_mib: 8, deflate_on_oom: true },
      'mmds-config': { version: 'V2' },
    });
    expect(JSON.parse(readFileSync(join(jail, 'metadata.json'), 'utf8'))).toEqual({ 'instance-id': 'i-1' });

    await it.api.vms.delete(vm.id, { until: 'deleted', withinMs: 60_000 });
    expect(existsSync(jail)).toBe(false);
    await it.expectNoVmLeft();
  });

  test('what no Firecracker of this host can do is refused at once, and nothing is made', async () => {
    const refused = await faultOf(it.api.vms.create({ vmm: 'firecracker@1.12.0' }));
    expect(refused).toMatchObject({
      code: 'vmm-unable',
      says: expect.stringMatching(/no such VMM, it has: Firecracker 1\.16\.1, .*1\.9\.1/) as string,
    });
    const settings = await faultOf(it.api.vms.create({ vmm: 'qemu', firecracker: {} }));
    expect(settings).toMatchObject({ code: 'request-invalid', says: expect.stringContaining('`firecracker`') as string });
    expect(await faultOf(it.api.vms.create({ vmm: 'bhyve' }))).toMatchObject({ code: 'request-invalid' });
    const there: string[] = [];
    for await (const { name } of it.api.vms.list()) there.push(name);
    expect(there).toEqual([]);
  });

  test('1.16.1 is not paused, because its guest would never be heard of again; 1.9.1 is', async () => {
    const { vm: newer } = await it.api.vms.create({ vmm: 'firecracker@1.16.1' }, { until: 'running', withinMs: 60_000 });
    expect(await faultOf(it.api.vms.pause(newer.id))).toMatchObject({
      code: 'vmm-unable',
      says: expect.stringContaining('6100') as string,
    });
    await it.api.vms.delete(newer.id, { until: 'deleted', withinMs: 60_000 });
    const { vm: older } = await it.api.vms.create({ vmm: 'firecracker@1.9.1' }, { until: 'running', withinMs: 60_000 });
    await it.api.vms.pause(older.id, { until: 'paused', withinMs: 60_000 });
    await it.api.vms.resume(older.id, { until: 'running', withinMs: 60_000 });
    expect((await it.exec(older.id, 'echo', 'again')).out).toBe('again\n');
    await it.api.vms.delete(older.id, { until: 'deleted', withinMs: 60_000 });
  });

  test('a boot outlives its binary and its controller', async () => {
    const { vm } = await it.api.vms.create({ vmm: 'firecracker@1.9.1' }, { until: 'running', withinMs: 60_000 });
    await it.kill();
    await rm(join(tools, '1.9.1/firecracker'));
    await it.start();
    const still = await eventually(
      () => it.api.vms.show(vm.id),
      ({ state }) => state !== 'starting',
    );
    expect(still).toMatchObject({ state: 'running', boot: vm.boot });
    expect((await it.exec(vm.id, 'echo', 'still here')).out).toBe('still here\n');
    expect(readFileSync(join(it.paths.boot(vm.boot as string), 'firecracker.log'), 'utf8')).toContain('Running Firecracker v1.9.1');
    await it.api.vms.stop(vm.id, { until: 'stopped', withinMs: 60_000 });
    expect(await faultOf(it.api.vms.start(vm.id))).toMatchObject({
      code: 'vmm-unable',
      says: expect.stringContaining('Firecracker 1.9.1') as string,
    });
    await it.api.vms.delete(vm.id, { until: 'deleted', withinMs: 60_000 });
    await it.expectNoVmLeft();
  });
});
