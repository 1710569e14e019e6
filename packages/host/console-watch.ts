import { watch } from 'node:fs';
import type { BootId } from '@linstock/contract';
import type { ConsoleFacts } from '@linstock/core';
import { BootConsole, type Reached } from './boot-console.ts';
import type { ConsoleKeeper } from './vmm/console-log.ts';
import { ensureFolder, isThere } from './tools/files.ts';
import { bootFile, type Paths } from './tools/paths.ts';
import { join } from 'node:path';

/** Between two looks at the consoles of live boots: a panic is known within this. */
const lookEveryMs = 500;
/** Read at once of one console: a flood must not keep the others waiting. */
const biteBytes = 1_048_576;
/** Consoles of ended boots that are kept as facts; reading one again costs milliseconds. */
const mostEnded = 64;

export type ConsoleWatchParts = {
  paths: Paths;
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** a milestone or the end of its VMM was seen: somebody should look */
  changed(boot: BootId): void;
};

/** The consoles of this host: those of live boots are read and kept in bounds, those of ended ones are read when asked for. */
export class ConsoleWatch {
  readonly #p: ConsoleWatchParts;
  readonly #live = new Map<BootId, BootConsole>();
  readonly #ended = new Map<BootId, BootConsole>();

  constructor(parts: ConsoleWatchParts) {
    this.#p = parts;
  }

  /** From now on this boot is watched; an adopted one from its first look on. */
  open(boot: BootId): BootConsole {
    const known = this.#live.get(boot);
    if (known) return known;
    const console = this.#made(boot);
    this.#live.set(boot, console);
    return console;
  }

  /** The VMM has ended: the last bytes are read, the file is kept in bounds once more, and nobody watches it any longer. */
  async close(boot: BootId): Promise<ConsoleFacts> {
    const console = this.#live.get(boot) ?? this.#ended.get(boot) ?? this.#made(boot);
    await console.catchUp(biteBytes);
    this.#live.delete(boot);
    this.#keepEnded(boot, console);
    return console.facts;
  }

  /** What the console of a live boot says now. */
  async look(boot: BootId): Promise<ConsoleFacts> {
    const console = this.open(boot);
    await console.catchUp(biteBytes);
    return console.facts;
  }

  /** What the console of any boot said; of a long one its first part, where a boot happens. */
  async read(boot: BootId): Promise<{ facts: ConsoleFacts; reached: readonly Reached[]; bytes: number }> {
    let console = this.#live.get(boot) ?? this.#ended.get(boot);
    if (!console) {
      console = this.#made(boot);
      this.#keepEnded(boot, console);
      await console.catchUp(biteBytes);
    }
    const { newest } = await console.keeper.bounds();
    return { facts: console.facts, reached: console.reached, bytes: newest };
  }

  /** Raw bytes from an offset on (the oldest kept when null), until the end of the boot when followed. */
  async *stream(boot: BootId, options: { from: number | null; follow: boolean; signal: AbortSignal }): AsyncGenerator<Uint8Array> {
    const keeper = this.keeperOf(boot);
    const exit = join(this.#p.paths.boot(boot), bootFile.exit);
    const ended = async (): Promise<boolean> => !options.follow || (await isThere(exit));
    for await (const chunk of keeper.follow({ from: options.from ?? 0, signal: options.signal, ended })) yield chunk.bytes;
  }

  /** The kept bytes of any boot's console. */
  keeperOf(boot: BootId): ConsoleKeeper {
    return (this.#live.get(boot) ?? this.#made(boot)).keeper;
  }

  /** Watches until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    await ensureFolder(this.#p.paths.ends);
    this.#watchEnds(signal);
    while (!signal.aborted) {
      for (const [boot, console] of this.#live) {
        const changed = await console.catchUp(biteBytes).catch(() => true); // what could not be read is worth a look, which tells why
        if (changed) this.#p.changed(boot);
      }
      await this.#p.sleep(lookEveryMs, signal);
    }
  }

  /** A VMM that ends leaves a file named after its boot in one folder. Only a hint: without it the engine's own looks have to do. */
  #watchEnds(signal: AbortSignal): void {
    try {
      const ends = watch(this.#p.paths.ends, { signal, persistent: false }, (_, name) => {
        if (name?.startsWith('boot_')) this.#p.changed(name as BootId);
      });
      ends.on('error', () => undefined); // the folder went: a purge is under way
    } catch {
      return; // no inotify instance is left on this host (fs.inotify.max_user_instances)
    }
  }

  #keepEnded(boot: BootId, console: BootConsole): void {
    this.#ended.delete(boot); // to the young end: a Map keeps the order of insertion
    this.#ended.set(boot, console);
    const oldest = this.#ended.keys().next();
    if (this.#ended.size > mostEnded && !oldest.done) this.#ended.delete(oldest.value);
  }

  #made(boot: BootId): BootConsole {
    return new BootConsole({ folder: this.#p.paths.boot(boot), now: this.#p.now });
  }
}
