/**
 * From a bare host to a proved VM. Every step makes something true, so that a second `up` is quick and changes nothing,
 * and an interrupted one is finished by the next. What matters is done by the controller; here it is only asked for.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FaultError, type BootView, type HostView, type VmView } from '@linstock/contract';
import { problemOf, type Linstock } from '@linstock/sdk';
import { command, exitCodes, UsageError, withinMsOf, type Command, type ExitCode, type Tools } from '../command.ts';
import { loadDaemon, type DaemonFace, type Prepared, type Started } from '../daemon-face.ts';
import { askOnTerminal, ensurePackages, lookAtHost } from '../host-install.ts';
import { page, painted, plain, proofSummary, took, verdictCell, type Style } from '../render.ts';
import { reachOf, watching } from '../vm-page.ts';

const FIRST = 'first';
/** How long clean-up may take after `--once` was interrupted or failed: a way down is seconds, retried a few times. */
const CLEANUP_MS = 60_000;

type UpOptions = { yes: boolean; once: boolean; port: number | undefined; timeout: number | undefined };

export function upCommand(load: () => Promise<DaemonFace>): Command {
  return command({
    path: ['up'],
    summary: 'Prepare this host, start the controller, boot a first VM and prove it',
    args: {},
    options: {
      yes: { kind: 'flag', flag: '--yes', doc: 'install missing packages without asking' },
      once: { kind: 'flag', flag: '--once', doc: 'boot and prove a VM of its own, then leave nothing running that was not running before' },
      port: {
        kind: 'number',
        flag: '--port <n>',
        doc: 'where the API shall listen on 127.0.0.1 (a free port); a controller that runs already is kept as it is',
      },
      timeout: { kind: 'number', flag: '--timeout <seconds>', doc: 'how long the boot may take (300)' },
    },
    async run({ options }, tools) {
      const { port } = options;
      if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535))
        throw new UsageError(`--port ${port}: a number from 1 to 65535`);
      tools.out.progress({ name: 'looking at this host' });
      const daemon = await load(); // a second on a slow machine, the first time
      return options.once ? once(daemon, options, tools) : stay(daemon, options, tools);
    },
  });
}

export const up = upCommand(loadDaemon);

async function ready(daemon: DaemonFace, options: UpOptions, tools: Tools): Promise<{ installed: readonly string[]; prepared: Prepared }> {
  const { out, signal, environment, stateFolder } = tools;
  const somebody = process.stdin.isTTY === true && process.stderr.isTTY === true && !options.yes;
  const root = process.getuid?.() === 0;
  const installed = await ensurePackages({
    look: () => lookAtHost(environment.programFolders, root, daemon.isStaticElf),
    exec: (argv, o) => daemon.exec(argv, o),
    ask: somebody ? (question) => askOnTerminal(question, signal) : null,
    out,
    signal,
  });
  out.progress({ name: 'preparing the state folder, the probe boot and the golden image' });
  const prepared = await daemon.prepare({
    stateFolder,
    environment: environment.variables,
    signal,
    progress: (step) => out.progress(step),
  });
  return { installed, prepared };
}

function start(daemon: DaemonFace, options: UpOptions, tools: Tools): Promise<Started> {
  const { out, signal, stateFolder, environment } = tools;
  out.progress({ name: 'starting the controller' });
  return daemon.startInBackground({
    stateFolder,
    environment: environment.variables,
    signal,
    port: options.port ?? 0,
  });
}

