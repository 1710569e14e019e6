/**
 * Where words go. stdout is data: tables for people, or with `--json` one JSON document (commands that stream: one per
 * line), the problem document of a fault included, so that a program has one place to read. stderr is talk: progress,
 * advice and the sentence of a fault, with `--json` too. Whether something is coloured or rewritten depends on the stream.
 */
import { Progress, type ProgressClock, type Step } from './progress.ts';
import { page, proofTable, safeJson, table, timelineBars, type Cell, type Style } from './render.ts';
import type { Milestone, Proof } from '@linstock/contract';

export type Sink = {
  /** resolves when the reader keeps up again */
  write(data: string | Uint8Array): Promise<void>;
  terminal: boolean;
  width(): number;
};

export type OutOptions = { stdout: Sink; stderr: Sink; json: boolean; colour: boolean; clock: ProgressClock; timers?: boolean };

export class Out implements AsyncDisposable {
  readonly json: boolean;
  readonly #stdout: Sink;
  readonly #stderr: Sink;
  readonly #colour: boolean;
  readonly #progress: Progress;

  constructor(o: OutOptions) {
    this.json = o.json;
    this.#stdout = o.stdout;
    this.#stderr = o.stderr;
    this.#colour = o.colour;
    const target = { write: (text: string) => void o.stderr.write(text), terminal: o.stderr.terminal, width: () => o.stderr.width() };
    this.#progress = new Progress(target, o.clock, o.timers ?? true);
  }

  get style(): Style {
    return { colour: this.#colour && this.#stdout.terminal, width: this.#stdout.terminal ? this.#stdout.width() : null };
  }
  get talkStyle(): Style {
    return { colour: this.#colour && this.#stderr.terminal, width: this.#stderr.terminal ? this.#stderr.width() : null };
  }
  get stdoutIsTerminal(): boolean {
    return this.#stdout.terminal;
  }
  get stderrIsTerminal(): boolean {
    return this.#stderr.terminal;
  }

  /** The answer, in the form that was asked for. */
  async answer(document: unknown, lines: () => readonly string[]): Promise<void> {
    await this.lines(this.json ? [safeJson(document, this.#stdout.terminal ? 2 : undefined)] : lines());
  }

  async lines(lines: readonly string[]): Promise<void> {
    this.#progress.clear();
    if (lines.length > 0) await this.#stdout.write(`${lines.join('\n')}\n`);
  }

  /** Bytes for stdout as they are. */
  async bytes(data: string | Uint8Array): Promise<void> {
    this.#progress.clear();
    if (data.length > 0) await this.#stdout.write(data);
  }
  async errorBytes(data: string | Uint8Array): Promise<void> {
    this.#progress.clear();
    if (data.length > 0) await this.#stderr.write(data);
  }

  /** A line of talk. */
  say(line: string): void {
    this.#progress.clear();
    void this.#stderr.write(`${line}\n`);
  }

  progress(step: Step): void {
    this.#progress.step(step);
  }
  /** Nothing is under way any more. */
  quiet(): void {
    this.#progress.end();
  }

  rows(document: unknown, head: readonly string[], rows: readonly (readonly Cell[])[], none: string): Promise<void> {
    if (rows.length === 0 && !this.json) {
      this.say(none); // an empty table is no data
      return Promise.resolve();
    }
    return this.answer(document, () => table(head, rows, this.style));
  }

  page(document: unknown, pairs: readonly (readonly [string, Cell | readonly string[]])[]): Promise<void> {
    return this.answer(document, () => page(pairs, this.style));
  }

  proof(proof: Proof, more: { evidence: boolean }): readonly string[] {
    return proofTable(proof, this.style, more);
  }
  timeline(milestones: readonly Milestone[]): readonly string[] {
    return timelineBars(milestones, this.style);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#progress[Symbol.dispose]();
    await this.#stderr.write('');
  }
}
