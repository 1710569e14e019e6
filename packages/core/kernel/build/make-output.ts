/** What the build of a kernel prints: how far it is, and what went wrong. Pure; never throws. */

/** Kbuild prints `  CC      init/main.o` (scripts/Makefile.lib, `quiet_cmd_…`); [M] marks modules. */
const STEP = /^ {2}([A-Z][A-Z0-9]{1,11})(?: \[M\])? +(\S.*)$/;
/** A line of a log that has no end is not kept. */
const MAX_LINE = 10_000;
/** Steps that are counted: with names of 100,000 files nothing else is built than a kernel. */
const MAX_STEPS = 200_000;

/** Counts what was made, over all tries that a log holds: a step that is made again counts once. */
export class StepCounter {
  readonly #seen = new Set<string>();
  #half = '';

  /** The next piece of the log, wherever it is cut. */
  add(text: string): void {
    const lines = (this.#half + text).split('\n');
    this.#half = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) {
      const [, verb, target] = STEP.exec(line.slice(0, MAX_LINE)) ?? [];
      if (verb !== undefined && target !== undefined && this.#seen.size < MAX_STEPS) this.#seen.add(`${verb} ${target}`);
    }
  }
  get done(): number {
    return this.#seen.size;
  }
}

/**
 * About how many steps a build with so many options takes: a line through two builds of 6.1 (`FACTS` says which). An estimate; a bar that was
 * estimated too short grows.
 */
export function estimatedSteps(optionsOn: number): number {
  const [small, whole] = FACTS;
  const slope = (whole.steps - small.steps) / (whole.options - small.options);
  return Math.max(Math.round(small.steps / 2), Math.round(small.steps + slope * (optionsOn - small.options)));
}

/** Counted from logs of 6.1: options that are y or m in the configuration, steps that were printed. */
const FACTS = [
  { options: 436, steps: 1_129 },
  { options: 722, steps: 2_062 },
] as const;

/** A total that is never reached before the end. */
export function barOf(done: number, estimated: number): { done: number; total: number } {
  return { done, total: done < estimated ? estimated : done + Math.ceil(done / 50) + 1 };
}

const ERROR =
  /(?:\berror\b:?|^make(?:\[\d+\])?: \*\*\*|undefined reference|No such file or directory|cannot find|No space left on device|Killed)/i;
const MAX_ERRORS = 8;
const MAX_ERROR_CHARS = 300;

/** The last lines of a log that say what went wrong, without what a terminal would take for orders; its last lines where none does. */
export function lastErrors(log: string): string[] {
  const lines = log
    .slice(-1_000_000)
    .split(/[\r\n]+/)
    .map((line) => cleaned(line))
    .filter((line) => line !== '');
  const errors = lines.filter((line) => ERROR.test(line));
  // What the compiler said comes before a column of makes that give up one after the other.
  const real = errors.filter((line) => !/^make(?:\[\d+\])?: \*\*\*/.test(line));
  const chosen = real.length > 0 ? [...real.slice(-MAX_ERRORS + 1), ...errors.filter((line) => !real.includes(line)).slice(0, 1)] : errors;
  return (chosen.length > 0 ? chosen : lines).slice(-MAX_ERRORS);
}

function cleaned(line: string): string {
  return line
    .slice(0, MAX_LINE)
    .replaceAll(/\u001B\[[0-9;?]*[A-Za-z]/g, '')
    .replaceAll(/[^\x20-\x7e\u00a0-\uffff]/g, ' ')
    .trim()
    .slice(0, MAX_ERROR_CHARS);
}
