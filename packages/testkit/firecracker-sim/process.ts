/** How a simulated process says its last words and ends (firecracker/src/main.rs, vmm/src/logger/logging.rs). */
import { writeSync } from 'node:fs';
import type { Logger } from './logger.ts';

export const exitCodes = {
  ok: 0,
  generic: 1,
  unexpected: 2,
  badSyscall: 148,
  sigbus: 149,
  sigsegv: 150,
  sigxfsz: 151,
  badConfiguration: 152,
  argumentParsing: 153,
  sigxcpu: 154,
  sigpipe: 155,
  sighup: 156,
  sigill: 157,
} as const;

/** An end of `main` with an error: `says` is its Display text, `debug` what Rust's `{:?}` makes of it. */
export class MainError extends Error {
  readonly debug: string;
  readonly code: number;
  constructor(says: string, debug: string, code: number = exitCodes.generic) {
    super(says);
    this.debug = debug;
    this.code = code;
  }
}

/** `expect` of Rust: abort, SIGABRT. */
export class Panic extends Error {}

export function onStderr(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Nobody reads our stderr: an end without words is still an end.
  }
}

export function endWithError(error: MainError, logger: Logger): never {
  logger.say('error', 'main', error.message);
  onStderr(`Error: ${error.debug}\n`);
  logger.say('error', 'main', `Firecracker exiting with error. exit_code=${error.code}`);
  process.exit(error.code);
}

export function endWell(logger: Logger): never {
  logger.say('info', 'main', 'Firecracker exiting successfully. exit_code=0');
  process.exit(exitCodes.ok);
}

/** Rust says this behind every panic that has no hook of its own. */
export const backtraceNote = 'note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n';

/** The hook of Firecracker speaks to the log only, which is standard output until there is another. */
export function abort(what: string, logger: Logger): void {
  logger.say('error', 'main', `Firecracker panicked at src/firecracker/src/main.rs:1:1:\n${what}`);
  // Not process.abort: it writes a core and a report of node's own.
  process.kill(process.pid, 'SIGABRT');
}
