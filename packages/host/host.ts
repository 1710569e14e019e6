import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  FaultError,
  type BootId,
  type ExecFrame,
  type GoldenManifest,
  type HostId,
  type Network,
  type Proof,
  type VmId,
} from '@linstock/contract';
import {
  examine,
  looksAtConditions,
  owned,
  valuesFor,
  resolveArgs,
  wiringOf,
  type Asked,
  type BootRecord,
  type Host,
  type Marked,
  type Seen,
  type Step,
  type StepOutcome,
  type Ticket,
  type Vm,
  type Wiring,
} from '@linstock/core';
import { AgentLines } from './agent-lines.ts';
import { execFrames } from './exec-frames.ts';
import { BootGate } from './boot-gate.ts';
import { ConsoleWatch } from './console-watch.ts';
import { gatherSight } from './evidence.ts';
import { HintQueue } from './hint-queue.ts';
import { absentDisk, ensureOverlayDisk } from './images/disk.ts';
import type { ImageStore } from './images/store.ts';
import { faultOfRefusal } from './images/refusal.ts';
import { KeyedQueue } from './keyed-queue.ts';
import type { BridgeNetworks } from './network/network.ts';
import { bootFile, type Paths } from './tools/paths.ts';
import { ensureFolder, listFolder, readTextIfThere, removeTree, writeDurably } from './tools/files.ts';
import type { LaunchPlan, Vmm } from './vmm/vmm.ts';

export type LocalHostParts = {
  id: HostId;
  mark: string;
  paths: Paths;
  vmm: Vmm;
  /** null when networks of kind bridge cannot be made here */
  networks: BridgeNetworks | null;
  images: ImageStore;
  accelerator: string;
  /** what a guest with egress should reach, as its proof */
  egressProbe: { host: string; port: number } | null;
  /** boots on their way up at once */
  bootsAtOnce: number;
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
};

/** Fences outlive their VM, since that is when an overtaken worker does harm; the oldest are forgotten. */
const mostFences = 10_000;

/**
 * This machine. The deepest module of the house: everything that can go wrong on a Linux host, behind a look, a step,
 * an inventory and hints. Holds nothing that a new process could not find again on the host.
 */
export class LocalHost implements Host {
  readonly id: HostId;
  readonly mark: string;
  readonly #p: LocalHostParts;
  readonly #hints = new HintQueue();
  readonly #queue = new KeyedQueue();
  readonly #gate: BootGate;
  readonly #agents: AgentLines;
  readonly #consoles: ConsoleWatch;
  /** which VM a live boot belongs to, for hints only */
  readonly #vmOf = new Map<BootId, VmId>();
  /** the highest fence seen per VM: a worker that was overtaken may not act any more */
  readonly #fences = new Map<VmId, number>();
  #hostBoot: Promise<string> | null = null;

  constructor(parts: LocalHostParts) {
    this.id = parts.id;
    this.mark = parts.mark;
    this.#p = parts;
    this.#gate = new BootGate(parts.bootsAtOnce);
    this.#agents = new AgentLines({ opened: (boot) => this.#hint(boot), sleep: parts.sleep });
    this.#consoles = new ConsoleWatch({ paths: parts.paths, now: parts.now, sleep: parts.sleep, changed: (boot) => this.#hint(boot) });
  }

  async observe(vm: Vm): Promise<Seen> {
    const hostBoot = await this.#bootIdOfHost();
    if (!vm.claim || vm.claim.hostBoot !== hostBoot) return { hostBoot, vmm: { is: 'absent' }, proof: null };
    const boot = vm.claim.id;
    this.#vmOf.set(boot, vm.id);
    const vmm = await this.#look(vm, boot);
    if (vmm.is !== 'alive' || vmm.guest !== 'unknown') this.#gate.leave(boot);
    const late = vm.phase === 'booting' && vm.deadline !== null && this.#p.now() >= vm.deadline;
    return {
      hostBoot,
      vmm,
      proof: looksAtConditions.has(vm.phase) || late ? await this.#prove(vm, boot, vmm.is === 'alive' || vmm.is === 'panicked') : null,
    };
  }

