/**
 * Guests that panic on purpose: the fault and what ends a wait name the cause, a case is opened by itself, and closed by the
 * boot that is proved. A line that only looks like a panic ends nothing.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import type { CaseView } from '@linstock/contract';
import { eventually, keepsEvidence, reasonToSkip, useInstallation } from './installation.ts';

const reason = await reasonToSkip('cases of real guests');

describe.skipIf(reason !== undefined)('cases of real guests', () => {
  const here = useInstallation({ subnet: '10.77.46.0/24' });
  keepsEvidence(() => here.it);
  beforeAll(async () => {
    await here.it.api.vms.create({ name: 'web' });
    await here.it.api.vms.create({ name: 'no-root', bootArgs: { add: ['rdinit=/nonexistent'] } });
  });

  const cases = async (vm: string): Promise<CaseView[]> => {
    const all: CaseView[] = [];
    for await (const one of here.it.api.cases.list({ vm, state: 'all' })) all.push(one);
    return all;
  };

  test('a panic before user space (the initrd lacks its program): the wait ends with the cause, and a case is open', async () => {
    const { it } = here;
    await expect(it.api.vms.wait('no-root', 'verified', { withinMs: 200_000 })).rejects.toMatchObject({
      fault: { code: 'goal-unreachable', data: { fault: 'guest-panicked', cause: 'boot.init-not-found' } },
    });
    const { vm, boot } = await it.failed('no-root');
    expect(vm.fault).toMatchObject({ code: 'guest-panicked', data: { consoleLine: expect.any(Number) } });
    expect(boot.fault).toEqual(vm.fault);
    const { cause, consoleLine } = boot.fault?.data ?? {};
    const line = (await it.consoleOf(boot.id)).split('\n')[Number(consoleLine) - 1];
    expect(line).toMatch(/root/);
    const [open] = await eventually(
      () => cases('no-root'),
      (all) => all.length > 0,
    );
    expect(open).toMatchObject({ code: cause, state: 'open', boots: 1, boot: boot.id });
    const { diagnosis } = await it.api.cases.show(String(open?.id));
    expect(diagnosis).toMatchObject({ outcome: 'failed' });
    expect(diagnosis.causes.filter((one) => one.confidence !== 'possible').map((one) => one.code)).toEqual([cause]);
    expect(await it.api.vms.diagnosis('no-root')).toMatchObject({ causes: [{ code: cause }] });
  });

  test('a panic of a VM that runs: failed with its cause, and the case is closed by the boot that is proved', async () => {
    const { it } = here;
    await it.api.vms.wait('web', 'verified', { withinMs: 200_000 });
    await it.exec('web', 'sh', '-c', 'echo c >/proc/sysrq-trigger').catch(() => null); // nobody is left to answer
    const { vm, boot } = await it.failed('web');
    expect(vm.fault).toMatchObject({ code: 'guest-panicked', data: { cause: 'boot.kernel-panic' } });
    expect(vm.says).toContain('any process of the guest can write that line');
    const [open] = await eventually(
      () => cases('web'),
      (all) => all.length > 0,
    );
    expect(open).toMatchObject({ code: 'boot.kernel-panic', state: 'open', guestWord: true });
    expect((await it.api.health()).cases).toMatchObject({ 'boot.kernel-panic': 1 });
    const again = await it.api.vms.start('web', { until: 'verified', withinMs: 200_000 });
    const [closed] = await eventually(
      () => cases('web'),
      ([one]) => one?.state === 'closed',
    );
    expect(closed).toMatchObject({ id: open?.id, boot: boot.id, closed: { why: 'verified', boot: again.vm.boot } });
  });

  test('a line that only looks like a panic ends nothing and opens no case', async () => {
    const { it } = here;
    await it.exec('web', 'sh', '-c', 'echo "[    9.000000] Kernel panic - not syncing: forged" >/dev/console');
    expect((await it.reproved('web')).verified).toBe('proved');
    expect(await it.api.vms.show('web')).toMatchObject({ state: 'running', fault: null });
    expect((await cases('web')).map((one) => one.state)).toEqual(['closed']);
  });

  test('deleting a VM closes its cases, and nothing is left', async () => {
    const { it } = here;
    await Promise.all(['web', 'no-root'].map((name) => it.api.vms.delete(name, { until: 'deleted' })));
    expect(await cases('no-root')).toMatchObject([{ closed: { why: 'deleted' } }]);
    expect((await it.api.health()).cases).toEqual({});
    await it.expectNoVmLeft();
  });
});
