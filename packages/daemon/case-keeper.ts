import { anySignal, type BootId, type Diagnosis, type VmId } from '@linstock/contract';
import {
  casesAfter,
  decideNews,
  type BootNews,
  type Ids,
  type KnownOfBoot,
  type Reader,
  type Store,
  type Tx,
  type Vm,
} from '@linstock/core';
import { untilEvent } from './until-event.ts';

/** Looked at this often even when nothing happens: an event may have been missed. */
const lookEveryMs = 5_000;
/** News taken up in one pass. */
const mostNews = 200;
/** Diagnoses at once: each runs some dozen tools for a second or two, beside VMs that start. */
const atOnce = 2;
/** Evidence and diagnosis together, `ms`; the looks have bounds of their own, and this holds whatever they do. */
const lookMs = 45_000;
/** After a diagnosis that could not be made: the first pause and the longest, `ms`. */
const firstPauseMs = 5_000;
const longestPauseMs = 300_000;

export type CaseKeeperParts = {
  store: Store;
  ids: Ids;
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** takes the evidence of this boot and judges it */
  diagnose(vm: Vm, boot: BootId, signal: AbortSignal): Promise<Diagnosis>;
  /** A diagnosis could not be made: it is tried again later. Never a reason to stop: what a guest prints must not end a controller. */
  stumbled(boot: BootId, error: unknown): void;
  /** the store failed; throws what is a bug */
  failed(error: unknown): void;
};

/**
 * Opens and closes cases by themselves, beside the engine: it never waits for this, and learns nothing from it. That something was learned about a
 * boot is written in the transaction that records it, and that the cases know of it together with what they made of it: a crash in between
 * costs another look.
 */
export class CaseKeeper {
  readonly #parts: CaseKeeperParts;
  /** which boots are not looked at before when */
  readonly #paused = new Map<BootId, { tries: number; until: number }>();

  constructor(parts: CaseKeeperParts) {
    this.#parts = parts;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { store, sleep, failed } = this.#parts;
    while (!signal.aborted) {
      using changed = untilEvent(store, signal);
      let more = false;
      try {
        more = await this.pass(signal);
      } catch (error) {
        failed(error);
      }
      if (!more) await sleep(lookEveryMs, changed.signal);
    }
  }

  /** Everything that needs no look, and the diagnoses of a few boots; whether more of them are due. */
  async pass(signal: AbortSignal): Promise<boolean> {
    const { store, now } = this.#parts;
    const all = await store.read(async (tx) => {
      const news = await tx.bootNews(mostNews);
      return Promise.all(news.map(async (one) => ({ news: one, decision: decideNews(await known(tx, one.boot)) })));
    });
    for (const boot of this.#paused.keys()) if (!all.some(({ news }) => news.boot === boot)) this.#paused.delete(boot);
    for (const { news, decision } of all) {
      if (decision !== 'diagnose') await store.write('news of a boot', (tx) => this.#settle(tx, news));
    }
    const due = ({ boot }: BootNews): boolean => (this.#paused.get(boot)?.until ?? 0) <= now();
    const sick = all.flatMap(({ news, decision }) => (decision === 'diagnose' && due(news) ? [news] : []));
    await Promise.all(sick.slice(0, atOnce).map((news) => this.#diagnose(news, signal)));
    return sick.length > atOnce && !signal.aborted;
  }

  /** What needs no look is done at once. Decided again: it may have become worse meanwhile. */
  async #settle(tx: Tx, news: BootNews): Promise<void> {
    const { vm, boot, newest } = await known(tx, news.boot);
    const decision = decideNews({ vm, boot, newest });
    if (decision === 'diagnose') return;
    if (decision === 'close' && vm && boot) await tx.closeCases(vm.id, boot.id, this.#parts.now());
    await tx.tellNews(news);
  }

  async #diagnose(news: BootNews, signal: AbortSignal): Promise<void> {
    const { store, ids, now, stumbled } = this.#parts;
    const before = await store.read((tx) => known(tx, news.boot));
    if (before.vm === undefined) return; // forgotten meanwhile
    let diagnosis: Diagnosis;
    try {
      diagnosis = await this.#look(before.vm, news.boot, signal);
    } catch (error) {
      if (signal.aborted) return; // the controller stops: the next one looks again
      const tries = (this.#paused.get(news.boot)?.tries ?? 0) + 1;
      this.#paused.set(news.boot, { tries, until: now() + Math.min(longestPauseMs, firstPauseMs * 2 ** (tries - 1)) });
      return stumbled(news.boot, error);
    }
    await store.write('cases', async (tx) => {
      const { vm, boot, newest } = await known(tx, news.boot);
      const decision = decideNews({ vm, boot, newest });
      // taken down while it was looked at: what was missing then was missing for that reason
      if (decision === 'diagnose' && boot?.endedAt !== before.boot?.endedAt) return;
      if (decision === 'diagnose' && vm) {
        const open = await tx.cases({ state: 'open', vm: vm.id });
        for (const change of casesAfter({ vm, boot: news.boot, diagnosis, now: now() }, open, () => ids.next('case', now())))
          await tx.keepCase(change, now());
      }
      await tx.tellNews(news);
    });
  }

  /** Within its time, whether or not whoever looks listens to the signal. */
  async #look(vm: Vm, boot: BootId, signal: AbortSignal): Promise<Diagnosis> {
    const { diagnose, sleep } = this.#parts;
    const over = new AbortController();
    const stop = anySignal([signal, over.signal]);
    const late = sleep(lookMs, stop).then(() => {
      throw new Error(`the diagnosis of ${boot} did not end within ${lookMs / 1000} s`);
    });
    try {
      return await Promise.race([diagnose(vm, boot, stop), late]);
    } finally {
      over.abort();
    }
  }
}

async function known(tx: Reader, id: BootId): Promise<KnownOfBoot> {
  const boot = await tx.boot(id);
  if (boot === undefined) return { vm: undefined, boot, newest: undefined };
  const vm = await tx.vm(boot.vm as VmId); // locked by a write: it does not go while a case of it is opened
  return { vm, boot, newest: (await tx.boots({ vm: boot.vm as VmId, limit: 1 }))[0] };
}