  async #look(vm: Vm, boot: BootId): Promise<Seen['vmm']> {
    const { vmm, paths } = this.#p;
    const sight = await vmm.look(boot, paths.boot(boot));
    if (sight.is === 'absent') return sight;
    const facts = await this.#consoles.look(boot);
    if (sight.is === 'ended') {
      if (facts.panic) return { is: 'panicked', line: facts.panic.text };
      const byItself = facts.shutdown ? `; the guest's last word was: ${facts.shutdown.text}` : '';
      return { is: 'ended', hint: `${sight.hint}${byItself}`, refused: sight.refused };
    }
    if (facts.panic && !(await this.#stillAnswers(boot))) return { is: 'panicked', line: facts.panic.text };
    if (sight.paused) return { is: 'alive', guest: 'paused' };
    if (vm.phase === 'up' || vm.phase === 'asking') return { is: 'alive', guest: 'up' };
    const answered = vm.settings.golden.agent
      ? this.#agents.get(boot, this.#agentPath(boot)).is === 'open'
      : facts.initFinished !== null || facts.initStarted !== null; // without an agent, init is as far as a console can tell
    return { is: 'alive', guest: answered || vmm.name === 'stub' ? 'up' : 'unknown' };
  }

  /** Any process in a guest can print a panic. One whose agent goes on answering has not panicked. */
  async #stillAnswers(boot: BootId): Promise<boolean> {
    const agent = this.#agents.get(boot, this.#agentPath(boot));
    return agent.is === 'open' && (await agent.channel.request('ping', {}, { deadlineMs: 1_000 })).is === 'ok';
  }

  async perform(step: Step, vm: Vm, ticket: Ticket): Promise<StepOutcome> {
    const { vmm, paths, images } = this.#p;
    if (ticket.fence < (this.#fences.get(vm.id) ?? 0)) throw new FaultError('tool-failed', { step, hint: 'another worker has taken over' });
    this.#fences.delete(vm.id); // to the young end: a Map keeps the order of insertion
    this.#fences.set(vm.id, ticket.fence);
    const oldest = this.#fences.keys().next();
    if (this.#fences.size > mostFences && !oldest.done) this.#fences.delete(oldest.value);
    switch (step) {
      case 'make-disk': {
        const disk = await ensureOverlayDisk({ store: images, golden: vm.settings.golden, path: paths.disk(vm.id), signal: ticket.signal });
        if (!disk.ok) throw faultOfRefusal(disk, paths.state);
        return { is: 'done' };
      }
      case 'drop-disk':
        await absentDisk(paths.disk(vm.id));
        await removeTree(paths.diskFolder(vm.id));
        return { is: 'done' };
      case 'make-network':
        await ensureFolder(paths.boot(owned(vm).id));
        return this.#slot(vm, () => this.#networks(vm)?.ensureSlot(vm.settings.network, this.wiring(vm), ticket.signal));
      case 'launch':
        return this.#launch(vm, ticket);
      case 'ask-off':
        return this.#askOff(vm, ticket);
      case 'pause':
      case 'resume':
        return vmm.command(owned(vm).id, paths.boot(owned(vm).id), step, ticket.signal);
      case 'end-vmm': {
        const boot = owned(vm).id;
        this.#gate.leave(boot);
        this.#agents.close(boot);
        const outcome = await vmm.end(boot, paths.boot(boot), ticket.signal);
        if (outcome.is === 'done') await this.#consoles.close(boot);
        return outcome;
      }
      case 'drop-network':
        this.#vmOf.delete(owned(vm).id);
        return this.#slot(vm, () => this.#networks(vm)?.absentSlot(vm.settings.network, owned(vm).slot, ticket.signal));
    }
  }

  async #slot(vm: Vm, work: () => Promise<void> | undefined): Promise<StepOutcome> {
    await this.#queue.run(this.wiring(vm).netns, async () => work());
    return { is: 'done' };
  }

  #networks(vm: Vm): BridgeNetworks | null {
    if (vm.settings.network.kind === 'user') return null;
    if (this.#p.networks) return this.#p.networks;
    throw new FaultError('host-lacks-permission', { what: 'a bridge network', hint: 'this controller runs without root' });
  }

  async #launch(vm: Vm, ticket: Ticket): Promise<StepOutcome> {
    const { vmm, paths } = this.#p;
    const boot = owned(vm).id;
    const folder = paths.boot(boot);
    if (!this.#gate.enter(boot)) return { is: 'busy', lookAgainInMs: 100 };
    await ensureFolder(folder);
    const plan = await this.#plan(vm);
    await writeDurably(join(folder, bootFile.plan), JSON.stringify({ argv: plan.argv, commandLine: plan.commandLine }, null, 1));
    const outcome = await vmm.launch(plan, folder, ticket.signal);
    if (outcome.is === 'done') this.#consoles.open(boot);
    return outcome;
  }

  async #plan(vm: Vm): Promise<LaunchPlan> {
    const { vmm, paths, images } = this.#p;
    const { golden } = vm.settings;
    const wiring = this.wiring(vm);
    const args = resolveArgs(vm.settings.bootArgs, valuesFor(wiring, vm.id));
    if (args.is === 'wrong') throw new FaultError('boot-args-invalid', { problems: args.problems.join(' ') });
    for (const part of [golden.kernel, golden.initrd]) {
      const checked = part ? await images.checkBlob(part) : null;
      if (checked && !checked.ok) throw faultOfRefusal(checked, paths.state);
    }
    return vmm.plan({
      boot: owned(vm).id,
      vm,
      wiring,
      bootArgs: args.tokens,
      files: {
        kernel: images.blobPath(golden.kernel.blob),
        initrd: golden.initrd ? images.blobPath(golden.initrd.blob) : null,
        disk: paths.disk(vm.id),
      },
      folder: paths.boot(owned(vm).id),
    });
  }

  /** The agent is asked first: it powers off in order. A guest that nobody can ask is ended. */
  async #askOff(vm: Vm, ticket: Ticket): Promise<StepOutcome> {
    const { vmm, paths } = this.#p;
    const boot = owned(vm).id;
    const folder = paths.boot(boot);
    const sight = await vmm.look(boot, folder);
    if (sight.is !== 'alive') return { is: 'done' };
    if (sight.paused) await vmm.command(boot, folder, 'resume', ticket.signal);
    const agent = this.#agents.get(boot, this.#agentPath(boot));
    if (agent.is === 'open') {
      const answer = await agent.channel.request('poweroff', { mode: 'poweroff' }, { signal: ticket.signal, deadlineMs: 3_000 });
      if (answer.is === 'ok' || answer.is === 'lost') return { is: 'done' }; // a line that breaks here is the guest going down
    }
    if (vmm.can.has('ask-off')) return vmm.command(boot, folder, 'ask-off', ticket.signal);
    return vmm.end(boot, folder, ticket.signal);
  }

