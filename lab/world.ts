/**
 * The lab's own host: a network namespace plays the machine, in which the product's own organs run (host, store, engine, API), but not its pass of
 * every minute, which would mend what a scenario has broken. An "internet" lies behind an uplink. Everything bears the mark of the lab's state folder.
 */
import { cp, link, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { makeId, type EvidenceBundle, type GoldenManifest, type Id, type IdKind, type Network, type VmView } from '@linstock/contract';
import { decideVm, type Store } from '@linstock/core';
import { buildApp, Engine, handlersOf, hostReadsOf, prepare, readConfig, type Parts } from '@linstock/daemon';
import { BridgeNetworks, exec, execOk, ImageStore, LocalHost, Paths, Starter, surveyHost, TINY, Vmms } from '@linstock/host';
import { openStore } from '@linstock/store';
import { after } from './after.ts';

export const subnet = '10.78.0.0/24';
const gateway = '10.78.0.1';
export const internet = { address: '10.99.0.1', port: 8_000 };
const toolMs = 20_000;
/** Made once and shared with the tests of real guests: building takes 20 s, linking nothing. */
const cache = join(import.meta.dirname, '..', '.linstock', 'test-guests');

export type World = {
  readonly mark: string;
  readonly network: Network;
  readonly images: ImageStore;
  readonly tiny: GoldenManifest;
  readonly paths: Paths;
  send(method: 'GET' | 'POST' | 'DELETE', url: string, body?: object, waitSeconds?: number): Promise<unknown>;
  evidence(vm: string): Promise<EvidenceBundle>;
  vm(name: string): Promise<VmView>;
  /** loads the rules of the network again, and its address */
  restoreNetwork(): Promise<void>;
  close(): Promise<void>;
};

const newId = <K extends IdKind>(kind: K, now: number): Id<K> => makeId(kind, now, randomBytes(10));

export async function openWorld(stateFolder: string, mark: string): Promise<World> {
  const paths = new Paths(stateFolder);
  const images = await sharedImages(paths);
  const over = new AbortController();
  const config = readConfig({});
  const { facts } = await surveyHost({ ...config, vmm: 'qemu', paths, now: Date.now(), signal: over.signal });
  const networks = new BridgeNetworks({ mark, stateFolder: paths.network });
  const starter = new Starter();
  starter.open();
  const vmms = new Vmms({ mark, paths, facts, stub: null, starter });
  const host = new LocalHost({
    id: `host_${mark}`,
    mark,
    paths,
    vmms,
    networks,
    images,
    egressProbe: { host: internet.address, port: internet.port },
    bootsAtOnce: 1,
    now: Date.now,
    sleep: after,
  });
  const network: Network = {
    id: newId('net', Date.now()),
    index: 0,
    name: 'default',
    kind: 'bridge',
    subnet,
    gateway,
    bridge: `ls${mark}-br0`,
    egress: true,
    isolated: true,
  };
  const store: Store = await openStore({ url: 'sqlite::memory:', ids: { next: newId }, random: () => 0.5 });
  await store.write('network', (tx) => tx.addNetwork(network));
  await networks.ensureNetwork(network);
  const parts: Parts = {
    store,
    goldenBuilds: { all: async () => [], forget: async () => {} },
    ids: { next: newId },
    now: Date.now,
    sleep: after,
    host: hostReadsOf(host, mark, facts),
    build: {
      version: '0.1.0',
      commit: null,
      startedAt: Date.now(),
      pid: process.pid,
      stateFolder,
      running: 'lab',
      onDisk: async () => 'lab',
    },
  };
  const engine = new Engine({
    store,
    worker: 'lab',
    atOnce: 8,
    now: Date.now,
    sleep: after,
    program: { observe: (vm) => host.observe(vm), decide: decideVm, perform: (step, vm, ticket) => host.perform(step, vm, ticket) },
  });
  let requests = 0;
  const bugs: unknown[] = [];
  const app = buildApp({
    handlers: handlersOf(parts),
    version: '0.1.0',
    token: null,
    now: Date.now,
    stopping: over.signal,
    nextRequestId: () => `req_${(requests += 1)}`,
    log: ({ error }) => {
      if (error !== undefined) bugs.push(error);
    },
  });
  const follow = async (): Promise<void> => {
    for await (const vm of host.hints(over.signal)) await store.wake(vm, Date.now());
  };
  const work = [engine.run(over.signal), follow()];
  const send: World['send'] = async (method, url, body, waitSeconds) => {
    const headers = waitSeconds === undefined ? {} : { prefer: `wait=${waitSeconds}` };
    const reply = await app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body }) });
    if (bugs.length > 0) throw bugs[0];
    const answer: unknown = reply.body === '' ? null : JSON.parse(reply.body.trim().split('\n').at(-1) ?? 'null');
    if (reply.statusCode >= 400) throw new Error(`${method} ${url}: ${reply.body}`);
    return answer;
  };
  return {
    mark,
    network,
    images,
    tiny: await tinyOf(images),
    paths,
    send,
    evidence: async (vm) => (await send('GET', `/v1/vms/${vm}/evidence`)) as EvidenceBundle,
    vm: async (name) => (await send('GET', `/v1/vms/${name}`)) as VmView,
    restoreNetwork: () => networks.ensureNetwork(network),
    close: async () => {
      over.abort();
      await Promise.allSettled(work);
      await app.close();
      starter.close();
      await store.close();
    },
  };
}

