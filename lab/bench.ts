/** What the deed of a scenario may use: the machine, the namespace of the VM, the inside of the guest. What it changes on the machine it undoes. */
import { wiringOf, type Wiring } from '@linstock/core';
import { exec, execOk } from '@linstock/host';
import type { VmView } from '@linstock/contract';
import { after } from './after.ts';
import type { World } from './world.ts';

const toolMs = 20_000;
const mostAskings = 300;

export class Bench {
  readonly world: World;
  readonly vm: VmView;
  readonly wiring: Wiring;
  readonly bridge: string;
  readonly #undo: (() => Promise<unknown>)[] = [];
  readonly #running: Promise<unknown>[] = [];
  readonly #ends = new AbortController();

  private constructor(world: World, vm: VmView, wiring: Wiring) {
    this.world = world;
    this.vm = vm;
    this.wiring = wiring;
    this.bridge = `ls${world.mark}-br0`;
  }

  static async of(world: World, name: string): Promise<Bench> {
    const vm = await world.vm(name);
    const network = (await world.send('GET', '/v1/networks/default')) as { leases: { vm: string; slot: number }[] };
    const lease = network.leases.find((l) => l.vm === vm.id);
    if (lease === undefined) throw new Error(`${name} has no lease: ${vm.state} ${vm.says ?? ''}`);
    return new Bench(world, vm, wiringOf(world.mark, world.network, lease.slot));
  }

  /** A command on the machine that must work. */
  async host(...argv: string[]): Promise<string> {
    return (await execOk(argv, { timeoutMs: toolMs })).stdout;
  }

  slot(...argv: string[]): Promise<string> {
    return this.host('ip', 'netns', 'exec', this.wiring.netns, ...argv);
  }

  /** A command in the guest, over its agent's own channel; it must work. */
  async guest(...argv: string[]): Promise<void> {
    const end = (await this.world.send('POST', `/v1/vms/${this.vm.id}/actions/exec`, { argv, timeoutMs: toolMs })) as {
      exit?: { code: number | null };
    };
    if (end.exit?.code !== 0) throw new Error(`${argv.join(' ')} in the guest: ${JSON.stringify(end)}`);
  }

  /** What puts it back, the newest first. */
  undo(work: () => Promise<unknown>): void {
    this.#undo.push(work);
  }

  /** A setting of this network namespace, put back afterwards. */
  async sysctl(name: string, value: string): Promise<void> {
    const before = (await this.host('sysctl', '-n', name)).trim();
    await this.host('sysctl', '-q', '-w', `${name}=${value}`);
    this.undo(() => this.host('sysctl', '-q', '-w', `${name}=${before}`));
  }

  /** Another machine on the bridge of this network, with an address and a MAC of its own choosing. */
  async neighbour(mac: string, address: string): Promise<{ run(...argv: string[]): void }> {
    const space = `lab-${this.world.mark}-other`;
    await this.host('ip', 'netns', 'add', space);
    this.undo(() => exec(['ip', 'netns', 'del', space], { timeoutMs: toolMs }));
    await this.host('ip', 'link', 'add', 'other', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
    await this.host('ip', 'link', 'set', 'other', 'master', this.bridge, 'up');
    const within = (...argv: string[]): Promise<string> => this.host('nsenter', `--net=/run/netns/${space}`, ...argv);
    await within('ip', 'link', 'set', 'eth0', 'address', mac);
    await within('ip', 'link', 'set', 'eth0', 'up');
    await within('ip', 'address', 'add', `${address}/24`, 'dev', 'eth0');
    return {
      run: (...argv) =>
        void this.#running.push(exec(['nsenter', `--net=/run/netns/${space}`, ...argv], { timeoutMs: 60_000, signal: this.#ends.signal })),
    };
  }

  async pid(): Promise<number> {
    const { documents } = await this.world.evidence(this.vm.id);
    const pid = /^pid=(\d+)/m.exec(documents.find((d) => d.kind === 'vmm-log')?.text ?? '')?.[1];
    if (pid === undefined) throw new Error(`the VMM of ${this.vm.name} is not known`);
    return Number(pid);
  }

  /** Waits until the controller has seen what was done to the VM. */
  async becomes(state: VmView['state']): Promise<void> {
    for (let asked = 0; asked < mostAskings; asked += 1) {
      if ((await this.world.vm(this.vm.id)).state === state) return;
      await after(100, AbortSignal.timeout(toolMs));
    }
    throw new Error(`${this.vm.name} did not become ${state}`);
  }

  async mend(): Promise<void> {
    this.#ends.abort();
    await Promise.all(this.#running);
    for (const work of this.#undo.toReversed()) await work();
  }
}
