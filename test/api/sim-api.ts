import type { GoldenBuild, RootfsFinding } from '@linstock/contract';
import { decideVm, type Store } from '@linstock/core';
import { buildApp, CaseKeeper, diagnoseVm, Engine, GoldenKeeper, handlersOf, type Parts } from '@linstock/daemon';
import { openStore } from '@linstock/store';
import { aGolden, aNetwork, Fuse, SimHost, SimWorld, someHostFacts, testIds } from '@linstock/testkit';

/** What a guest of the simulated world wrote that panicked. */
const consoleOfPanic = [
  '[    0.000000] Linux version 6.1.0-sim (sim@sim) #1 SMP',
  '[    0.000000] Command line: console=ttyS0 root=/dev/vda',
  '[    0.500000] Kernel panic - not syncing: simulated',
  '',
].join('\n');

/**
 * The API as a function, over the real store, the real engine and the simulated host. Time moves when a test says so,
 * except that waiting requests drive the engine themselves: a wait that nobody works for would never end.
 */
export async function simApi(options: { token?: string; subnet?: string; stopping?: AbortSignal } = {}) {
  const world = new SimWorld();
  const ids = testIds();
  const store: Store = await openStore({ url: 'sqlite::memory:', ids, random: () => 0.5 });
  await store.write('network', (tx) =>
    tx.addNetwork(aNetwork(options.subnet === undefined ? {} : { subnet: options.subnet, gateway: '192.168.100.1' })),
  );
  let now = 1_700_000_000_000;
  const host = new SimHost({ world, power: new Fuse(null) });
  const program = { observe: host.observe.bind(host), decide: decideVm, perform: host.perform.bind(host) };
  const engine = new Engine({ store, program, now: () => now, sleep: never, worker: 'w', atOnce: 4 });

  const dropped: string[] = [];
  const findings: RootfsFinding[] = [];
  const builds: GoldenBuild[] = [];
  const keeper = new GoldenKeeper({
    drop: async ({ name, version }) => void dropped.push(`${name}@${version}`),
    store,
    ids,
    now: () => now,
    sleep: never,
    failed: (error) => {
      throw error;
    },
  });

  /** One tick of the world and one look at everything that is due. */
  const turn = async (): Promise<void> => {
    now += 250;
    world.tick();
    await engine.tick(new AbortController().signal);
    await keeper.pass();
    await caseKeeper.pass(new AbortController().signal);
  };
  const parts: Parts = {
    store,
    ids,
    now: () => now,
    sleep: async (_ms, signal) => {
      if (!signal.aborted) await turn();
    },
    host: {
      mark: 'beef',
      facts: async () => someHostFacts(),
      bootDetails: async () => ({
        requestedArgs: ['console=ttyS0'],
        addedArgs: [],
        vmmVersion: '1',
        effectiveArgs: null,
        address: '192.168.100.2',
        mac: '02:fc:c0:a8:64:02',
        consoleBytes: 5,
        reached: [],
      }),
      whyNoPause: async () => null,
      console: async function* () {
        yield Buffer.from('hello');
      },
      evidence: async (_vm, record) => [
        { kind: 'console', name: 'console', text: record.fault?.code === 'guest-panicked' ? consoleOfPanic : 'hello', cut: null },
      ],
      exec: async () => frames(),
      lint: async () => findings,
      differences: async () => [{ what: 'package bash', from: '5.1', to: '5.2' }],
      goldens: async () => [aGolden()],
    },
    goldenBuilds: {
      all: async () => builds,
      forget: async (gone) =>
        void builds.splice(
          builds.findIndex((one) => one.version === gone.version),
          1,
        ),
    },
    build: { version: '0.0.0', commit: null, startedAt: now, pid: 1, stateFolder: '/nowhere', running: 'a', onDisk: async () => 'a' },
  };
  const caseKeeper = new CaseKeeper({
    store,
    ids,
    now: () => now,
    sleep: never,
    diagnose: (vm, boot, signal) => diagnoseVm(parts, vm, signal, boot),
    stumbled: (_boot, error) => void bugs.push(error),
    failed: (error) => {
      throw error;
    },
  });
  let requests = 0;
  const bugs: unknown[] = [];
  const app = buildApp({
    handlers: handlersOf(parts),
    version: '0.0.0',
    token: options.token ?? null,
    now: () => now,
    stopping: options.stopping ?? new AbortController().signal,
    nextRequestId: () => `req_${(requests += 1)}`,
    log: ({ error }) => {
      if (error !== undefined) bugs.push(error);
    },
  });
  return { app, store, world, turn, bugs, dropped, findings, builds, close: async () => (await app.close(), store.close()) };
}

async function* frames() {
  yield { stream: 'stdout' as const, data: Buffer.from('out').toString('base64') };
  yield { exit: { code: 3, signal: null, timedOut: false } };
}

const never = (_ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