async function tinyOf(images: ImageStore): Promise<GoldenManifest> {
  const tiny = await images.newest(TINY, () => true);
  if (tiny === undefined) throw new Error('there is no golden image tiny');
  return tiny;
}

/** Before the namespace: building asks the network. */
export function prepareCache(): Promise<unknown> {
  return prepare({ stateFolder: cache, environment: {}, signal: AbortSignal.timeout(600_000), progress: () => {} });
}

async function sharedImages(paths: Paths): Promise<ImageStore> {
  for (const part of ['blobs', 'goldens']) await linkTree(join(cache, 'images', part), join(paths.images, part));
  await mkdir(join(paths.images, 'scratch'), { recursive: true });
  await cp(new Paths(cache).hostFacts, paths.hostFacts);
  const images = new ImageStore({ folder: paths.images, now: Date.now });
  await images.open();
  return images;
}

async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await linkTree(source, target);
    else
      await link(source, target).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EXDEV') throw error;
        await cp(source, target);
      });
  }
}

/** What the lab needs around it, made by whoever starts it: the machine, and an internet behind its uplink with something that answers. */
export async function makeSurroundings(machine: string, signal: AbortSignal): Promise<void> {
  const outside = `${machine}-net`;
  const at = (space: string, ...argv: string[]): Promise<unknown> =>
    execOk(['nsenter', `--net=/run/netns/${space}`, ...argv], { timeoutMs: toolMs, signal });
  for (const space of [machine, outside]) {
    await execOk(['ip', 'netns', 'add', space], { timeoutMs: toolMs, signal });
    await at(space, 'ip', 'link', 'set', 'lo', 'up');
  }
  await at(machine, 'ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside);
  await at(machine, 'ip', 'address', 'add', '10.99.0.2/24', 'dev', 'uplink');
  await at(machine, 'ip', 'link', 'set', 'uplink', 'up');
  await at(outside, 'ip', 'address', 'add', `${internet.address}/24`, 'dev', 'eth0');
  await at(outside, 'ip', 'link', 'set', 'eth0', 'up');
  await at(machine, 'ip', 'route', 'add', 'default', 'via', internet.address);
  const server = `require('node:http').createServer((_, r) => r.end('the internet')).listen(${internet.port}, '0.0.0.0')`;
  void exec(['nsenter', `--net=/run/netns/${outside}`, process.execPath, '-e', server], { timeoutMs: 3_600_000, signal });
}

export async function dropSurroundings(machine: string): Promise<void> {
  for (const space of [`${machine}-net`, machine]) await exec(['ip', 'netns', 'del', space], { timeoutMs: toolMs });
}
