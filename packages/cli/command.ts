/**
 * What a command is: data. `main.ts` makes the parser, the help and the completion from it, so that no command can have
 * an option that the help does not name.
 */
import type { Goal } from '@linstock/contract';
import type { Linstock } from '@linstock/sdk';
import type { Environment } from './environment.ts';
import type { Out } from './out.ts';

/** `rest` takes everything that follows and stands last. */
export type ArgSpec = { kind: 'text' | 'optional' | 'rest'; doc: string };
export type OptionSpec = {
  /** `maybe` may stand without a value, then it is `true` */
  kind: 'text' | 'number' | 'flag' | 'list' | 'maybe';
  /** as commander writes it: `--follow`, `--name <name>`, `--wait [goal]` */
  flag: string;
  doc: string;
};

type ArgValue<S extends ArgSpec> = S['kind'] extends 'text' ? string : S['kind'] extends 'rest' ? string[] : string | undefined;
type OptionValue<S extends OptionSpec> = S['kind'] extends 'flag'
  ? boolean
  : S['kind'] extends 'list'
    ? string[]
    : S['kind'] extends 'number'
      ? number | undefined
      : S['kind'] extends 'maybe'
        ? string | true | undefined
        : string | undefined;

export type Given<A extends Record<string, ArgSpec>, O extends Record<string, OptionSpec>> = {
  args: { [K in keyof A]: ArgValue<A[K]> };
  options: { [K in keyof O]: OptionValue<O[K]> };
};

export type Tools = {
  /** the controller of `--url`, or the one that the state folder names */
  api(): Promise<Linstock>;
  /** what `--url` said */
  url: string | undefined;
  out: Out;
  signal: AbortSignal;
  stateFolder: string;
  environment: Environment;
  /** how a person would call us, for advice: `linstock` */
  self: string;
  chance: Chance;
};

/** Time and chance, as ports. */
export type Chance = {
  /** milliseconds since the epoch */
  now(): number;
  /** eight random letters and digits */
  word(): string;
};

/** 0 done, 1 fault, 2 usage, 3 timed out waiting (the operation goes on), 130 interrupted. `vm exec`: the guest command's; `doctor`: 1 when a must is bad. */
export type ExitCode = number;
export const exitCodes = { done: 0, fault: 1, usage: 2, timedOut: 3, interrupted: 130 } as const;

type Shape<A extends Record<string, ArgSpec>, O extends Record<string, OptionSpec>> = {
  path: readonly [string] | readonly [noun: string, verb: string];
  /** imperative, no full stop */
  summary: string;
  args: A;
  options: O;
  run(given: Given<A, O>, tools: Tools): Promise<ExitCode | void>;
};

/** A command whose arguments and options nobody needs to know by type any more. */
export type Command = Omit<Shape<Record<string, ArgSpec>, Record<string, OptionSpec>>, 'run'> & {
  run(given: { args: Record<string, unknown>; options: Record<string, unknown> }, tools: Tools): Promise<ExitCode | void>;
};

/** The one seam where the parser's untyped values meet a command's types: main.ts fills exactly what the specs say. */
export function command<const A extends Record<string, ArgSpec>, const O extends Record<string, OptionSpec>>(shape: Shape<A, O>): Command {
  return { ...shape, run: (given, tools) => shape.run(given as Given<A, O>, tools) };
}

/** A command line that cannot be meant: exit code 2, before anything was asked of the controller. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** The bound of every wait that the caller does not bound: a TCG boot on a busy host takes a minute or two. */
const USUAL_TIMEOUT_SECONDS = 300;

/** `--wait` and `--timeout`, the same for every command that changes a VM. */
export const waitOptions = {
  wait: { kind: 'maybe', flag: '--wait [goal]', doc: 'wait until it is done, or until: running, verified, paused, stopped, deleted' },
  timeout: {
    kind: 'number',
    flag: '--timeout <seconds>',
    doc: `how long to wait (${USUAL_TIMEOUT_SECONDS}); then exit code 3, and the operation goes on`,
  },
} as const satisfies Record<string, OptionSpec>;

export function goalOf(wait: string | true | undefined, usual: Goal): Goal | undefined {
  if (wait === undefined) return undefined;
  if (wait === true) return usual;
  const goals: readonly Goal[] = ['running', 'verified', 'paused', 'stopped', 'deleted'];
  const goal = goals.find((one) => one === wait);
  if (goal === undefined) throw new UsageError(`--wait ${wait}: it can be ${goals.join(', ')}`);
  return goal;
}

export function withinMsOf(timeout: number | undefined): number {
  if (timeout !== undefined && timeout < 0) throw new UsageError(`--timeout ${timeout}: seconds, 0 or more`);
  return (timeout ?? USUAL_TIMEOUT_SECONDS) * 1000;
}
