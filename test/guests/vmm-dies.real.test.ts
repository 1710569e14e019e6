/**
 * A VMM or its keeper is killed in each phase, and guests end by themselves: each end gets its name, its evidence stays, and
 * the VM can be started again or deleted. All VMs of this file live at once; the controller's gate says how many boot.
 */
import { describe, expect, test } from 'vitest';
import type { VmView } from '@linstock/contract';
import { eventually, keepsEvidence, reasonToSkip, useInstallation } from './installation.ts';

const reason = await reasonToSkip('a VMM that dies');

describe.skipIf(reason !== undefined)('a VMM that dies', () => {
  const here = useInstallation({ subnet: '10.77.2.0/24' });
  keepsEvidence(() => here.it);

  const kill = (pid: number): boolean => process.kill(pid, 'SIGKILL');
  async function created(name: string, ...add: string[]): Promise<VmView> {
    return (await here.it.api.vms.create({ name, bootArgs: { add } })).vm;
  }
  /** The boot of a VM that is on its way. */
  const bootOf = async (vm: string): Promise<string> => (await here.it.api.vms.show(vm)).boot as string;

  describe.concurrent('each end has its name', { timeout: 300_000 }, () => {
    test('in booting: vmm-exited-early; start works again', async ({ expect: must }) => {
      const { it } = here;
      const { id } = await created('booting');
      await it.inPhase(id, 'booting');
      const boot = await bootOf(id);
      kill(await eventually(() => it.unitOf(boot).vmm[0] ?? 0));
      const { vm, boot: record } = await it.failed(id);
      must(vm).toMatchObject({ fault: { code: 'vmm-exited-early' }, allowed: ['start', 'delete'] });
      must(vm.says).toContain('SIGKILL');
      must(record).toMatchObject({ id: boot, fault: { code: 'vmm-exited-early' }, end: { reason: 'vmm-exited-early', actor: 'guest' } });
      const again = await it.api.vms.start(id, { until: 'verified', withinMs: 200_000 });
      must(again.vm).toMatchObject({ state: 'running', verified: 'proved', fault: null });
      must(again.vm.boot).not.toBe(boot);
      must((await it.api.boots.list({ vm: id })).length).toBe(2);
    });

    test('in proving: vmm-ended, with the proof as far as it came', async ({ expect: must }) => {
      const { it } = here;
      const { id } = await created('proving', 'linstock.test.httpd=none'); // it stays in proving until its time is up
      await it.inPhase(id, 'proving');
      const boot = await bootOf(id);
      kill(it.vmmOf(boot));
      const { vm, boot: record } = await it.failed(id);
      must(vm.fault?.code).toBe('vmm-ended');
      must(vm.says).toContain('SIGKILL');
      must(record.consoleBytes).toBeGreaterThan(1_000);
      must(record.proof?.conditions.find((c) => c.id === 'kernel.started')).toMatchObject({ verdict: 'proved' });
      must(record.proof?.conditions.find((c) => c.id === 'vmm.started')?.verdict).not.toBe('unknown');
      must(record.end).toMatchObject({ reason: 'vmm-ended', actor: 'guest' });
    });

    test('up, then paused: vmm-ended both times; the console is kept', async ({ expect: must }) => {
      const { it } = here;
      const { vm: first, boot } = await it.verified({ name: 'up' });
      kill(it.vmmOf(boot));
      const { vm, boot: record } = await it.failed(first.id);
      must(vm.fault?.code).toBe('vmm-ended');
      must(vm.says).toContain('SIGKILL');
      must(record.end).toMatchObject({ reason: 'vmm-ended' });
      must(await it.consoleOf(boot)).toContain('linstock-init: ready');

      const { vm: again } = await it.api.vms.start(first.id, { until: 'running', withinMs: 200_000 });
      await it.api.vms.wait(first.id, 'verified');
      await it.api.vms.pause(first.id, { until: 'paused' });
      kill(it.vmmOf(again.boot as string));
      const ended = await it.failed(first.id);
      must(ended.vm.fault?.code).toBe('vmm-ended');
      must(ended.vm.says).toContain('SIGKILL');
    });

    test('asked to power off: that it ends is what was wished', async ({ expect: must }) => {
      const { it } = here;
      const { vm, boot } = await it.verified({ name: 'asking' });
      const vmm = it.vmmOf(boot);
      await it.api.vms.stop(vm.id);
      await it.inPhase(vm.id, 'asking', 'killing', 'unwiring', 'idle');
      try {
        kill(vmm);
      } catch (error) {
        must(error).toMatchObject({ code: 'ESRCH' }); // the guest was quicker
      }
      const { vm: view } = await it.api.vms.wait(vm.id, 'stopped');
      must(view).toMatchObject({ state: 'stopped', fault: null });
      must((await it.api.boots.show(boot)).end).toMatchObject({ reason: 'wished-stopped', actor: 'local' });
    });

    test('without its keeper a VM goes on; how it ends then nobody saw, and the fault says so', async ({ expect: must }) => {
      const { it } = here;
      const { vm, boot } = await it.verified({ name: 'orphan' });
      const { keeper } = it.unitOf(boot);
      must(keeper).toHaveLength(1);
      kill(keeper[0] as number);
      await eventually(() => it.unitOf(boot).keeper.length === 0);
      must((await it.reproved(vm.id)).verified).toBe('proved');
      kill(it.vmmOf(boot)); // there is nobody to leave a note; that the line to the agent broke is how it is noticed
      const end = await it.failed(vm.id);
      must(end.vm.fault?.code).toBe('vmm-ended');
      must(end.vm.says).toContain('its keeper was killed as well');
    });

    test('the guest panics: the line of its console is in the fault', async ({ expect: must }) => {
      const { it } = here;
      const { id } = await created('panics', 'linstock.test.panic=1');
      const { vm, boot } = await it.failed(id);
      must(vm.fault).toMatchObject({ code: 'guest-panicked', data: { line: must.stringContaining('sysrq triggered crash') } });
      must(boot.end).toMatchObject({ reason: 'guest-panicked', actor: 'guest' });
      must(await it.consoleOf(boot.id)).toContain('Kernel panic - not syncing');
    });

    test('PID 1 ends: a panic, and whose it was', async ({ expect: must }) => {
      const { it } = here;
      const { id } = await created('exits', 'linstock.test.exit=3');
      const { vm } = await it.failed(id);
      must(vm.fault?.code).toBe('guest-panicked');
      must(vm.says).toContain('Attempted to kill init! exitcode=0x00000300');
    });

    test('the guest reboots or powers off by itself: the VM has ended, and its last word tells why', async ({ expect: must }) => {
      const { it } = here;
      const [reboots, off] = await Promise.all([
        it.verified({ name: 'reboots', bootArgs: { add: ['linstock.test.reboot=4'] } }),
        it.verified({ name: 'off' }),
      ]);
      await it.exec(off.vm.id, 'sh', '-c', 'poweroff -f & exit 0').catch(() => null); // it may be gone before it answers
      const ends = [await it.failed(reboots.vm.id), await it.failed(off.vm.id)];
      must(ends.map((end) => end.vm.fault?.code)).toEqual(['vmm-ended', 'vmm-ended']);
      must(ends[0]?.vm.says).toMatch(/exit code 0.*reboot: Restarting system/s);
      must(ends[1]?.vm.says).toMatch(/exit code 0.*(Power down|System halted)/s);
    });
  });

  test('deleted, in whatever state they are, they leave nothing but their records', async () => {
    const { it } = here;
    const all: VmView[] = [];
    for await (const vm of it.api.vms.list()) all.push(vm);
    expect(all).toHaveLength(9);
    await Promise.all(all.map((vm) => it.api.vms.delete(vm.id, { until: 'deleted' })));
    await it.expectNoVmLeft();
    const boots = await it.api.boots.list();
    expect(boots.length).toBeGreaterThan(all.length);
    for (const boot of boots) expect(boot).toMatchObject({ end: { reason: expect.any(String), actor: expect.any(String) } });
  });
});
