import { FaultError, type BuildOrder, type BuildResult, type BuildView, type Fault } from '@linstock/contract';
import { decideBuild, type Store } from '@linstock/core';
import { stumbleOf } from './engine.ts';
import type { Progress } from './progress.ts';
import { untilEvent } from './until-event.ts';

/** Looked at this often even when nothing happens: an event may have been missed. */
const lookEveryMs = 5_000;
/** How far a step is may be written this often; that it has begun always is. */
const tellEveryMs = 1_000;

export type BuildKeeperParts = {
  store: Store;
  build(order: BuildOrder, o: { by: string; signal: AbortSignal; progress: Progress }): Promise<BuildResult>;
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  failed(error: unknown, build: string): void;
};

/**
 * Brings the builds that somebody asked for to their end. What is wanted and how far it is stands in the store; a controller that comes back finds
 * the builds that are open and begins them again, each of whose steps goes on where it was.
 */
export class BuildKeeper {
  readonly #parts: BuildKeeperParts;
  readonly #live = new Map<string, { stop: AbortController; over: Promise<void> }>();
  constructor(parts: BuildKeeperParts) {
    this.#parts = parts;
  }

  /** Ends with the signal, once everything that it began has let go. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, sleep, failed } = this.#parts;
    try {
      while (!signal.aborted) {
        using changed = untilEvent(store, signal);
        try {
          await this.pass(signal);
        } catch (error) {
          failed(error, 'all');
        }
        await sleep(lookEveryMs, changed.signal);
      }
    } finally {
      await this.settled();
    }
  }

  async pass(signal: AbortSignal): Promise<void> {
    const { store, now } = this.#parts;
    for (const build of await store.read((tx) => tx.builds({ running: true }))) {
      const live = this.#live.get(build.id);
      const decision = decideBuild(build, live !== undefined);
      switch (decision.do) {
        case 'wait':
          break;
        case 'begin':
          this.#begin(build, signal);
          break;
        case 'stop':
          live?.stop.abort(new FaultError('build-cancelled', { subject: build.subject, by: build.cancelBy ?? 'nobody' }));
          break;
        case 'end':
          await store.write(`end build ${build.id}`, (tx) => tx.endBuild(build.id, { is: 'failed', fault: decision.fault }, now()));
      }
    }
  }

  /** When nothing of it goes on any more. */
  async settled(): Promise<void> {
    await Promise.all([...this.#live.values()].map(({ over }) => over));
  }

  #begin(build: BuildView, signal: AbortSignal): void {
    const stop = new AbortController();
    const end = (): void => stop.abort(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    const over = this.#run(build, stop.signal, signal)
      .catch((error: unknown) => this.#parts.failed(error, build.id))
      .finally(() => {
        signal.removeEventListener('abort', end);
        this.#live.delete(build.id);
      });
    this.#live.set(build.id, { stop, over });
  }

  async #run(build: BuildView, signal: AbortSignal, shutdown: AbortSignal): Promise<void> {
    const { store, now, failed } = this.#parts;
    const { id, order, by } = build;
    const told = new Telling(this.#parts, build);
    await told.begun();
    let end: { is: 'done'; result: BuildResult } | { is: 'failed'; fault: Fault };
    try {
      signal.throwIfAborted();
      end = { is: 'done', result: await this.#parts.build(order, { by, signal, progress: told.progress }) };
    } catch (error) {
      if (shutdown.aborted) return told.letGo(); // it stays open: whoever comes next begins it again
      end = { is: 'failed', fault: faultOf(signal.aborted ? signal.reason : error, id, failed) };
    }
    await told.settled();
    await store.write(`end build ${id}`, (tx) => tx.endBuild(id, end, now()));
  }
}

/** Like a request's: what nobody foresaw is a bug that is told and logged, and ends this build only. */
function faultOf(error: unknown, id: string, failed: (error: unknown, build: string) => void): Fault {
  try {
    return stumbleOf(error, 'build');
  } catch {
    failed(error, id);
    return { code: 'bug', data: { requestId: id } };
  }
}

/** Writes how far a build is, one after the other, and never more than it has to. */
class Telling {
  readonly #parts: BuildKeeperParts;
  readonly #id: string;
  #steps: BuildView['steps'];
  #far: BuildView['far'] = null;
  #tries: number;
  #told = 0;
  #queue: Promise<void> = Promise.resolve();
  constructor(parts: BuildKeeperParts, build: BuildView) {
    this.#parts = parts;
    this.#id = build.id;
    this.#steps = build.steps;
    this.#tries = build.tries + 1;
  }

  /** Before anything is done: a build that ends its controller must be known to have been tried. */
  async begun(): Promise<void> {
    await this.#write(null);
  }

  /** The controller ends as it should: that was no try. */
  async letGo(): Promise<void> {
    await this.#queue;
    this.#tries -= 1;
    this.#far = null;
    await this.#write(null);
  }

  settled(): Promise<void> {
    return this.#queue;
  }

  readonly progress: Progress = ({ name, done, total, unit }) => {
    const now = this.#parts.now();
    const began = this.#steps.at(-1)?.name === name ? null : name;
    if (began !== null) this.#steps = [...this.#steps, { name, at: now }].slice(-MOST_STEPS);
    this.#far = done === undefined ? null : { done, total: total ?? null, unit: unit ?? null };
    if (began === null && now - this.#told < tellEveryMs) return;
    this.#told = now;
    // what keeps it from being written keeps the end from being written, too, and is told there
    this.#queue = this.#queue.then(() => this.#write(began)).catch(() => {});
  };

  async #write(began: string | null): Promise<void> {
    const { store, now } = this.#parts;
    const progress = { tries: this.#tries, steps: this.#steps, far: this.#far, began };
    await store.write(`keep build ${this.#id}`, (tx) => tx.keepBuild(this.#id, progress, now()));
  }
}

/** A build of many stages has some dozens. */
const MOST_STEPS = 200;
