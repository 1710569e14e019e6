/**
 * Test support: a network namespace that plays the host, namespaces that play guests and the internet, all in one place so that all of it
 * is removed again. A guest is a namespace with a veth `eth0` whose other end takes the place of `tap0`: for the bridge there is no difference.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Network } from '@linstock/contract';
import { wiringOf } from '@linstock/core';
import type { Wiring } from '@linstock/core';
import { exec, execOk, succeeded } from '../../tools/exec.ts';
import type { ExecResult } from '../../tools/exec.ts';
import { BridgeNetworks, namespaceState } from '../network.ts';

const TOOL = { timeoutMs: 30_000 };

/** Why tests that make namespaces cannot run here; null when they can. */
export async function whyNotReal(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'making network namespaces needs root';
  for (const argv of [
    ['ip', '-V'],
    ['nft', '--version'],
    ['bridge', '-V'],
    ['nsenter', '--version'],
    ['ping', '-V'],
  ]) {
    if ((await exec(argv, TOOL)).spawnError !== null) return `${argv[0]} is not installed`;
  }
  const add = await exec(['ip', 'netns', 'add', `t-can-${process.pid}`], TOOL);
  await exec(['ip', 'netns', 'del', `t-can-${process.pid}`], TOOL);
  return succeeded(add) ? null : 'this root may not make network namespaces';
}

export class HostStandIn implements AsyncDisposable {
  readonly id = randomBytes(2).toString('hex');
  readonly mark = this.id;
  readonly name = `t-${this.id}-host`;
  readonly #spaces: string[] = [];
  readonly #ends = new AbortController();
  readonly #running: Promise<ExecResult>[] = [];
  readonly folder: string;
  readonly networks: BridgeNetworks;

  static async make(): Promise<HostStandIn> {
    const host = new HostStandIn(await mkdtemp(join(tmpdir(), 'linstock network-')));
    await host.addSpace(host.name);
    await host.in(host.name, 'ip', 'link', 'set', 'lo', 'up');
    // a new namespace takes these settings from the machine's own (devconf_inherit_init_net), where another test may have switched it on
    await host.in(host.name, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=0');
    return host;
  }

  private constructor(folder: string) {
    this.folder = folder;
    this.networks = new BridgeNetworks({ mark: this.mark, stateFolder: folder, prefix: prefixOf(this.name) });
  }

  async addSpace(name: string): Promise<void> {
    await execOk(['ip', 'netns', 'add', name], TOOL);
    this.#spaces.push(name);
  }

  /** A command in a namespace that must work. */
  async in(space: string, ...argv: string[]): Promise<string> {
    return (await execOk([...prefixOf(space), ...argv], TOOL)).stdout;
  }

  /** A command whose failure is an answer. */
  async works(space: string, ...argv: string[]): Promise<boolean> {
    return succeeded(await exec([...prefixOf(space), ...argv], TOOL));
  }

  async batch(space: string, lines: readonly string[]): Promise<void> {
    if (lines.length > 0) await execOk([...prefixOf(space), 'ip', '-batch', '-'], { ...TOOL, input: Buffer.from(lines.join('\n') + '\n') });
  }

  /** A program that runs until the test is over. */
  start(space: string, ...argv: string[]): void {
    this.#running.push(exec([...prefixOf(space), ...argv], { timeoutMs: 120_000, signal: this.#ends.signal }));
  }

  pings(space: string, address: string, ...more: string[]): Promise<boolean> {
    return this.works(space, 'ping', '-n', '-c', '1', '-W', '2', ...more, address);
  }

  /** Is there an answer, of the kind that TCP gives? */
  connects(space: string, address: string, port: number): Promise<boolean> {
    const script = `const s=require('node:net').connect({host:'${address}',port:${port},timeout:2000},()=>process.exit(0));s.on('timeout',()=>process.exit(2));s.on('error',()=>process.exit(1))`;
    return this.works(space, process.execPath, '-e', script);
  }

  /** A TCP service in a namespace, reachable when the promise settles. */
  async listen(space: string, port: number): Promise<void> {
    this.start(
      space,
      process.execPath,
      '-e',
      `require('node:net').createServer(s=>s.on('error',()=>{}).end('hello')).listen(${port},'0.0.0.0')`,
    );
    await until(() => this.connects(space, '127.0.0.1', port), `something listens on port ${port} in ${space}`);
  }

  /** The namespace of a guest that behaves: its own MAC, its own address, the gateway as its way out. */
  async guest(network: Network, slot: number): Promise<{ space: string; wiring: Wiring }> {
    const wiring = wiringOf(this.mark, network, slot);
    const space = `t-${this.id}-g${network.index}-${slot}`;
    await this.addSpace(space);
    await this.batch(wiring.netns, [
      'link del tap0',
      `link add tap0 type veth peer name eth0 netns ${space}`,
      'link set tap0 addrgenmode none',
      'link set tap0 master br0 up',
    ]);
    await this.batch(space, [
      'link set lo up',
      `link set eth0 address ${wiring.mac} addrgenmode none`,
      'link set eth0 up',
      `address add ${wiring.address}/${wiring.prefix} dev eth0`,
      `route add default via ${network.gateway}`,
    ]);
    return { space, wiring };
  }

  /** Another namespace behind an uplink of the host, which knows no way back to any subnet of ours. */
  async internet(): Promise<{ space: string; address: string }> {
    const space = `t-${this.id}-net`;
    await this.addSpace(space);
    await this.batch(this.name, [
      `link add uplink type veth peer name eth0 netns ${space}`,
      'address add 10.99.0.2/24 dev uplink',
      'link set uplink up',
    ]);
    await this.batch(space, [
      'link set lo up',
      'link set eth0 up',
      'address add 10.99.0.1/24 dev eth0',
      'address add 169.254.169.254/32 dev eth0',
    ]);
    return { space, address: '10.99.0.1' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ends.abort();
    await Promise.all(this.#running);
    if ((await namespaceState(this.name)) === 'there') await this.networks.purge();
    for (const space of this.#spaces) await exec(['ip', 'netns', 'del', space], TOOL);
    await rm(this.folder, { recursive: true, force: true });
  }
}

export function prefixOf(space: string): readonly string[] {
  return ['nsenter', `--net=/run/netns/${space}`];
}

/** Asks until the answer is yes; each asking runs a program, which is all the waiting there is. */
export async function until(ask: () => Promise<boolean>, what: string): Promise<void> {
  const mostAskings = 100;
  for (let i = 0; i < mostAskings; i++) if (await ask()) return;
  throw new Error(`not so after ${mostAskings} askings: ${what}`);
}

export function aNetwork(host: HostStandIn, overrides: Partial<Network> = {}): Network {
  const index = overrides.index ?? 0;
  return {
    id: `net_${index}`,
    index,
    name: 'default',
    kind: 'bridge',
    subnet: `192.168.${100 + index}.0/24`,
    gateway: `192.168.${100 + index}.1`,
    bridge: `ls${host.mark}-br${index}`,
    egress: false,
    isolated: true,
    ...overrides,
  };
}
