import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Diagnosis, VmId } from '@linstock/contract';
import type { Lease } from '@linstock/core';
import { openStore } from '@linstock/store';
import { aProof } from '@linstock/testkit';
import { bootUp, proven, StoreStage, takeBoot, wayDown } from '@linstock/testkit/store-stage';
import { CaseKeeper, type CaseKeeperParts } from './case-keeper.ts';

const none = { phaseReached: null, benign: [], ruledOut: [], missing: [] };
const found: Diagnosis = {
  ...none,
  outcome: 'failed',
  causes: [
    {
      code: 'boot.a',
      title: 'It is a',
      layer: 'boot',
      confidence: 'likely',
      because: [{ source: 'console', line: 3, text: 'x' }],
      fix: { text: 'Do b.', command: [] },
      disproof: 'c',
    },
  ],
};
const refuted = { ...proven, proof: aProof('refuted') };
const failed = [{ phase: 'autopsy', fault: { code: 'vmm-ended', data: { hint: 'x' } } }, ...wayDown] as const;
const over = { phase: 'idle', boot: { release: 'x' } } as const;

let stage: StoreStage;
beforeEach(async () => {
  stage = await StoreStage.make(async () => ({
    open: (options) => openStore({ url: 'sqlite::memory:', ...options }),
    drop: async () => {},
  }));
});
afterEach(() => stage.drop());

