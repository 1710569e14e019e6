import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { anySignal } from './signals.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Collects until `signal` fires or `turns` are over. */
async function firesDespiteCollection(signal: AbortSignal, turns: number): Promise<boolean> {
  for (let turn = 0; turn < turns && !signal.aborted; turn += 1) {
    await setImmediate();
    collect();
  }
  return signal.aborted;
}

describe('a signal of several', () => {
  test('a time limit that nobody else holds fires, although nobody listens yet', async () => {
    const outer = new AbortController();
    expect(await firesDespiteCollection(anySignal([outer.signal, AbortSignal.timeout(50)]), 10_000)).toBe(true);
    expect(outer.signal.aborted).toBe(false);
  });

  test('an abort is not lost with its controller', async () => {
    const aborted = (): AbortSignal => {
      const controller = new AbortController();
      const any = anySignal([new AbortController().signal, controller.signal]);
      controller.abort(new Error('enough'));
      return any;
    };
    const signal = aborted();
    collect();
    await setImmediate();
    collect();
    expect(signal.aborted).toBe(true);
    expect(() => signal.throwIfAborted()).toThrow('enough');
  });

  test('a signal that nobody aborts does not fire, and what listens hears the first', async () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const any = anySignal([first.signal, second.signal]);
    expect(any.aborted).toBe(false);
    const heard = new Promise<unknown>((resolve) => any.addEventListener('abort', () => resolve(any.reason), { once: true }));
    second.abort('second');
    first.abort('first');
    expect(await heard).toBe('second');
  });
});
