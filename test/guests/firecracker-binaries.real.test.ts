/**
 * Real Firecrackers under a real controller, where LINSTOCK_FIRECRACKER names binaries. What their probe boots show decides what is asked of
 * them: guests that are proved where KVM runs guests; where it does not, the refusal, and, forced, a process in its jail that opens its TAP,
 * is started and ends with the cause named.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { VmmFacts } from '@linstock/contract';
import { eventually, faultOf, keepsEvidence, reasonToSkip, useInstallation } from './installation.ts';

const named = process.env['LINSTOCK_FIRECRACKER'] ?? '';
const reason =
  (await reasonToSkip('real Firecrackers under a controller')) ?? (named === '' ? 'LINSTOCK_FIRECRACKER names no binaries' : undefined);
const because = reason === undefined ? '' : ` (skipped: ${reason})`;

describe.skipIf(reason !== undefined)(`real Firecrackers under a controller${because}`, () => {
  const here = useInstallation({ subnet: '10.77.20.0/24', environment: { LINSTOCK_FIRECRACKER: named } });
  keepsEvidence(() => here.it);
  let vmms: readonly VmmFacts[] = [];
  beforeAll(async () => {
    const facts = (await here.it.api.hosts.list())[0]?.facts;
    vmms = facts?.vmms.filter(({ name }) => name === 'firecracker') ?? [];
  });

  test('each is found once, with its version and what was seen of it', () => {
    expect(vmms.map(({ path }) => path).toSorted()).toEqual(named.split(':').toSorted());
    for (const { why, version, usable } of vmms) {
      expect(version).toMatch(/^1\.\d+\.\d+$/);
      expect(why).toMatch(usable ? /reached 64-bit code/ : /KVM cannot run a guest on this host: a guest of 90 instructions got as far as/);
    }
  });

  test('a VM boots and is proved where KVM runs guests, and is refused with what was seen where it does not', async () => {
    for (const { version, usable, why } of vmms) {
      const vmm = `firecracker@${version}`;
      if (usable) {
        const { vm } = await here.it.verified({ vmm });
        await here.it.api.vms.delete(vm.id, { until: 'deleted', withinMs: 60_000 });
      } else {
        expect(await faultOf(here.it.api.vms.create({ vmm }))).toEqual({
          code: 'vmm-unable',
          says: `Firecracker ${version} cannot run this VM: ${why}`,
        });
      }
    }
    await here.it.expectNoVmLeft();
  });
});

describe.skipIf(reason !== undefined)(`real Firecrackers against their probe boots${because}`, () => {
  const here = useInstallation({ subnet: '10.77.21.0/24', environment: { LINSTOCK_FIRECRACKER: named, LINSTOCK_ACCELERATOR: 'kvm' } });
  keepsEvidence(() => here.it);

  test('each is started in its jail with all its devices, and goes without a trace', async () => {
    const { it } = here;
    const versions = ((await it.api.hosts.list())[0]?.facts.vmms ?? []).flatMap(({ name, version }) =>
      name === 'firecracker' ? [version] : [],
    );
    const firecracker = {
      disk: { bytes: { size: 104_857_600, refillMs: 100 } },
      transmit: { operations: { size: 1_000, refillMs: 100, burst: 100 } },
      balloon: { amountMiB: 8 },
      mmds: { data: { 'instance-id': 'i-1' } },
    };
    for (const version of versions) {
      const { vm } = await it.api.vms.create({ vmm: `firecracker@${version}`, firecracker });
      const boot = await eventually(async () => (await it.api.vms.show(vm.id)).boot);
      const log = join(it.paths.boot(boot as string), 'firecracker.log');
      const started = (): boolean => /Successfully started microvm/.test(safeRead(log));
      const ended = async (): Promise<boolean> => (await it.api.vms.show(vm.id)).state === 'failed';
      await eventually(async () => started() || (await ended()), Boolean, 60_000);
      expect({ version, started: started(), says: (await it.api.vms.show(vm.id)).says }).toMatchObject({ version, started: true });
      await it.api.vms.delete(vm.id, { until: 'deleted', withinMs: 60_000 });
      await it.expectNoVmLeft();
    }
    expect(versions.length).toBeGreaterThan(0);
  });
});

function safeRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // not made yet
  }
}