async function stay(daemon: DaemonFace, options: UpOptions, tools: Tools): Promise<ExitCode> {
  const { out, signal, self } = tools;
  const began = performance.now();
  const { installed, prepared } = await ready(daemon, options, tools);
  const started = await start(daemon, options, tools);
  const api = await tools.api();
  let first: { vm: VmView; changed: boolean; reached: boolean };
  let failure: FaultError | null = null;
  try {
    first = await ensureFirst(api, tools, withinMsOf(options.timeout));
  } catch (error) {
    if (FaultError.is(error, 'daemon-unreachable')) throw await whyItEnded(error, tools.stateFolder);
    // A boot that cannot be proved is still shown: what was proved, and where it stopped, is what a person needs now.
    if (!FaultError.is(error, 'goal-unreachable')) throw error;
    failure = error;
    first = { vm: await api.vms.show(FIRST, { signal }), changed: true, reached: true };
  }
  const boot = await api.vms.boot(first.vm.id, { signal });
  out.quiet();
  const changed = installed.length > 0 || prepared.changed || !started.already || first.changed;
  const document = {
    verified: failure === null && first.vm.verified === 'proved',
    changed,
    url: started.url,
    pid: started.pid,
    vm: first.vm,
    boot,
    took: Math.round(performance.now() - began),
    ...(failure === null ? {} : { fault: problemOf(failure) }),
  };
  await out.answer(document, () =>
    upPage(
      out.style,
      self,
      { ...document, prepared, stateFolder: tools.stateFolder },
      out.timeline(boot?.timeline ?? []),
      boot?.proof ? out.proof(boot.proof, { evidence: false }) : [],
    ),
  );
  if (failure !== null) out.say(`${failure.message}\nLook at it: ${self} vm console ${FIRST}; try again: ${self} up`);
  if (!first.reached) {
    out.say(`${FIRST} is not verified yet; the time to wait was up. The boot goes on: ${self} vm show ${FIRST}`);
    return exitCodes.timedOut;
  }
  return document.verified ? exitCodes.done : exitCodes.fault;
}

async function firstOf(api: Linstock, signal: AbortSignal): Promise<VmView | null> {
  let found: VmView | null = null;
  for await (const vm of api.vms.list({ name: FIRST, signal })) if (vm.state !== 'deleted') found = vm; // asked for by name, those are listed too
  return found;
}

/** The controller that was just started has gone: "start one" would be no advice; its last words are. */
async function whyItEnded(error: FaultError, stateFolder: string): Promise<FaultError> {
  const words = await readFile(join(stateFolder, 'controller.err'), 'utf8').then(
    (text) => text.trim().split('\n').at(-1) ?? '',
    () => '', // it has left none: it was killed, or is only busy
  );
  if (words === '') return error;
  const url = error.fault.data['url'] ?? stateFolder;
  return new FaultError(
    'daemon-unreachable',
    { url, hint: `it ended with the words "${words}", see ${join(stateFolder, 'controller.log')}` },
    { cause: error },
  );
}

/** The VM `first`, verified: made, started, examined again or left alone, as it needs. */
async function ensureFirst(api: Linstock, tools: Tools, withinMs: number): Promise<{ vm: VmView; changed: boolean; reached: boolean }> {
  const { signal } = tools;
  const waiting = { until: 'verified' as const, withinMs, signal, ...watching(tools) };
  let found = await firstOf(api, signal);
  if (found?.state === 'deleting') {
    await api.vms.wait(found.id, 'deleted', { withinMs, signal, ...watching(tools) });
    found = null;
  }
  if (found === null) {
    try {
      return { ...(await api.vms.create({ name: FIRST }, waiting)), changed: true };
    } catch (error) {
      // another `up` at the same time was quicker: what it made is as good
      if (FaultError.is(error, 'vm-name-taken')) found = await firstOf(api, signal);
      if (found === null) throw error;
    }
  }
  if (found.state === 'running' && found.verified === 'proved') return { vm: found, changed: false, reached: true };
  // what may be done is the server's to say; here is only the order of preference
  const action = (['start', 'resume', 'verify'] as const).find((one) => found.allowed.includes(one));
  if (action === undefined) return { ...(await api.vms.wait(found.id, 'verified', waiting)), changed: true };
  return { ...(await api.vms[action](found.id, waiting)), changed: true };
}

type UpFacts = {
  stateFolder: string;
  verified: boolean;
  changed: boolean;
  url: string;
  vm: VmView;
  boot: BootView | null;
  took: number;
  prepared: Prepared;
};

