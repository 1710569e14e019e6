import { describe, expect, it } from 'vitest';
import type { Network } from '@linstock/contract';
import type { Store } from '@linstock/core';
import { freeSlots, Spares } from './spares.ts';

describe('freeSlots', () => {
  it.each([
    ['nothing taken', [], 5, 3, [0, 1, 2]],
    ['a gap first, as the store gives them out', [0, 2, 3], 9, 3, [1, 4, 5]],
    ['no more than there are', [0, 1], 4, 8, [2, 3]],
    ['full', [0, 1], 2, 8, []],
  ])('%s', (_, taken, slots, count, free) => {
    expect(freeSlots(new Set(taken), slots, count)).toEqual(free);
  });
});

describe('Spares', () => {
  const network = { index: 0, kind: 'bridge', subnet: '10.0.0.0/24' } as Network;

  /** `turns` sleeps, then the end. */
  async function play(
    turns: number,
    o: { leases?: number[]; keep?: () => Promise<void>; eventIn?: number } = {},
  ): Promise<{ kept: number[][]; failures: unknown[] }> {
    const over = new AbortController();
    let tell: () => void = () => undefined;
    const store = {
      onEvents: (listener: () => void) => {
        tell = listener;
        return () => undefined;
      },
      read: async () => (o.leases ?? []).map((slot) => ({ slot })),
    } as unknown as Store;
    const kept: number[][] = [];
    const failures: unknown[] = [];
    let slept = 0;
    const spares = new Spares({
      store,
      network,
      count: 2,
      keep: async (slots) => {
        kept.push([...slots]);
        await o.keep?.();
      },
      failed: (error) => void failures.push(error),
      sleep: async () => {
        slept += 1;
        if (slept === o.eventIn) tell();
        if (slept > turns) over.abort();
      },
    });
    await spares.run(over.signal);
    return { kept, failures };
  }

  it('keeps the next free slots, again after each pause', async () => {
    expect(await play(3, { leases: [0, 2] })).toEqual({
      kept: [
        [1, 3],
        [1, 3],
      ],
      failures: [],
    });
  });
  it('waits while something happens', async () => {
    expect((await play(1, { eventIn: 1 })).kept).toEqual([]);
    expect((await play(2, { eventIn: 1 })).kept).toHaveLength(1);
  });
  it('goes on after a tool has failed', async () => {
    const error = new Error('ip: no');
    expect(await play(3, { keep: () => Promise.reject(error) })).toEqual({
      kept: [
        [0, 1],
        [0, 1],
      ],
      failures: [error, error],
    });
  });
});
