/**
 * The CLI: makes the parser from the commands, runs one, prints errors at this one place.
 *
 * Exit codes: 0 done, 1 fault, 2 usage, 3 timed out waiting (the operation goes on), 130 interrupted; `vm exec` ends with
 * the guest command's, `doctor` with 1 when a must is bad. A fault is one sentence on stderr (what, why, what to do), its
 * code and request id; with `--json` its problem document is on stdout too, so that stdout always holds JSON.
 */
import { randomUUID } from 'node:crypto';
import { Command as Parser, CommanderError, InvalidArgumentError, Option } from 'commander';
import { FaultError } from '@linstock/contract';
import { connect, problemOf, type Linstock } from '@linstock/sdk';
import { exitCodes, UsageError, type Chance, type Command, type ExitCode, type Tools } from './command.ts';
import { commands as allCommands } from './commands.ts';
import { readEnvironment, type Environment } from './environment.ts';
import { Out, type Sink } from './out.ts';
import { painted, plain, safeJson } from './render.ts';
import { readServing } from './serving.ts';

export type World = {
  environment: Environment;
  stdout: Sink;
  stderr: Sink;
  /** aborted when the person wants to stop */
  signal: AbortSignal;
  self: string;
  chance: Chance;
  commands?: readonly Command[];
};

/** The reason of an abort by Ctrl-C; the exit code is the shell's usual one. */
export class Interrupted extends Error {
  readonly exitCode: number;
  constructor(exitCode: number) {
    super('interrupted');
    this.name = 'Interrupted';
    this.exitCode = exitCode;
  }
}