  wiring(vm: Vm): Wiring {
    const ports = vm.settings.ports.map((p) => p.port);
    return wiringOf(this.mark, vm.settings.network, owned(vm).slot, ports);
  }

  async #prove(vm: Vm, boot: BootId, alive: boolean): Promise<Proof> {
    const { vmm, paths, now, accelerator, egressProbe } = this.#p;
    const wiring = this.wiring(vm);
    const { golden, memoryMiB, vcpus, ports, network } = vm.settings;
    const plan = await this.#readPlan(boot);
    const sight = await gatherSight({
      vm,
      boot,
      wiring,
      now,
      alive,
      egressProbe,
      vmm,
      folder: paths.boot(boot),
      mark: this.mark,
      console: await this.#consoles.look(boot),
      agent: this.#agents.get(boot, this.#agentPath(boot)),
    });
    const asked: Asked = {
      golden,
      memoryMiB,
      vcpus,
      ports,
      wiring,
      accelerator,
      commandLine: plan.commandLine,
      network,
      egress: network.egress && egressProbe !== null,
    };
    return examine(asked, sight);
  }

  async #readPlan(boot: BootId): Promise<Pick<LaunchPlan, 'argv' | 'commandLine'>> {
    const text = await readTextIfThere(join(this.#p.paths.boot(boot), bootFile.plan));
    return text === undefined
      ? { argv: [], commandLine: { given: [], addedForVmm: [], appendedByVmm: [] } }
      : (JSON.parse(text) as Pick<LaunchPlan, 'argv' | 'commandLine'>);
  }

  #agentPath(boot: BootId): string {
    return join(this.#p.paths.boot(boot), bootFile.agent);
  }

  #hint(boot: BootId): void {
    const vm = this.#vmOf.get(boot);
    if (vm) this.#hints.push(vm);
  }

  async #bootIdOfHost(): Promise<string> {
    this.#hostBoot ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').then((text) => text.trim());
    return this.#hostBoot;
  }

  async inventory(): Promise<readonly Marked[]> {
    const { vmm, networks, paths } = this.#p;
    const [units, net, disks, boots] = await Promise.all([
      vmm.inventory(),
      networks?.inventory() ?? [],
      listFolder(paths.disks),
      listFolder(paths.boots),
    ]);
    const things = net.flatMap((m): Marked[] =>
      m.kind === 'table' || m.owner.includes('-br') ? [] : [{ kind: m.kind, name: m.name, owner: m.owner }],
    );
    return [
      ...units,
      ...things,
      ...disks.map((name): Marked => ({ kind: 'disk', name, owner: name })),
      ...boots.map((name): Marked => ({ kind: 'evidence', name, owner: name })),
    ];
  }

  async remove(marked: Marked, unclaimed: () => Promise<boolean>): Promise<boolean> {
    return this.#queue.run(marked.owner, async () => {
      if (!(await unclaimed())) return false;
      const { vmm, networks, paths } = this.#p;
      switch (marked.kind) {
        case 'vmm': {
          const outcome = await vmm.end(marked.owner as BootId, paths.boot(marked.owner), AbortSignal.timeout(10_000));
          return outcome.is === 'done';
        }
        case 'netns':
        case 'link':
          await networks?.remove({ kind: marked.kind, name: marked.name, owner: marked.owner });
          return true;
        case 'disk':
          await removeTree(paths.diskFolder(marked.name));
          return true;
        case 'evidence':
          await removeTree(paths.boot(marked.name));
          return true;
      }
    });
  }

  async *hints(signal: AbortSignal): AsyncGenerator<VmId> {
    const watching = this.#consoles.run(signal);
    try {
      yield* this.#hints.read(signal);
    } finally {
      await watching;
      this.#agents.closeAll();
    }
  }

  async goldens(): Promise<readonly GoldenManifest[]> {
    const { images } = this.#p;
    const list: GoldenManifest[] = [];
    for (const name of await images.names()) {
      for (const version of await images.versions(name)) {
        const read = await images.golden({ name, version });
        if (read.ok) list.push(read.golden);
      }
    }
    return list;
  }

  async bootDetails(
    record: BootRecord,
    network: Network | undefined,
  ): Promise<{
    requestedArgs: readonly string[];
    addedArgs: readonly string[];
    effectiveArgs: string | null;
    address: string;
    mac: string;
    consoleBytes: number;
    reached: readonly { what: string; at: number }[];
  }> {
    const { commandLine } = await this.#readPlan(record.id as BootId);
    const look = await this.#consoles.read(record.id as BootId);
    const wiring = network ? wiringOf(this.mark, network, record.slot) : null;
    return {
      requestedArgs: commandLine.given,
      addedArgs: [...commandLine.addedForVmm, ...commandLine.appendedByVmm],
      effectiveArgs: look.facts.commandLine?.args ?? null,
      address: wiring?.address ?? '',
      mac: wiring?.mac ?? '',
      consoleBytes: look.bytes,
      reached: look.reached,
    };
  }

  console(boot: string, options: { from: number | null; follow: boolean; signal: AbortSignal }): AsyncIterable<Uint8Array> {
    return this.#consoles.stream(boot as BootId, options);
  }

  async exec(
    vm: Vm,
    order: { argv: readonly string[]; timeoutMs: number; cwd?: string | undefined; env?: Record<string, string> | undefined },
    signal: AbortSignal,
  ): Promise<AsyncIterable<ExecFrame>> {
    const boot = owned(vm).id;
    const soon = AbortSignal.any([signal, AbortSignal.timeout(5_000)]);
    const agent = vm.settings.golden.agent
      ? await this.#agents.wait(boot, this.#agentPath(boot), soon)
      : { is: 'absent' as const, why: `the image ${vm.settings.golden.name} has no agent` };
    if (agent.is === 'absent') throw new FaultError('agent-absent', { id: vm.name, why: agent.why });
    const { cwd, env } = order;
    const answer = await agent.channel.exec(order.argv, {
      signal,
      timeoutMs: order.timeoutMs,
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env }),
    });
    if (answer.is === 'refused') throw new FaultError('exec-failed', { hint: `${answer.code}: ${answer.message}` });
    if (answer.is !== 'ok') throw new FaultError('agent-absent', { id: vm.name, why: `the exec was not answered (${answer.is})` });
    return execFrames(answer.value, signal);
  }
}
