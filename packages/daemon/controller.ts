import { anySignal, type HostFacts, type HostId, type Network } from '@linstock/contract';
import { decideVm, type Store } from '@linstock/core';
import { BridgeNetworks, GoldenBuilds, ImageStore, LocalHost, Starter, Vmms, type Paths } from '@linstock/host';
import { openStore } from '@linstock/store';
import type { Handlers } from './api/app.ts';
import { handlersOf } from './api/handlers.ts';
import { hostReadsOf } from './api/host-reads.ts';
import type { Parts } from './api/parts.ts';
import { BuildKeeper } from './build-keeper.ts';
import { buildIn } from './builds.ts';
import { diagnoseVm } from './api/evidence.ts';
import { SourceDigest, readCommit, readVersion } from './build-info.ts';
import { CaseKeeper } from './case-keeper.ts';
import { clock } from './clock.ts';
import type { Config } from './config.ts';
import { ensureDefaultNetwork } from './default-network.ts';
import { Engine, stumbleOf } from './engine.ts';
import { GoldenKeeper } from './golden-keeper.ts';
import { ids, random } from './ids.ts';
import { openInstallation } from './installation.ts';
import { Reclaim } from './reclaim.ts';
import { Spares } from './spares.ts';

/** The reclaim pass runs this often, and at start. */
const reclaimEveryMs = 60_000;
/** Most of a turn is waiting for tools and the guest. */
const turnsAtOnce = 32;

export type ControllerLog = { info(entry: object, text: string): void; error(entry: object, text: string): void };

