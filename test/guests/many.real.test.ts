/**
 * Twenty VMs at once on one network: each gets its own, none gets at another, and all go without a trace. Guests that lie
 * about their MAC or address fool neither the host nor a neighbour, and their own proof says what is wrong.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { exec } from '@linstock/host';
import type { VmView } from '@linstock/contract';
import { conditionOf, eventually, keepsEvidence, reasonToSkip, useInstallation } from './installation.ts';

const reason = await reasonToSkip('many VMs', 'arping');
const many = 20;
/** Under TCG each boot takes CPU-seconds, and no more boot at once than there are cores. */
const patience = { timeout: 600_000 };

describe.skipIf(reason !== undefined)('many VMs on one network', () => {
  const here = useInstallation({ subnet: '10.77.3.0/24' });
  keepsEvidence(() => here.it);
  const names = Array.from({ length: many }, (_, i) => `many-${i}`);

  beforeAll(async () => {
    await Promise.all(names.map((name) => here.it.api.vms.create({ name })));
  });
  async function all(): Promise<VmView[]> {
    const vms: VmView[] = [];
    for await (const vm of here.it.api.vms.list()) vms.push(vm);
    return vms;
  }
  /** Who answers ARP for an address on the bridge: MACs, each once. */
  async function whoHas(address: string): Promise<string[]> {
    const asked = await exec(['arping', '-I', `ls${here.it.mark}-br0`, '-c', '2', '-w', '3', address], { timeoutMs: 20_000 });
    return [...new Set(Array.from(asked.stdout.toLowerCase().matchAll(/([0-9a-f]{2}(?::[0-9a-f]{2}){5})/g), (m) => m[1] as string))];
  }
  const pings = async (from: VmView, to: string): Promise<boolean> =>
    (await here.it.exec(from.name, 'ping', '-c', '1', '-W', '2', to)).code === 0;

  test('guests that lie fool neither the host nor the neighbour, and their own proofs say what is wrong', patience, async () => {
    const { it } = here;
    // the first three that are there: a proof that cannot be had takes half a minute, and meanwhile the others boot
    const proved = await eventually(
      async () => (await all()).filter((vm) => vm.verified === 'proved'),
      (vms) => vms.length >= 3,
      200_000,
    );
    const [honest, thief, twin] = proved as [VmView, VmView, VmView];
    // one takes the address of its neighbour, and says so to everybody; another takes its MAC
    await it.exec(
      thief.name,
      'sh',
      '-c',
      `ip addr flush dev eth0; ip addr add ${honest.address}/24 dev eth0; arping -c 2 -U -I eth0 ${honest.address}; ping -c 1 -W 1 10.77.3.1`,
    );
    await it.exec(
      twin.name,
      'sh',
      '-c',
      `ip link set eth0 down; ip link set eth0 address ${honest.mac}; ip link set eth0 up; ip route add default via 10.77.3.1; ping -c 1 -W 1 10.77.3.1`,
    );
    expect(await whoHas(honest.address as string)).toEqual([honest.mac]);
    expect(await whoHas(thief.address as string)).toEqual([]);
    expect(await whoHas(twin.address as string)).toEqual([]);
    expect((await fetch(`http://${honest.address}:6080/`)).status).toBe(200);

    const [theirs, thiefs, twins] = await Promise.all([honest, thief, twin].map((vm) => it.reproved(vm.name)));
    expect(theirs?.verified).toBe('proved');
    for (const lie of [thiefs, twins]) {
      expect(lie?.verified).toBe('refuted');
      expect(conditionOf(lie, 'net.layer2').verdict).toBe('refuted');
    }
    expect(conditionOf(thiefs, 'net.address')).toMatchObject({
      verdict: 'refuted',
      observed: expect.stringContaining(`${honest.address}/24 on eth0`),
    });
    expect(conditionOf(twins, 'net.address')).toMatchObject({ verdict: 'refuted', observed: expect.stringContaining(`MAC ${honest.mac}`) });

    await it.exec(
      thief.name,
      'sh',
      '-c',
      `ip addr flush dev eth0; ip addr add ${thief.address}/24 dev eth0; ip route add default via 10.77.3.1`,
    );
    await it.exec(
      twin.name,
      'sh',
      '-c',
      `ip link set eth0 down; ip link set eth0 address ${twin.mac}; ip link set eth0 up; ip route add default via 10.77.3.1`,
    );
    for (const vm of [thief, twin]) expect((await it.reproved(vm.name)).verified).toBe('proved');
  });

  test('all twenty are verified, with an address, a MAC and a boot of their own', patience, async () => {
    const { it } = here;
    await Promise.all(names.map((name) => it.api.vms.wait(name, 'verified', { withinMs: 500_000 })));
    const vms = await all();
    expect(vms.map((vm) => vm.verified)).toEqual(names.map(() => 'proved'));
    for (const key of ['address', 'mac', 'boot'] as const) expect(new Set(vms.map((vm) => vm[key])).size).toBe(many);
    for (const vm of vms) expect(it.unitOf(vm.boot as string)).toMatchObject({ keeper: [expect.any(Number)], vmm: [expect.any(Number)] });
  });

  test('a guest reaches its gateway and no neighbour, and the host reaches both', async () => {
    const { it } = here;
    const [a, b] = (await all()) as [VmView, VmView];
    expect(await pings(a, '10.77.3.1')).toBe(true);
    expect(await pings(a, b.address as string)).toBe(false);
    // by way of the gateway, too: the route the kernel would not take by itself
    const around = await it.exec(
      a.name,
      'sh',
      '-c',
      `ip route add ${b.address} via 10.77.3.1 && ping -c 1 -W 2 ${b.address}; echo $?; ip route del ${b.address}`,
    );
    expect(around.out.trim().split('\n').at(-1)).toBe('1');
    expect((await it.exec(a.name, 'wget', '-T', '3', '-q', '-O', '-', `http://${b.address}:6080/`)).code).not.toBe(0);
    for (const vm of [a, b]) expect((await fetch(`http://${vm.address}:6080/`)).status).toBe(200);
  });

  test('twenty deletes at once: nothing is left of any', patience, async () => {
    const { it } = here;
    await Promise.all(names.map((name) => it.api.vms.delete(name, { until: 'deleted' })));
    expect((await it.api.networks.show('default')).leases).toEqual([]);
    expect(await all()).toEqual([]);
    await it.expectNoVmLeft();
  });
});
