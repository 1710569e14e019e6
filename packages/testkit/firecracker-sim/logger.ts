/** The logger (vmm/src/logger/logging.rs): to standard output until it is given a file, and every PUT without a level sets the level back to Info. */
import { openForWords, type Output } from './output.ts';

const levels = ['off', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type Level = Exclude<(typeof levels)[number], 'off'>;
export type LoggerConfig = {
  log_path?: string | null;
  level?: string | null;
  show_level?: boolean | null;
  show_log_origin?: boolean | null;
  module?: string | null;
};

export class Logger {
  readonly #standard: Output;
  readonly #createsFiles: boolean;
  #file: Output | null = null;
  #most: (typeof levels)[number] = 'info';
  #showLevel = false;
  #showOrigin = false;
  #module: string | null = null;
  id = 'anonymous-instance';
  missed = 0;

  constructor(standard: Output, createsFiles: boolean) {
    this.#standard = standard;
    this.#createsFiles = createsFiles;
  }

  /** Throws as open does; then nothing was changed. */
  update(config: LoggerConfig): void {
    if (typeof config.log_path === 'string') {
      const file = openForWords(config.log_path, this.#createsFiles, () => {
        this.missed += 1;
      });
      this.#file?.close();
      this.#file = file;
    }
    this.#most = typeof config.level === 'string' ? levelOf(config.level) : 'info';
    if (typeof config.show_level === 'boolean') this.#showLevel = config.show_level;
    if (typeof config.show_log_origin === 'boolean') this.#showOrigin = config.show_log_origin;
    if (typeof config.module === 'string') this.#module = config.module;
  }

  say(level: Level, thread: 'main' | 'fc_api' | 'fc_vcpu 0', text: string): void {
    if (levels.indexOf(level) > levels.indexOf(this.#most)) return;
    if (this.#module !== null && !'firecracker::vmm'.startsWith(this.#module)) return;
    const shown = this.#showLevel ? `:${level.toUpperCase()}` : '';
    const origin = this.#showOrigin ? ':src/firecracker/src/main.rs:1' : '';
    (this.#file ?? this.#standard).write(`${stamp()} [${this.id}:${thread}${shown}${origin}] ${text}\n`);
  }
}

export function isLevel(text: string): boolean {
  return text.toLowerCase() === 'warning' || levels.some((level) => level === text.toLowerCase());
}

function levelOf(text: string): (typeof levels)[number] {
  const lower = text.toLowerCase();
  return lower === 'warning' ? 'warn' : (levels.find((level) => level === lower) ?? 'info');
}

/** Local time to the nanosecond, without an offset. */
export function stamp(): string {
  const now = wallClock();
  const local = new Date(now - new Date(now).getTimezoneOffset() * 60_000).toISOString().slice(0, -5);
  return `${local}.${String(Math.floor((now % 1000) * 1e6)).padStart(9, '0')}`;
}

/** Milliseconds since 1970, from the clock that only goes forward. */
export function wallClock(): number {
  return performance.timeOrigin + performance.now();
}
