import { ConsoleReader, type ConsoleFacts } from '@linstock/core';
import { ConsoleKeeper } from './vmm/console-log.ts';

/** Something the console showed, and when its bytes were first seen. */
export type Reached = { what: string; at: number };

/** While milestones are still to come, so many bytes share one moment. */
const finePiece = 4_096;
const coarsePiece = 256 * 1_024;

const milestones: readonly [what: string, fact: 'banner' | 'initStarted' | 'initFinished' | 'panic'][] = [
  ['kernel', 'banner'],
  ['init', 'initStarted'],
  ['ready', 'initFinished'],
  ['panic', 'panic'],
];

/** The console of one boot as facts: read as it grows, in pieces, so that each milestone gets the time of its bytes. */
export class BootConsole {
  readonly keeper: ConsoleKeeper;
  readonly #reader = new ConsoleReader();
  #next = 0;
  #reached: Reached[] = [];
  #facts: ConsoleFacts;
  #reading: Promise<void> = Promise.resolve();

  constructor(options: { folder: string; now: () => number }) {
    this.keeper = new ConsoleKeeper(options);
    this.#facts = this.#reader.facts();
  }

  get facts(): ConsoleFacts {
    return this.#facts;
  }
  get reached(): readonly Reached[] {
    return this.#reached;
  }

  /** Reads what is new, at most that many bytes; whether a milestone was among it. Callers queue behind each other. */
  catchUp(mostBytes: number): Promise<boolean> {
    const mine = this.#reading.then(() => this.#catchUp(mostBytes));
    this.#reading = mine.then(
      () => undefined,
      () => undefined, // whoever queued behind reads again by itself
    );
    return mine;
  }

  async #catchUp(mostBytes: number): Promise<boolean> {
    const { newest } = await this.keeper.tend();
    const before = this.#reached.length;
    const until = Math.min(newest, this.#next + mostBytes);
    while (this.#next < until) {
      // not past the end of what was seen at one moment: read again after a restart, milestones must get the same times
      const moment = this.#facts.initFinished ? null : await this.keeper.seenUpTo(this.#next);
      const size = this.#facts.initFinished ? coarsePiece : finePiece;
      const chunk = await this.keeper.read(this.#next, Math.min(size, until - this.#next, (moment ?? until) - this.#next));
      if (chunk.bytes.length === 0) break;
      if (chunk.from > this.#next) this.#reader.loseHead(); // trimmed before it was read
      this.#next = chunk.from + chunk.bytes.length;
      this.#reader.feed(chunk.bytes);
      this.#facts = this.#reader.facts();
      await this.#note();
    }
    return this.#reached.length > before;
  }

  async #note(): Promise<void> {
    for (const [what, fact] of milestones) {
      if (this.#facts[fact] === null || this.#reached.some((r) => r.what === what)) continue;
      const at = await this.keeper.timeOf(this.#next - 1);
      if (at !== null) this.#reached.push({ what, at });
    }
  }
}