export type Controller = {
  handlers: Handlers;
  parts: Parts;
  store: Store;
  mark: string;
  token: string;
  version: string;
  paths: Paths;
  /** Works until the signal fires; rejects on a bug. */
  run(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
};

/**
 * Everything wired together, without a socket: the server puts HTTP before it, a program may use it as a library.
 * The only place that builds.
 */
export async function openController(config: Config, facts: HostFacts, log: ControllerLog): Promise<Controller> {
  const installation = await openInstallation(config.stateFolder, clock.now());
  const { paths, mark } = installation;
  const store = await openStore({ url: `sqlite:${paths.database}`, ids, random });
  const starter = new Starter();
  try {
    const images = new ImageStore({ folder: paths.images, now: clock.now });
    await images.open();
    const bridged = (config.network ?? (facts.root ? 'bridge' : 'user')) === 'bridge';
    const networks = bridged ? new BridgeNetworks({ mark, stateFolder: paths.network }) : null;
    starter.open();
    const vmms = new Vmms({ mark, paths, facts, stub: config.stub, starter });
    const id: HostId = `host_${mark}`;
    const host = new LocalHost({
      id,
      mark,
      paths,
      vmms,
      networks,
      images,
      egressProbe: config.egressProbe,
      bootsAtOnce: facts.accelerator === 'tcg' && facts.usualVmm !== 'stub' ? Math.max(1, facts.cores) : 64,
      now: clock.now,
      sleep: clock.sleep,
    });
    const network = await ensureDefaultNetwork(store, config, mark, networks);
    await networks?.ensureNetwork(network);
    await store.write('host facts', (tx) => tx.keepHostFacts(id, facts));
    await store.takeOver(clock.now()); // whoever opens holds the folder's lock, so every other worker of it is dead
    const sources = new SourceDigest();
    const version = await readVersion();
    const parts: Parts = {
      store,
      goldenBuilds: new GoldenBuilds(images, clock.now),
      ids,
      now: clock.now,
      sleep: clock.sleep,
      host: hostReadsOf(host, mark, facts),
      build: {
        version,
        commit: await readCommit(),
        startedAt: clock.now(),
        pid: process.pid,
        stateFolder: paths.state,
        running: await sources.read(),
        onDisk: () => sources.read(),
      },
    };
    const engine = new Engine({
      store,
      worker: `${process.pid}-${ids.next('evt', clock.now())}`,
      atOnce: turnsAtOnce,
      now: clock.now,
      sleep: clock.sleep,
      program: { observe: (vm) => host.observe(vm), decide: decideVm, perform: (step, vm, ticket) => host.perform(step, vm, ticket) },
      onTurn: (vm, turn) => log.info({ vm: vm.id, phase: vm.phase, ...turn }, 'turn'),
    });
    const spares = new Spares({
      store,
      network,
      count: config.spares,
      sleep: clock.sleep,
      keep: (slots, signal) => host.keepSpares(network, slots, signal),
      failed: (error) =>
        log.error(
          { fault: stumbleOf(error, 'make a spare slot') },
          'a spare slot could not be made; it is tried again after the next change',
        ), // throws what is a bug
    });
    const goldenKeeper = new GoldenKeeper({
      drop: (golden) => images.drop(golden),
      store,
      ids,
      now: clock.now,
      sleep: clock.sleep,
      failed: (error) =>
        log.error({ fault: stumbleOf(error, 'settle a verification') }, 'a verification could not be settled; it is looked at again'), // throws what is a bug
    });
    const buildKeeper = new BuildKeeper({
      store,
      build: (order, asked) => buildIn(images, paths.state, order, asked),
      now: clock.now,
      sleep: clock.sleep,
      failed: (error, build) => log.error({ error, build }, 'a build went wrong in a way that nobody foresaw, or could not be recorded'),
    });
    const caseKeeper = new CaseKeeper({
      store,
      ids,
      now: clock.now,
      sleep: clock.sleep,
      diagnose: (vm, boot, signal) => diagnoseVm(parts, vm, signal, boot),
      stumbled: (boot, error) => log.error({ boot, err: error }, 'a boot could not be diagnosed; it is tried again'),
      failed: (error) => log.error({ fault: stumbleOf(error, 'keep the cases') }, 'the cases could not be kept; they are looked at again'), // throws what is a bug
    });
    const reclaim = new Reclaim({ store, host, mark, now: clock.now });
    return {
      handlers: handlersOf(parts),
      parts,
      store,
      mark,
      token: installation.token,
      version,
      paths,
      run: async (signal) => {
        const over = new AbortController();
        const both = anySignal([signal, over.signal]);
        const work = [
          engine.run(both),
          follow(host, store, both),
          goldenKeeper.run(both),
          buildKeeper.run(both),
          caseKeeper.run(both),
          everyMinute(reclaim, networks, network, both, log),
          ...(networks && config.spares > 0 ? [spares.run(both)] : []),
        ];
        try {
          await Promise.all(work); // none of them ends by itself: the first that rejects is a bug
        } finally {
          over.abort();
          await Promise.allSettled(work);
        }
      },
      close: async () => {
        starter.close();
        await store.close();
      },
    };
  } catch (error) {
    starter.close();
    await store.close();
    throw error;
  }
}

/** Hints wake their VM; nothing rests on them. */
async function follow(host: LocalHost, store: Store, signal: AbortSignal): Promise<void> {
  for await (const vm of host.hints(signal)) {
    try {
      await store.wake(vm, clock.now());
    } catch (error) {
      stumbleOf(error, 'follow a hint'); // throws what is a bug; a hint that is lost costs a look at the clock
    }
  }
}

/** What holds for the network and the marks is made true again and again: start is the ordinary loop. */
async function everyMinute(
  reclaim: Reclaim,
  networks: BridgeNetworks | null,
  network: Network,
  signal: AbortSignal,
  log: ControllerLog,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await networks?.ensureNetwork(network, signal);
      const { removed, failed } = await reclaim.pass();
      if (removed.length > 0) log.info({ removed }, 'removed what nobody claims');
      if (failed.length > 0) log.error({ failed }, 'some of what nobody claims could not be removed; it is tried again in a minute');
    } catch (error) {
      if (signal.aborted) return;
      log.error({ fault: stumbleOf(error, 'reclaim') }, 'the reclaim pass failed; it is repeated in a minute'); // throws what is a bug
    }
    await clock.sleep(reclaimEveryMs, signal);
  }
}