const stumbles: unknown[] = [];
function keeper(more: Partial<CaseKeeperParts> = {}): CaseKeeper {
  stumbles.length = 0;
  return new CaseKeeper({
    store: stage.store,
    ids: stage.ids,
    now: stage.clock.now,
    sleep: (_ms, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    diagnose: async () => found,
    stumbled: (_boot, error) => void stumbles.push(error),
    failed: (error) => {
      throw error;
    },
    ...more,
  });
}
const signal = new AbortController().signal;
const cases = (vm?: VmId) => stage.store.read((tx) => tx.cases(vm === undefined ? {} : { vm }));
const due = async (): Promise<number> => (await stage.store.read((tx) => tx.bootNews(10))).length;
const sick = async (): Promise<Lease> => stage.steps(await stage.rentOne((await stage.add()).id), ...bootUp, refuted);

describe('a case', () => {
  it('is opened when a proof is refuted, seen again by the next boot that fails, and closed by one that is proved', async () => {
    const one = keeper();
    let lease = await sick();
    await one.pass(signal);
    expect(await cases()).toMatchObject([{ code: 'boot.a', state: 'open', boots: 1, boot: lease.vm.claim?.id }]);
    await one.pass(signal);
    expect(await due()).toBe(0);
    lease = await stage.steps(lease, ...wayDown, over, takeBoot, ...failed, over);
    await one.pass(signal);
    expect(await cases()).toMatchObject([{ state: 'open', boots: 2 }]);
    lease = await stage.steps(lease, takeBoot, { phase: 'launching' }, { phase: 'booting' }, { phase: 'proving' }, proven);
    await one.pass(signal);
    expect(await cases()).toMatchObject([{ state: 'closed', closed: { why: 'verified', boot: lease.vm.claim?.id } }]);
    expect((await stage.typesOf()).filter((type) => type.startsWith('case.'))).toEqual(['case.opened', 'case.closed']);
  });

  it('is neither opened nor closed by what is unknown', async () => {
    let lease = await sick();
    await keeper().pass(signal);
    const unknown = keeper({ diagnose: async () => ({ ...found, outcome: 'unknown' }) });
    lease = await stage.steps(lease, ...wayDown, over, takeBoot, ...failed, over);
    await unknown.pass(signal);
    await stage.steps(lease, takeBoot, { ...proven, proof: aProof('unknown') });
    await unknown.pass(signal);
    expect(await cases()).toMatchObject([{ state: 'open', boots: 1 }]);
    expect(await due()).toBe(0);
  });

  it('does not come back when the VM was cured or deleted while its older boot was looked at', async () => {
    let lease = await sick();
    const { id } = lease.vm;
    const cured = keeper({
      diagnose: async () => {
        lease = await stage.steps(lease, { phase: 'proving' }, proven);
        return found;
      },
    });
    await cured.pass(signal);
    expect(await cases()).toEqual([]);
    await stage.steps(lease, refuted);
    const deleted = keeper({
      diagnose: async () => {
        await stage.wish(id, 'absent', 'vm.delete');
        return found;
      },
    });
    await deleted.pass(signal);
    expect([await cases(), await due()]).toEqual([[], 0]);
  });

  it('is not made of a boot that was taken down while it was looked at; that boot is looked at again', async () => {
    const lease = await sick();
    const looks: (string | null)[] = [];
    const one = keeper({
      diagnose: async (vm) => {
        looks.push(vm.claim?.id ?? null);
        if (looks.length === 1) await stage.steps(lease, ...wayDown, over);
        return found;
      },
    });
    await one.pass(signal);
    expect([await cases(), await due()]).toEqual([[], 1]);
    await one.pass(signal);
    expect(await cases()).toMatchObject([{ state: 'open' }]);
    expect(looks).toEqual([lease.vm.claim?.id, null]);
  });
});

describe('trouble of a diagnosis', () => {
  it('is a stumble: tried again after a pause, while other VMs get theirs', async () => {
    const first = await sick();
    let broken = true;
    const one = keeper({
      diagnose: async (vm) => {
        if (broken && vm.id === first.vm.id) throw new TypeError('a rule has a bug');
        return found;
      },
    });
    await one.pass(signal);
    const second = await sick();
    await one.pass(signal);
    expect(stumbles).toMatchObject([{ message: 'a rule has a bug' }]); // not again before its pause is over
    expect((await cases()).map((c) => c.vm)).toEqual([second.vm.id]);
    broken = false;
    stage.clock.advance(5_000);
    await one.pass(signal);
    expect((await cases()).map((c) => c.vm)).toEqual([second.vm.id, first.vm.id]);
  });

  it('that never ends is given up when its time is over', async () => {
    await sick();
    const one = keeper({ diagnose: () => new Promise(() => {}), sleep: async () => {} });
    await one.pass(signal);
    expect(stumbles).toMatchObject([{ message: expect.stringMatching(/did not end within 45 s/) }]);
    expect(await due()).toBe(1);
  });

  it('ends with the controller, and the next one begins anew', async () => {
    await sick();
    const stop = new AbortController();
    const pass = keeper({ diagnose: () => new Promise(() => stop.abort()) }).pass(stop.signal);
    await pass;
    expect([stumbles, await due()]).toEqual([[], 1]);
    await keeper().pass(signal);
    expect((await cases()).length).toBe(1);
  });

  it('of many boots: two at a time, and each in its turn', async () => {
    for (let i = 0; i < 5; i += 1) await sick();
    let now = 0;
    let most = 0;
    const one = keeper({
      diagnose: async () => {
        most = Math.max(most, (now += 1));
        await stage.store.read(async () => undefined);
        now -= 1;
        return found;
      },
    });
    let passes = 1;
    while (await one.pass(signal)) passes += 1;
    expect([(await cases()).length, passes, most]).toEqual([5, 3, 2]);
  });
});

it('a power cut between a diagnosis and its record costs another look, and no second case', async () => {
  await sick();
  const cut = keeper({ store: { ...bound(stage), write: () => Promise.reject(new Error('power cut')) } as CaseKeeperParts['store'] });
  await expect(cut.pass(signal)).rejects.toThrow('power cut');
  expect([await cases(), await due()]).toEqual([[], 1]);
  await keeper().pass(signal);
  await keeper().pass(signal);
  expect([(await cases()).length, await due()]).toEqual([1, 0]);
});

function bound({ store }: StoreStage): Partial<CaseKeeperParts['store']> {
  return { read: (work) => store.read(work), onEvents: (listener) => store.onEvents(listener) };
}
