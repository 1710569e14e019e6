/** The same controller as an ordinary user, who may open neither /dev/kvm nor /dev/net/tun: QEMU's own network and the environment mark. */
import { describe, expect, test } from 'vitest';
import { conditionOf, keepsEvidence, reasonToSkip, useInstallation } from './installation.ts';

const reason = await reasonToSkip('without root', 'setpriv');
const user = 61_234; // nobody's

describe.skipIf(reason !== undefined)('a controller without root', () => {
  const here = useInstallation({ subnet: '10.77.5.0/24', user });
  keepsEvidence(() => here.it);

  test('boots and proves a VM, and says what this network cannot show', async () => {
    const { it } = here;
    expect((await it.api.hosts.list())[0]?.facts).toMatchObject({ root: false, cgroup: 'none', accelerator: 'tcg' });
    const { vm, boot } = await it.verified({ name: 'plain' });
    expect(vm).toMatchObject({
      state: 'running',
      verified: 'proved',
      reach: [{ port: 6080, host: '127.0.0.1', hostPort: expect.any(Number) }],
    });
    const { proof } = await it.api.vms.proof(vm.id);
    for (const id of ['net.layer2', 'net.path']) expect(conditionOf(proof, id)).toMatchObject({ verdict: 'unknown', asked: false });
    for (const id of ['net.address', 'port.6080', 'agent.ready'])
      expect(conditionOf(proof, id)).toMatchObject({ verdict: 'proved', asked: true });
    const { vmm, keeper } = it.unitOf(boot);
    expect([vmm.length, keeper.length]).toEqual([1, 1]);

    const page = await fetch(`http://127.0.0.1:${vm.reach[0]?.hostPort}/`);
    expect(page.status).toBe(200);
    expect(await it.exec(vm.id, 'id', '-u')).toEqual({ code: 0, out: '0\n' }); // root in the guest, nobody on the host

    await it.kill();
    await it.start();
    expect(await it.api.vms.show(vm.id)).toMatchObject({ state: 'running', verified: 'proved', boot });
    expect(it.unitOf(boot)).toEqual({ vmm, keeper });
    await it.api.vms.delete(vm.id, { until: 'deleted' });
    await it.expectNoVmLeft();
  });

  test('purge ends a VM that runs, and leaves nothing', async () => {
    const { it } = here;
    const { vm } = await it.api.vms.create({ name: 'running' });
    await it.inPhase(vm.id, 'booting', 'proving', 'up');
    // the hook behind this file purges, and looks
  });
});
