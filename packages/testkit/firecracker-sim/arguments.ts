/**
 * The argument parser that firecracker and jailer share (firecracker/src/main.rs): `--key value` only, a flag at most once, what follows `--` is left
 * alone. `--help` and `--version` win over everything that would be wrong.
 */
export type Argument = {
  value: boolean;
  many?: boolean;
  required?: boolean;
  requires?: string;
  forbids?: string;
};

/** `debug`: what Rust's `{:?}` makes of it. */
export class ArgumentError extends Error {
  readonly debug: string;
  constructor(message: string, debug: string) {
    super(message);
    this.debug = debug;
  }
}

export type Arguments = { given: ReadonlyMap<string, readonly string[]>; extra: readonly string[] };

export function parseArguments(table: Readonly<Record<string, Argument>>, argv: readonly string[]): Arguments {
  const separator = argv.indexOf('--');
  const own = separator === -1 ? argv : argv.slice(0, separator);
  const extra = separator === -1 ? [] : argv.slice(separator + 1);
  if (own.includes('--help') || own.includes('-h')) return { given: new Map([['help', []]]), extra };
  if (own.includes('--version')) return { given: new Map([['version', []]]), extra };
  const given = new Map<string, string[]>();
  for (let at = 0; at < own.length; at += 1) {
    const word = own[at]!;
    if (!word.startsWith('--')) throw unexpected(word);
    const name = word.slice(2);
    const argument = Object.hasOwn(table, name) ? table[name] : undefined;
    if (!argument) throw unexpected(name);
    const before = given.get(name);
    if (before && argument.many !== true)
      throw new ArgumentError(`The argument '${name}' was provided more than once.`, `DuplicateArgument("${name}")`);
    if (!argument.value) {
      given.set(name, []);
      continue;
    }
    at += 1;
    const value = own[at];
    if (value === undefined || value.startsWith('--'))
      throw new ArgumentError(`The argument '${name}' requires a value, but none was supplied.`, `MissingValue("${name}")`);
    given.set(name, [...(before ?? []), value]);
  }
  // In the order of the names, as the real one keeps them in a sorted tree.
  for (const name of Object.keys(table).toSorted()) {
    const { required, requires, forbids } = table[name]!;
    if (required === true && !given.has(name))
      throw new ArgumentError(`Argument '${name}' required, but not found.`, `MissingArgument("${name}")`);
    if (!given.has(name)) continue;
    if (requires !== undefined && !own.includes(`--${requires}`))
      throw new ArgumentError(`Argument '${requires}' required, but not found.`, `MissingArgument("${requires}")`);
    if (forbids !== undefined && own.includes(`--${forbids}`))
      throw new ArgumentError(
        `Argument '${forbids}' cannot be used together with argument '${name}'.`,
        `ForbiddenArgument("${name}", "${forbids}")`,
      );
  }
  return { given, extra };
}

function unexpected(what: string): ArgumentError {
  return new ArgumentError(
    `Found argument '${what}' which wasn't expected, or isn't valid in this context.`,
    `UnexpectedArgument("${what}")`,
  );
}

/** The rule for `--id` of both programs (utils/src/validators.rs): null when it is fine. Lengths are bytes. */
export function wrongInstanceId(id: string): string | null {
  const length = Buffer.byteLength(id);
  if (length < 1 || length > 64) return `Invalid len (${length});  the length must be between 1 and 64`;
  const wrong = [...id].findIndex((letter) => letter !== '-' && !/[\p{Alphabetic}\p{N}]/u.test(letter));
  return wrong === -1 ? null : `Invalid char (${[...id][wrong]}) at position ${wrong}`;
}