export async function runCli(argv: readonly string[], world: World): Promise<ExitCode> {
  let exitCode: ExitCode = exitCodes.done;
  const parser = new Parser('linstock')
    .description('Boots microVMs and proves each boot.')
    .exitOverride()
    .configureOutput({ writeOut: (text) => void world.stdout.write(text), writeErr: (text) => void world.stderr.write(text) })
    .configureHelp({ sortSubcommands: false })
    .showHelpAfterError('(add --help for what there is)')
    .enablePositionalOptions();
  const nouns = new Map<string, Parser>();
  for (const one of world.commands ?? allCommands) {
    addCommand(parser, nouns, one, async (given, common) => {
      exitCode = await runOne(one, given, common, world);
    });
  }
  try {
    await parser.parseAsync(argv[0] === '--version' || argv[0] === '-V' ? ['version'] : [...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitCodes.done : exitCodes.usage; // --help ends by throwing too; commander has said what was wrong
  }
  return exitCode;
}

const aboutNoun: Record<string, string> = {
  vm: 'Virtual machines: make them, prove them, look into them',
  boot: 'Boots: what was asked, what took effect, how far it came',
  golden: 'Golden images',
  kernel: 'Kernels: built and kept by name, and what is in one, known before it boots',
  rootfs: 'Root file systems: built from recipes, looked at before any boot',
  build: 'Builds of the controller: images and kernels under way',
  network: 'Networks and their leases',
  host: 'What this host can do',
  operation: 'Changes under way',
  completion: 'Completion for shells',
};

type GivenWords = { args: Record<string, unknown>; options: Record<string, unknown> };
type Common = { json: boolean; url: string | undefined; state: string | undefined };

function addCommand(
  parser: Parser,
  nouns: Map<string, Parser>,
  one: Command,
  run: (given: GivenWords, common: Common) => Promise<void>,
): void {
  const [noun, verb] = one.path;
  let parent = parser;
  if (verb !== undefined) {
    parent =
      nouns.get(noun) ??
      parser
        .command(noun)
        .description(aboutNoun[noun] ?? noun)
        .exitOverride();
    nouns.set(noun, parent);
  }
  const made = parent
    .command(verb ?? noun)
    .description(one.summary)
    .exitOverride();
  const argNames = Object.keys(one.args);
  for (const [name, spec] of Object.entries(one.args))
    made.argument({ text: `<${name}>`, optional: `[${name}]`, rest: `[${name}...]` }[spec.kind], spec.doc);
  const options = Object.entries(one.options).map(([name, spec]) => {
    const option = new Option(spec.flag, spec.doc);
    if (spec.kind === 'number') option.argParser(numberOf);
    if (spec.kind === 'list') option.argParser((text: string, before: unknown) => [...(Array.isArray(before) ? before : []), text]);
    made.addOption(option);
    return { name, spec, key: option.attributeName() };
  });
  made
    .option('--json', 'print JSON on stdout')
    .option('--url <url>', 'the controller to ask, instead of the one of the state folder')
    .option('--state <folder>', 'state folder (default: $LINSTOCK_STATE, else .linstock/state in the clone)');
  made.action(async (...words: unknown[]) => {
    const values: Record<string, unknown> = made.opts();
    const args = Object.fromEntries(argNames.map((name, index) => [name, words[index]]));
    const given = Object.fromEntries(
      options.map(({ name, spec, key }) => {
        const value = values[key];
        if (spec.kind === 'flag') return [name, spec.flag.startsWith('--no-') ? value === false : value === true]; // commander stores --no-x as x: false
        return [name, spec.kind === 'list' ? (value ?? []) : value];
      }),
    );
    await run({ args, options: given }, { json: values['json'] === true, url: textOr(values['url']), state: textOr(values['state']) });
  });
}

function textOr(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It is not a number.');
  return value;
}

async function runOne(one: Command, given: GivenWords, common: Common, world: World): Promise<ExitCode> {
  const { environment, stdout, stderr, signal } = world;
  const colour = !environment.noColor && !environment.dumbTerminal;
  await using out = new Out({
    stdout,
    stderr: environment.dumbTerminal ? { ...stderr, terminal: false } : stderr,
    json: common.json,
    colour,
    clock: performance,
  });
  const stateFolder = common.state ?? environment.stateFolder;
  let api: Linstock | null = null;
  const tools: Tools = {
    out,
    signal,
    stateFolder,
    environment,
    self: world.self,
    chance: world.chance,
    url: common.url,
    api: async () => (api ??= await connectTo(common.url, stateFolder)),
  };
  try {
    return (await one.run(given, tools)) ?? exitCodes.done;
  } catch (error) {
    out.quiet();
    return await explain(error, out, signal, api !== null);
  } finally {
    await (api as Linstock | null)?.close();
  }
}

/** Not bound to the interrupt: commands pass it to each call, and clean-up must still be able to ask. */
async function connectTo(url: string | undefined, stateFolder: string): Promise<Linstock> {
  if (url !== undefined) {
    if (!/^https?:/.test(url) || !URL.canParse(url)) throw new UsageError(`--url ${url}: it is like http://127.0.0.1:7420`);
    return connect({ url });
  }
  const serving = await readServing(stateFolder);
  return connect({ url: serving.url, ...(serving.token === null ? {} : { token: serving.token }) });
}

/** The one place where errors meet people. */
async function explain(error: unknown, out: Out, signal: AbortSignal, asked: boolean): Promise<ExitCode> {
  if (signal.aborted && (error === signal.reason || isAbort(error))) {
    const reason: unknown = signal.reason;
    if (reason instanceof Interrupted && reason.exitCode === exitCodes.interrupted)
      out.say(asked ? 'Interrupted. What the controller has begun goes on there.' : 'Interrupted.');
    return reason instanceof Interrupted ? reason.exitCode : exitCodes.interrupted;
  }
  if (error instanceof UsageError) {
    out.say(`error: ${plain(error.message)}`);
    return exitCodes.usage;
  }
  if (!FaultError.is(error)) throw error; // a bug: it ends the process, with its stack
  const problem = problemOf(error);
  if (out.json) await out.lines([safeJson(problem)]);
  const request = error.requestId === undefined ? '' : `, request ${plain(error.requestId)}`;
  out.say(`${painted(out.talkStyle, 'red', 'error:')} ${plain(error.message)}\n       (${plain(problem.code)}${request})`);
  return exitCodes.fault;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function sinkOf(stream: NodeJS.WriteStream, closed: () => void): Sink {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    closed(); // the reader has seen enough, as with `| head`
  });
  return {
    terminal: stream.isTTY === true,
    width: () => stream.columns ?? 0,
    write: (data) =>
      new Promise((resolve) => {
        if (stream.destroyed || stream.write(data)) resolve();
        else stream.once('drain', resolve).once('close', resolve);
      }),
  };
}

async function main(): Promise<void> {
  const aborter = new AbortController();
  const stop = (exitCode: number): void => {
    if (aborter.signal.aborted) process.exit(exitCode); // asked twice: at once
    aborter.abort(new Interrupted(exitCode));
  };
  process.on('SIGINT', () => stop(exitCodes.interrupted));
  process.on('SIGTERM', () => stop(143));
  const closed = (): void => process.exit(exitCodes.done);
  const environment = readEnvironment();
  const world: World = {
    environment,
    stdout: sinkOf(process.stdout, closed),
    stderr: sinkOf(process.stderr, closed),
    signal: aborter.signal,
    self: environment.self,
    chance: { now: Date.now, word: () => randomUUID().slice(0, 8) },
  };
  process.exitCode = await runCli(process.argv.slice(2), world);
}

if (import.meta.main) await main();
