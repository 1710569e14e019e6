/**
 * The controller is killed (SIGKILL) in each phase of a VM's way up and down. VMs do not notice; the next controller goes
 * on from what it finds; no boot ever runs twice.
 *
 * Phases that take a moment only are held: the tools `ip` and `qemu-img` of this controller wait for a file lock, so that it
 * is killed while its tool is at work (and the tool goes on without it); a keeper that joins a frozen cgroup stands still.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cgroup2Mount, exec } from '@linstock/host';
import { eventually, Installation, keepsEvidence, reasonToSkip } from './installation.ts';

const reason = await reasonToSkip('a controller that dies', 'flock', 'setpriv');

describe.skipIf(reason !== undefined)('a controller that dies', () => {
  let it: Installation;
  let bin: string;
  keepsEvidence(() => it);

  beforeAll(async () => {
    bin = await mkdtemp(join(tmpdir(), 'linstock-guests-bin-'));
    // what changes a slot is held; a controller that starts looks at its links and at its bridge, and gets by
    const waits = { ip: 'case "$*" in "-batch -" | *-json*) ;; *-batch*)', 'qemu-img': 'case x in x)' };
    for (const tool of ['ip', 'qemu-img'] as const) {
      const real = (await exec(['which', tool], { timeoutMs: 10_000 })).stdout.trim();
      await writeFile(
        join(bin, tool),
        `#!/bin/sh\n${waits[tool]} exec flock --shared ${bin}/${tool}.lock ${real} "$@" ;; esac\nexec ${real} "$@"\n`,
      );
      await writeFile(join(bin, `${tool}.lock`), '');
      await chmod(join(bin, tool), 0o755);
    }
    it = await Installation.make({ subnet: '10.77.1.0/24', environment: { PATH: `${bin}:${process.env['PATH'] ?? ''}` } });
    await it.start();
  });
  const holders = new Set<ChildProcess>();
  afterAll(async () => {
    for (const holder of holders) holder.kill();
    freeze(false);
    await it.purge();
    await rm(bin, { recursive: true });
  });

  /** From now on this tool waits, until the returned function is called. */
  async function hold(tool: 'ip' | 'qemu-img'): Promise<() => Promise<void>> {
    const holder = spawn('flock', [`${bin}/${tool}.lock`, 'sh', '-c', 'echo held; read _'], { stdio: ['pipe', 'pipe', 'inherit'] });
    holders.add(holder);
    await once(holder.stdout, 'data');
    return async () => {
      holder.stdin.end();
      await once(holder, 'exit');
      holders.delete(holder);
    };
  }
  const freeze = (frozen: boolean): void =>
    writeFileSync(join(cgroup2Mount() ?? '', `linstock-${it.mark}`, 'cgroup.freeze'), frozen ? '1' : '0');

  const deaths: string[] = [];
  /** Kills the controller as soon as the VM is in that phase; the phase in which it was found dead. */
  async function dieIn(vm: string, phase: string, ...orLater: string[]): Promise<string> {
    await it.inPhase(vm, phase, ...orLater);
    await it.kill();
    const found = it.phaseOf(vm) ?? 'none';
    deaths.push(found === phase ? phase : `${phase} (it was ${found} already)`);
    return found;
  }
  const bootFolders = async (): Promise<string[]> => (existsSync(it.paths.boots) ? readdir(it.paths.boots) : []);
  const kernelStarts = (console: string): number => console.split('] Linux version ').length - 1;
  let vm: string;
  let boot: string;

  test('on the way up, in each phase: one boot, one VMM, verified', async () => {
    const disk = await hold('qemu-img');
    vm = (await it.api.vms.create({ name: 'phoenix' })).vm.id;
    expect(await dieIn(vm, 'rooting')).toBe('rooting');
    await disk(); // what the dead controller began goes on without it
    const network = await hold('ip');
    await it.start();
    expect(await dieIn(vm, 'wiring')).toBe('wiring');
    freeze(true);
    await network();
    await it.start();
    await it.inPhase(vm, 'launching');
    boot = (await eventually(bootFolders, (all) => all.length > 0))[0] as string;
    await eventually(() => it.unitOf(boot).keeper.length > 0);
    expect(await dieIn(vm, 'launching')).toBe('launching');
    freeze(false); // the keeper that nobody waits for any more goes on
    await eventually(() => it.unitOf(boot).vmm.length > 0);
    await it.start();
    expect(await dieIn(vm, 'booting')).toBe('booting');
    await it.start();
    await dieIn(vm, 'proving', 'up');
    await it.start();

    const { reached, vm: view } = await it.api.vms.wait(vm, 'verified', { withinMs: 100_000 });
    expect({ reached, fault: view.fault, boot: view.boot }).toEqual({ reached: true, fault: null, boot });
    expect(await bootFolders()).toEqual([boot]);
    expect(it.unitOf(boot)).toMatchObject({ keeper: [Number(await it.ranOf(boot))], vmm: [expect.any(Number)] });
    expect(kernelStarts(await it.consoleOf(boot))).toBe(1);
    expect((await it.api.boots.list({ vm })).map((b) => b.id)).toEqual([boot]);
  });

  test('while it is up: the guest answers without a controller, and the next one finds it as it was', async () => {
    const before = { ...it.unitOf(boot), ran: await it.ranOf(boot) };
    const { reach } = await it.api.vms.show(vm);
    await it.kill();
    expect(it.phaseOf(vm)).toBe('up');
    const page = await fetch(`http://${reach[0]?.host}:${reach[0]?.hostPort}/`);
    expect(page.status).toBe(200);
    await it.start();
    const view = await it.api.vms.show(vm);
    expect(view).toMatchObject({ state: 'running', verified: 'proved', boot, fault: null });
    expect((await it.exec(vm, 'cat', '/proc/sys/kernel/random/boot_id')).code).toBe(0);
    expect((await it.reproved(vm)).verified).toBe('proved');
    expect({ ...it.unitOf(boot), ran: await it.ranOf(boot) }).toEqual(before);
  });

  test('told to end, it leaves in order and the VM stays', async () => {
    const before = it.unitOf(boot);
    expect(await it.stop()).toBe(0);
    expect(existsSync(it.paths.serving)).toBe(false);
    expect(it.unitOf(boot)).toEqual(before);
    await it.start();
    expect(await it.api.vms.show(vm)).toMatchObject({ state: 'running', verified: 'proved', boot });
  });

  test('what a guest prints does not end it, neither now nor when a new controller reads it before it knows the guest', async () => {
    await it.exec(vm, 'sh', '-c', 'echo "[    9.999999] Kernel panic - not syncing: not at all" >/dev/console');
    await it.kill();
    await it.start();
    expect((await it.exec(vm, 'true')).code).toBe(0);
    expect(await it.api.vms.show(vm)).toMatchObject({ state: 'running', boot, fault: null });
  });

  test('on the way down, in each phase: stopped as wished, nothing of the boot left', async () => {
    await it.api.vms.stop(vm);
    expect(await dieIn(vm, 'asking')).toBe('asking');
    const network = await hold('ip');
    await it.start();
    await dieIn(vm, 'killing', 'unwiring');
    await it.start();
    expect(await dieIn(vm, 'unwiring')).toBe('unwiring');
    await network();
    await it.start();
    const { vm: view } = await it.api.vms.wait(vm, 'stopped');
    expect(view).toMatchObject({ state: 'stopped', fault: null, boot });
    expect(it.unitOf(boot)).toEqual({ keeper: [], vmm: [] });
    expect((await it.api.boots.show(boot)).end).toMatchObject({ reason: 'wished-stopped' });
    expect(await it.consoleOf(boot)).toContain('reboot: Power down'); // asked, and in order
  });

  test('the VMM dies while no controller runs: the next one tells, also after a death in the autopsy', async () => {
    await it.api.vms.start(vm, { until: 'running', withinMs: 100_000 });
    const second = (await it.api.vms.show(vm)).boot as string;
    expect(second).not.toBe(boot);
    await it.kill();
    process.kill(it.vmmOf(second), 'SIGKILL');
    await eventually(() => it.unitOf(second).keeper.length === 0);
    await it.start();
    await dieIn(vm, 'autopsy', 'killing', 'unwiring', 'idle');
    await it.start();
    const { vm: view, boot: record } = await it.failed(vm);
    expect(view.fault?.code).toMatch(/^vmm-(ended|exited-early)$/);
    expect(view.says).toContain('SIGKILL');
    expect(record).toMatchObject({ id: second, end: { reason: view.fault?.code } });
  });

  test('while deleting: deleted, and nothing left', async () => {
    await it.api.vms.delete(vm);
    await dieIn(vm, 'unrooting', 'gone');
    await it.start();
    expect((await it.api.vms.wait(vm, 'deleted')).reached).toBe(true);
    await it.expectNoVmLeft();
    expect(await readdir(it.paths.boots)).toHaveLength(2); // the evidence stays
    console.log(`the controller was killed in: ${deaths.join(', ')}`);
  });
});
