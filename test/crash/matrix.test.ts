import { describe, expect, it } from 'vitest';
import type { Step, Wish } from '@linstock/core';
import { play, type Ending, type Trouble } from './matrix.ts';

const scripts: Record<string, readonly Wish[]> = {
  start: ['running'],
  'start, stop': ['running', 'stopped'],
  'start, pause, resume': ['running', 'paused', 'running'],
  'start, stop, start, delete': ['running', 'stopped', 'running', 'absent'],
  'start, pause, delete': ['running', 'paused', 'absent'],
};

/** Everything about an end that a crash must not change. */
const essence = (e: Ending): unknown => ({
  phase: e.phase,
  state: e.state,
  fault: e.fault,
  left: e.left,
  leases: e.leases,
  operations: e.operations,
  unfinishedBoots: e.unfinishedBoots,
});

/** What is wrong with an end, in words; empty = nothing. */
function wrongs(got: Ending, want: Ending): string[] {
  const list: string[] = [];
  if (JSON.stringify(essence(got)) !== JSON.stringify(essence(want)))
    list.push(`another end: ${JSON.stringify(essence(got))}, wanted ${JSON.stringify(essence(want))}`);
  if (got.mostAliveOfOneVm > 1) list.push('two live VMMs of one VM');
  if (new Set(got.launches).size !== got.launches.length) list.push('a boot was launched twice');
  if (got.leases !== got.left.slots) list.push('claims and world differ');
  return list;
}

/** Every trouble of one script. With a sabotage it stops at the first failure: one is enough to be noticed. */
async function sweep(script: readonly Wish[], sabotage: Trouble['sabotage'] = null): Promise<{ cases: number; failures: string[] }> {
  const want = await play(script);
  const failures: string[] = [];
  let cases = 0;
  const check = async (name: string, trouble: Trouble): Promise<void> => {
    if (sabotage !== null && failures.length > 0) return;
    cases += 1;
    try {
      const bad = wrongs(await play(script, { ...trouble, sabotage }), want);
      if (bad.length > 0) failures.push(`${name}: ${bad.join('; ')}`);
    } catch (error) {
      if (sabotage === null) throw error;
      failures.push(`${name}: ${String(error)}`);
    }
  };
  for (let spot = 1; spot <= want.spots; spot += 1) {
    await check(`cut at ${spot}`, { cutAt: spot });
    await check(`cut at ${spot}, effects doubled`, { cutAt: spot, twice: true });
    await check(`cut at ${spot}, host reboots`, { cutAt: spot, reboot: true });
  }
  for (let call = 1; call <= want.tools; call += 1) {
    await check(`tool call ${call} breaks`, { breakAt: call });
    await check(`the worker stalls in step ${call}`, { stallAt: call });
  }
  await check('two workers race for every rent', { workers: 2 });
  return { cases, failures };
}

describe('crash matrix', () => {
  it.each(Object.entries(scripts))('%s: the same end whatever happens on the way', async (_, script) => {
    const { cases, failures } = await sweep(script);
    expect(failures).toEqual([]);
    expect(cases).toBeGreaterThan(50);
  });

  it.each(Object.entries(scripts))('%s: a clean run ends where the last wish says', async (_, script) => {
    const end = await play(script);
    const last = script.at(-1);
    expect(end).toMatchObject({
      state: last === 'absent' ? 'deleted' : last,
      fault: null,
      mostAliveOfOneVm: 1,
      unfinishedBoots: last === 'running' ? 1 : 0,
    });
    expect(end.operations.at(-1)).toBe('succeeded');
  });

  it('lets a wish change at any turn of the way up', async () => {
    for (let turn = 1; turn < 14; turn += 1) {
      const stopped = await play(['running'], { early: { turn, wish: 'stopped' } });
      expect(stopped, `stopped at ${turn}`).toMatchObject({
        state: 'stopped',
        fault: null,
        left: { disks: 1, slots: 0, units: 0 },
        leases: 0,
      });
      const deleted = await play(['running'], { early: { turn, wish: 'absent' } });
      expect(deleted, `deleted at ${turn}`).toMatchObject({ state: 'deleted', left: { disks: 0, slots: 0, units: 0 }, leases: 0 });
      expect(deleted.operations.at(-1)).toBe('succeeded');
    }
  });

  it.each(['make-disk', 'make-network', 'launch'] as const)(
    'gives up when %s never works, leaves only the reason, and delete still works',
    async (step: Step) => {
      const end = await play(['running'], { broken: new Set([step]) });
      expect(end).toMatchObject({
        state: 'failed',
        fault: 'tool-failed',
        left: { slots: 0, units: 0 },
        leases: 0,
        operations: ['failed'],
        unfinishedBoots: 0,
      });
      const deleted = await play(['running', 'absent'], { broken: new Set([step]) });
      expect(deleted).toMatchObject({ state: 'deleted', left: { disks: 0, slots: 0, units: 0 }, operations: ['failed', 'succeeded'] });
    },
  );

  it('names a guest that panics, and leaves nothing of it', async () => {
    expect(await play(['running'], { panics: true })).toMatchObject({
      state: 'failed',
      fault: 'guest-panicked',
      left: { disks: 1, slots: 0, units: 0 },
      operations: ['failed'],
    });
  });
});

/** A worker stalls in each step in turn; meanwhile the VM is deleted by another one. */
async function overtaken(sabotage: Trouble['sabotage'] = null): Promise<Ending[]> {
  const ends: Ending[] = [];
  const { tools } = await play(['running']);
  for (let step = 1; step <= tools; step += 1) ends.push(await play(['running'], { stallAt: step, stallWish: 'absent', sabotage }));
  return ends;
}

it('leaves nothing when a VM is deleted while a worker stalls in a step of its way up', async () => {
  for (const end of await overtaken()) {
    expect(end).toMatchObject({
      state: 'deleted',
      left: { disks: 0, slots: 0, units: 0 },
      leases: 0,
      mostAliveOfOneVm: expect.any(Number),
    });
    expect(end.mostAliveOfOneVm).toBeLessThan(2);
  }
});

describe('the matrix itself', () => {
  const sabotages: [NonNullable<Trouble['sabotage']>, readonly Wish[]][] = [
    ['launch-without-adoption', ['running']],
    ['empty-unit-taken-for-ended', ['running']],
    ['network-kept', ['running', 'stopped']],
    ['no-host-boot-check', ['running']],
    ['way-down-without-end', ['running', 'stopped']],
    ['claims-not-released', ['running', 'stopped']],
    ['ask-off-forgotten', ['running', 'stopped']],
  ];
  it.each(sabotages)('notices %s', async (sabotage, script) => {
    const { failures } = await sweep(script, sabotage);
    expect(failures.length).toBeGreaterThan(0);
  });

  it('notices a host that ignores the fence of a worker that was overtaken', async () => {
    const ends = await overtaken('fence-ignored');
    expect(ends.some((end) => end.left.disks + end.left.slots + end.left.units > 0)).toBe(true);
  });

  it('notices a way up without deadlines', async () => {
    await expect(play(['running'], { broken: new Set(['launch']), sabotage: 'no-deadline' })).rejects.toThrow('no rest');
  });
  it('notices an autopsy that skips the end of the VMM', async () => {
    const end = await play(['running'], { panics: true, sabotage: 'autopsy-forgets-claim' });
    expect(end.left.units).toBe(1);
  });
});
