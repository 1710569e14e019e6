/**
 * What goes on, for people, on stderr. On a terminal one line that is rewritten; elsewhere plain lines, at most one a
 * second and never an escape code. No step is silent for more than two seconds. It owns one timer, which ends with it.
 */
import { fitted, plain } from './render.ts';

/** `unit: '%'`: a percentage is all that is known; `total` is then 100. `unit: 'bytes'` is shown in MiB. */
export type Step = { name: string; done?: number; total?: number; unit?: string };
export type ProgressTarget = { write(text: string): void; terminal: boolean; width(): number };
export type ProgressClock = { now(): number };

const TERMINAL_EVERY_MS = 100;
const PLAIN_EVERY_MS = 1_000;
/** below two seconds by more than a timer is late */
const SILENT_AT_MOST_MS = 1_700;
const TICK_MS = 100;
const spinner = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';

export class Progress implements Disposable {
  readonly #target: ProgressTarget;
  readonly #clock: ProgressClock;
  readonly #timer: NodeJS.Timeout | undefined;
  #step: Step | null = null;
  #since = 0;
  #written = Number.NEGATIVE_INFINITY;
  #last = '';
  #turn = 0;
  #shown = false;

  constructor(target: ProgressTarget, clock: ProgressClock, timer: boolean = true) {
    this.#target = target;
    this.#clock = clock;
    if (timer) this.#timer = setInterval(() => this.tick(), TICK_MS).unref();
  }

  step(step: Step): void {
    if (this.#step?.name !== step.name) {
      this.#since = this.#clock.now();
      // a new step is news, but a hundred quick ones are not a hundred lines
      if (!this.#target.terminal && this.#clock.now() - this.#written < PLAIN_EVERY_MS) {
        this.#step = step;
        return;
      }
      this.#step = step;
      this.#write();
      return;
    }
    this.#step = step;
    this.tick();
  }

  /** Called by the timer: writes when it is time to. */
  tick(): void {
    if (this.#step === null) return;
    const silent = this.#clock.now() - this.#written;
    const due = this.#target.terminal
      ? silent >= TERMINAL_EVERY_MS
      : silent >= SILENT_AT_MOST_MS || (silent >= PLAIN_EVERY_MS && describe(this.#step) !== this.#last);
    if (due) this.#write();
  }

  /** Takes the line away (terminal) so that something else can be written. */
  clear(): void {
    if (this.#shown) this.#target.write('\r\u001B[K');
    this.#shown = false;
  }

  /** The step is over. */
  end(): void {
    this.clear();
    this.#step = null;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.end();
  }

  #write(): void {
    if (this.#step === null) return;
    const now = this.#clock.now();
    this.#last = describe(this.#step);
    const seconds = Math.floor((now - this.#since) / 1000);
    const elapsed = seconds >= 1 ? `  ${seconds} s` : '';
    this.#written = now;
    if (!this.#target.terminal) {
      this.#target.write(`${this.#last}${elapsed}\n`);
      return;
    }
    this.#turn += 1;
    const width = this.#target.width() > 0 ? this.#target.width() : 80;
    const mark = spinner[this.#turn % spinner.length] ?? ' ';
    // one column less than there is: a full line would wrap and could not be taken away
    this.#target.write(`\r${fitted(`${mark} ${this.#last}${bar(this.#step, width)}${elapsed}`, Math.max(width - 1, 1))}\u001B[K`);
    this.#shown = true;
  }
}

function describe(step: Step): string {
  const name = plain(step.name);
  if (step.done === undefined) return name;
  if (step.unit === '%') return `${name}: ${step.done} %`;
  if (step.unit === 'bytes') return `${name}: ${size(step.done)}${step.total === undefined ? '' : ` of ${size(step.total)}`}`;
  const unit = step.unit === undefined ? '' : ` ${plain(step.unit)}`;
  if (step.total === undefined || step.total <= 0) return `${name}: ${step.done}${unit}`;
  return `${name}: ${step.done} of ${step.total}${unit} (${Math.floor((Math.min(step.done, step.total) / step.total) * 100)} %)`;
}

function size(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

function bar(step: Step, width: number): string {
  if (step.done === undefined || step.total === undefined || step.total <= 0 || width < 60) return '';
  const full = Math.round((Math.min(step.done, step.total) / step.total) * 20);
  return `  ${'█'.repeat(full)}${'░'.repeat(20 - full)}`;
}