/** A word that a shell takes as it is. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What a person reads at the end. Pure. */
export function upPage(
  style: Style,
  self: string,
  facts: UpFacts,
  timeline: readonly string[],
  proof: readonly string[],
): readonly string[] {
  const { vm, boot, prepared } = facts;
  const { text, paint } = verdictCell(vm.verified);
  const title = (words: string): string => painted(style, 'bold', words);
  return [
    ...(boot?.proof ? [title('Proof'), ...proof, ''] : []),
    ...(boot === null ? [] : [title('Boot'), ...timeline, '']),
    `${painted(style, paint, text)}  ${vm.name}${boot?.proof ? `: ${proofSummary(boot.proof)}` : ''}${facts.changed ? ` (all of it took ${took(facts.took)})` : ' (nothing had to change)'}`,
    ...(vm.says === null ? [] : [painted(style, 'red', plain(vm.says))]),
    '',
    ...page(
      [
        ['api', [facts.url, `curl -H @${shellWord(join(facts.stateFolder, 'authorization'))} ${facts.url}/v1/vms`]],
        [
          'vm',
          `${vm.golden.name}@${vm.golden.version} on ${prepared.accelerator}, ${prepared.root ? 'as root' : 'as an ordinary user'}, ${vm.address ?? 'no address'}, ports ${reachOf(vm)}`,
        ],
        ...(prepared.advice.length === 0 ? [] : [['advice', prepared.advice] as const]),
        [
          'look at',
          [
            `${self} vm list`,
            `${self} vm proof ${vm.name} --evidence`,
            `${self} vm console ${vm.name}`,
            `${self} vm exec ${vm.name} -- uname -a`,
            `${self} vm create --wait verified`,
          ],
        ],
        [
          'undo',
          [
            `${self} down            stops the controller; VMs go on`,
            `${self} down --purge    ends every VM and removes all that was made`,
          ],
        ],
      ],
      style,
    ),
  ];
}

/**
 * Boots a VM of its own, proves it and goes. Always one JSON document with --json, a failure included: whoever asked
 * wants to know how far it came.
 */
async function once(daemon: DaemonFace, options: UpOptions, tools: Tools): Promise<ExitCode> {
  const { out, signal, stateFolder } = tools;
  const began = performance.now();
  let vm: VmView | null = null;
  let boot: BootView | null = null;
  let host: HostView | null = null;
  let started: Started | null = null;
  let api: Linstock | null = null;
  let failure: Error | null = null;
  try {
    await ready(daemon, options, tools);
    started = await start(daemon, options, tools);
    api = await tools.api();
    host = (await api.hosts.list({ signal }))[0] ?? null;
    const watch = watching(tools);
    const name = `once-${tools.chance.word()}`;
    // Not with the caller's signal: an interrupt between the request and its answer would leave a VM nobody knows of.
    vm = (await api.vms.create({ name })).vm;
    watch.onAccepted(vm);
    const made = await api.vms.wait(vm.id, 'verified', {
      withinMs: withinMsOf(options.timeout),
      signal,
      onView: (view) => {
        vm = view;
        watch.onView(view);
      },
    });
    vm = made.vm;
    if (!made.reached)
      failure = new FaultError('took-too-long', {
        phase: made.vm.phase,
        seconds: withinMsOf(options.timeout) / 1000,
        furthest: '?',
        needs: 'more time',
      });
  } catch (error) {
    failure = errorOf(error);
  }
  const seen: VmView | null = vm;
  const cleanup = AbortSignal.timeout(CLEANUP_MS); // not the caller's signal: an interrupt must not leave a VM behind
  try {
    if (api !== null && seen !== null) {
      const id: string = (seen as VmView).id;
      if (!signal.aborted) {
        vm = await api.vms.show(id, { signal: cleanup });
        boot = await api.vms.boot(id, { signal: cleanup });
      }
      out.progress({ name: 'cleaning up' });
      await api.vms.delete(id, { until: 'deleted', withinMs: CLEANUP_MS, signal: cleanup });
    }
  } catch (error) {
    failure ??= errorOf(error);
  }
  try {
    if (started !== null && !started.already) await daemon.stop({ stateFolder, signal: cleanup });
  } catch (error) {
    failure ??= errorOf(error);
  }
  out.quiet();
  signal.throwIfAborted();
  const result = {
    verified: failure === null && (vm as VmView | null)?.verified === 'proved',
    vm: vm as VmView | null,
    boot,
    host,
    took: Math.round(performance.now() - began),
  };
  if (failure !== null && !FaultError.is(failure)) throw failure;
  const document = FaultError.is(failure) ? { ...result, fault: problemOf(failure) } : result;
  await out.answer(document, () => [
    ...(boot?.proof ? out.proof(boot.proof, { evidence: false }) : []),
    ...(boot === null ? [] : ['', ...out.timeline(boot.timeline)]),
    '',
    `${result.verified ? painted(out.style, 'green', '✓ verified') : painted(out.style, 'red', '✗ not verified')}  in ${took(result.took)}; nothing was left running`,
  ]);
  if (failure !== null) out.say(failure.message);
  return result.verified ? exitCodes.done : exitCodes.fault;
}

function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
