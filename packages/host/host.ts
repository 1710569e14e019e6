import { readFile } from 'node:fs/promises';
import {
  type RootfsFinding,
  anySignal,
  FaultError,
  type BootId,
  type EvidenceDocument,
  type ExecFrame,
  type GoldenDiff,
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
  type BootDetails,
  requestedPage,
  type BootRecord,
  type ConsoleFacts,
  type ExecOrder,
  type Host,
  type Marked,
  type PanicCause,
  type Seen,
  type Step,
  type StepOutcome,
  type Ticket,
  type Vm,
  type Wiring,
} from '@linstock/core';
import { AgentLines, type AgentLine, type FindAgent } from './agent-lines.ts';
import { execFrames } from './exec-frames.ts';
import { BootGate } from './boot-gate.ts';
import { ConsoleWatch } from './console-watch.ts';
import { collectEvidence } from './diagnosis/collect.ts';
import { gatherSight } from './evidence.ts';
import { whyPanicked } from './why-panicked.ts';
import { readPlan, writePlan } from './plan-file.ts';
import { HintQueue } from './hint-queue.ts';
import { ensureDisk } from './images/disk.ts';
import type { ImageStore } from './images/store.ts';
import { faultOfRefusal } from './images/refusal.ts';
import { KeyedQueue } from './keyed-queue.ts';
import type { BridgeNetworks } from './network/network.ts';
import { differencesInside, lintGolden } from './rootfs/of-golden.ts';
import type { Paths } from './tools/paths.ts';
import { ensureFolder, listFolder, removeTree } from './tools/files.ts';
import { refusalOfPause } from './vmm/firecracker/versions.ts';
import type { LaunchPlan, Vmm } from './vmm/vmm.ts';
import type { Vmms } from './vmms.ts';

export type LocalHostParts = {
  id: HostId;
  mark: string;
  paths: Paths;
  vmms: Vmms;
  /** null when networks of kind bridge cannot be made here */
  networks: BridgeNetworks | null;
  images: ImageStore;
  /** what a guest with egress should reach, as its proof */
  egressProbe: { host: string; port: number } | null;
  /** boots on their way up at once */
  bootsAtOnce: number;
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
};

/** Of a boot whose plan is not there. */
const unplanned: LaunchPlan['commandLine'] = { given: [], addedForVmm: [], appendedByVmm: [] };
/** How long a stop waits for the line to the agent, `ms`: a guest that is up answers a handshake within a tenth of it. */
const lineMs = 3_000;
/** The same of a guest whose console says that it panicked before it ever answered. */
const bootingLineMs = 1_000;
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
  /**
   * Slots made ahead of need, by the name of their namespace. The store's claims stay the only truth of who has one. What is forgotten here
   * in a crash is made a spare again, or found unclaimed and removed.
   */
  readonly #spares = new Set<string>();
  #hostBoot: Promise<string> | null = null;

  constructor(parts: LocalHostParts) {
    this.id = parts.id;
    this.mark = parts.mark;
    this.#p = parts;
    this.#gate = new BootGate(parts.bootsAtOnce);
    this.#agents = new AgentLines({ changed: (boot) => this.#hint(boot), sleep: parts.sleep });
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
      proof: looksAtConditions.has(vm.phase) || late ? await this.#prove(vm, boot, vmm) : null,
    };
  }

  async #look(vm: Vm, boot: BootId): Promise<Seen['vmm']> {
    const { paths } = this.#p;
    const vmm = this.#vmm(vm);
    const sight = await vmm.look(boot, paths.boot(boot));
    if (sight.is === 'absent') return sight;
    if (sight.is === 'ended') {
      const facts = await this.#consoles.close(boot);
      if (facts.panic) return { is: 'panicked', line: facts.panic.text, process: 'ended', cause: await this.#whyPanicked(vm, boot, facts) };
      const byItself = facts.shutdown ? `; the guest's last word was: ${facts.shutdown.text}` : '';
      return { is: 'ended', hint: `${sight.hint}${byItself}`, refused: sight.refused };
    }
    if (sight.paused) return { is: 'alive', guest: 'paused' }; // before its console: whoever stands still answers nobody
    const facts = await this.#consoles.look(boot);
    const doubted = facts.panic === null ? {} : ({ doubted: true } as const);
    // before user space no process is there that could have written it
    if (facts.panic && !(facts.panic.afterUserspace && (await this.#stillAnswers(vm, boot))))
      return { is: 'panicked', line: facts.panic.text, process: 'alive', cause: await this.#whyPanicked(vm, boot, facts) };
    if (vm.phase === 'up' || vm.phase === 'asking') return { is: 'alive', guest: 'up', ...doubted };
    if (vmm.name === 'stub') return { is: 'alive', guest: 'up' }; // it has no guest that could answer
    const answered = vm.settings.golden.agent
      ? (await this.#agentOf(vm, boot)).is === 'open'
      : facts.initFinished !== null || facts.initStarted !== null; // without an agent, init is as far as a console can tell
    return { is: 'alive', guest: answered ? 'up' : 'unknown' };
  }

  /** The driver of whatever runs for it. */
  #vmm(vm: Vm): Vmm {
    return this.#p.vmms.attending(vm.settings.vmm);
  }

  /**
   * The line to the agent as it is. Where time is up (a controller that was away may have no line yet to a guest that has long been up) it is
   * waited for a moment: a look that decides must not mistake "not asked yet" for "does not answer".
   */
  async #agentOf(vm: Vm, boot: BootId): Promise<AgentLine> {
    const target = this.#agentTarget(vm, boot);
    const late = vm.deadline !== null && this.#p.now() >= vm.deadline;
    return late || vm.phase === 'autopsy' ? this.#agents.wait(boot, target, AbortSignal.timeout(lineMs)) : this.#agents.get(boot, target);
  }

  /** Any process in a guest can print a panic. One whose agent goes on answering has not panicked. */
  async #stillAnswers(vm: Vm, boot: BootId): Promise<boolean> {
    if (!vm.settings.golden.agent) return false;
    // A controller that has just started has no line yet, and that is no sign of a panic. A guest on its way up never had one: it ends only its own boot.
    const forMs = vm.phase === 'booting' ? bootingLineMs : lineMs;
    const agent = await this.#agents.wait(boot, this.#agentTarget(vm, boot), AbortSignal.timeout(forMs));
    return agent.is === 'open' && (await agent.channel.request('ping', {}, { deadlineMs: 1_000 })).is === 'ok';
  }

  /** Where it decides something: on the way down nobody asks any more. */
  async #whyPanicked(vm: Vm, boot: BootId, facts: ConsoleFacts): Promise<PanicCause | null> {
    if (!['booting', 'proving', 'up'].includes(vm.phase)) return null;
    const plan = await readPlan(this.#p.paths.boot(boot));
    const requested = requestedPage({ vm, boot, mark: this.mark, wiring: this.wiring(vm), plan });
    return whyPanicked(this.#consoles.keeperOf(boot), facts, requested);
  }

  async perform(step: Step, vm: Vm, ticket: Ticket): Promise<StepOutcome> {
    const { paths, images } = this.#p;
    const vmm = this.#vmm(vm);
    if (ticket.fence < (this.#fences.get(vm.id) ?? 0)) throw new FaultError('tool-failed', { step, hint: 'another worker has taken over' });
    this.#fences.delete(vm.id); // to the young end: a Map keeps the order of insertion
    this.#fences.set(vm.id, ticket.fence);
    const oldest = this.#fences.keys().next();
    if (this.#fences.size > mostFences && !oldest.done) this.#fences.delete(oldest.value);
    switch (step) {
      case 'make-disk': {
        const path = paths.disk(vm.id, vmm.disk);
        const disk = await ensureDisk({ store: images, golden: vm.settings.golden, path, format: vmm.disk, signal: ticket.signal });
        if (!disk.ok) throw faultOfRefusal(disk, paths.state);
        return { is: 'done' };
      }
      case 'drop-disk':
        await removeTree(paths.diskFolder(vm.id));
        return { is: 'done' };
      case 'make-network':
        await ensureFolder(paths.boot(owned(vm).id));
        return this.#slot(vm, () => this.#makeSlot(vm, ticket.signal));
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
        this.#spares.delete(this.wiring(vm).netns);
        return this.#slot(vm, () => this.#networks(vm)?.absentSlot(vm.settings.network, owned(vm).slot, ticket.signal));
    }
  }

  async #makeSlot(vm: Vm, signal: AbortSignal): Promise<void> {
    const networks = this.#networks(vm);
    const wiring = this.wiring(vm);
    const spare = this.#spares.delete(wiring.netns);
    if (spare && (await networks?.stillStands(vm.settings.network, wiring)) === true) return;
    await networks?.ensureSlot(vm.settings.network, wiring, signal);
  }

  /** Makes these slots ahead of need (everything about them is arithmetic, so a spare is simply an early ensureSlot), one after the other until the signal fires; others that were spare are left to the reclaim pass. */
  async keepSpares(network: Network, slots: readonly number[], signal: AbortSignal): Promise<void> {
    const wirings = slots.map((slot) => wiringOf(this.mark, network, slot));
    const wanted = new Set(wirings.map((w) => w.netns));
    for (const name of this.#spares) if (!wanted.has(name)) this.#spares.delete(name);
    for (const wiring of wirings) {
      if (this.#spares.has(wiring.netns)) continue;
      if (signal.aborted) return;
      await this.#queue.run(wiring.netns, async () => {
        // a VM may have claimed it meanwhile, and then this only looks; half a slot would cost its VM more than none
        await this.#p.networks?.ensureSlot(network, wiring);
        this.#spares.add(wiring.netns);
      });
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
    const { paths, vmms } = this.#p;
    const boot = owned(vm).id;
    const folder = paths.boot(boot);
    const { vmm: name, vmmVersion, network } = vm.settings;
    const vmm = vmms.launching({ name, version: vmmVersion }, network);
    if (!this.#gate.enter(boot)) return { is: 'busy', lookAgainInMs: 100 };
    await ensureFolder(folder);
    const plan = await this.#plan(vm, vmm);
    const { settled } = await writePlan(folder, plan, { vmm: vmm.name, vmmVersion: vmm.version, accelerator: vmm.accelerator });
    // The plan is on the disk before the launch is recorded, not before it is made: a power cut in between ends the VMM as well.
    const [outcome] = await Promise.all([vmm.launch(plan, folder, ticket.signal), settled]);
    if (outcome.is === 'done') this.#consoles.open(boot);
    return outcome;
  }

  async #plan(vm: Vm, vmm: Vmm): Promise<LaunchPlan> {
    const { paths, images } = this.#p;
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
        disk: paths.disk(vm.id, vmm.disk),
      },
      folder: paths.boot(owned(vm).id),
    });
  }

  /** The agent is asked first: it powers off in order. A guest that nobody can ask is ended. */
  async #askOff(vm: Vm, ticket: Ticket): Promise<StepOutcome> {
    const { paths } = this.#p;
    const vmm = this.#vmm(vm);
    const boot = owned(vm).id;
    const folder = paths.boot(boot);
    const sight = await vmm.look(boot, folder);
    if (sight.is !== 'alive') return { is: 'done' };
    if (sight.paused) await vmm.command(boot, folder, 'resume', ticket.signal);
    // a controller that has just started has no line to it yet, and the power button alone is nothing to a guest without a listener
    const soon = anySignal([ticket.signal, AbortSignal.timeout(lineMs)]);
    const agent = vm.settings.golden.agent
      ? await this.#agents.wait(boot, this.#agentTarget(vm, boot), soon)
      : this.#agents.get(boot, this.#agentTarget(vm, boot));
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

  async #prove(vm: Vm, boot: BootId, seen: Seen['vmm']): Promise<Proof> {
    const { paths, now, egressProbe } = this.#p;
    const vmm = this.#vmm(vm);
    const wiring = this.wiring(vm);
    const { golden, memoryMiB, vcpus, ports, network } = vm.settings;
    const plan = await readPlan(paths.boot(boot));
    const alive = seen.is === 'alive' || (seen.is === 'panicked' && seen.process === 'alive');
    const agent: AgentLine =
      alive && vmm.name !== 'stub'
        ? await this.#agentOf(vm, boot)
        : { is: 'absent', why: alive ? 'the stub has no guest' : 'its VMM has ended' };
    const sight = await gatherSight({
      vm,
      boot,
      wiring,
      now,
      alive,
      egressProbe,
      vmm,
      expectedVersion: plan?.vmmVersion ?? null,
      folder: paths.boot(boot),
      mark: this.mark,
      console: (await this.#consoles.read(boot)).facts,
      agent,
    });
    const asked: Asked = {
      golden,
      memoryMiB,
      vcpus,
      ports,
      wiring,
      accelerator: plan?.accelerator ?? vmm.accelerator,
      commandLine: plan?.commandLine ?? unplanned,
      network,
      egress: network.egress && egressProbe !== null,
    };
    return examine(asked, sight);
  }

  /** Asked anew at each try: where a jail's socket lies is known when there is a jail. */
  #agentTarget(vm: Vm, boot: BootId): FindAgent {
    return () => this.#vmm(vm).agentOf(boot, this.#p.paths.boot(boot));
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
    const { vmms, networks, paths } = this.#p;
    const [units, net, disks, boots] = await Promise.all([
      vmms.inventory(),
      networks?.inventory() ?? [],
      listFolder(paths.disks),
      listFolder(paths.boots),
    ]);
    const things = net.flatMap((m): Marked[] =>
      m.kind === 'table' || m.owner.includes('-br') || this.#spares.has(m.owner) ? [] : [{ kind: m.kind, name: m.name, owner: m.owner }],
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
      if (this.#spares.has(marked.owner) || !(await unclaimed())) return false;
      const { vmms, networks, paths } = this.#p;
      switch (marked.kind) {
        case 'vmm': {
          const outcome = await vmms.end(marked.owner as BootId, paths.boot(marked.owner), AbortSignal.timeout(10_000));
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

  lint(golden: GoldenManifest): Promise<readonly RootfsFinding[]> {
    return lintGolden(this.#p.images, golden);
  }

  differences(from: GoldenManifest, to: GoldenManifest): Promise<GoldenDiff['parts']> {
    return differencesInside(this.#p.images, from, to);
  }

  goldens(): Promise<readonly GoldenManifest[]> {
    return this.#p.images.all();
  }

  async bootDetails(record: BootRecord, network: Network | undefined): Promise<BootDetails> {
    const plan = await readPlan(this.#p.paths.boot(record.id));
    const commandLine = plan?.commandLine ?? unplanned;
    const look = await this.#consoles.read(record.id as BootId);
    const wiring = network ? wiringOf(this.mark, network, record.slot) : null;
    return {
      requestedArgs: commandLine.given,
      addedArgs: [...commandLine.addedForVmm, ...commandLine.appendedByVmm],
      vmmVersion: plan?.vmmVersion ?? null,
      effectiveArgs: look.facts.commandLine?.args ?? null,
      address: wiring?.address ?? '',
      mac: wiring?.mac ?? '',
      consoleBytes: look.bytes,
      reached: look.reached,
    };
  }

  /** By the version that runs it, which need not be on the host any more. */
  async whyNoPause(boot: BootId): Promise<{ vmm: string; why: string } | null> {
    const plan = await readPlan(this.#p.paths.boot(boot));
    const why = plan?.vmm === 'firecracker' ? refusalOfPause(plan.vmmVersion) : null;
    return why === null ? null : { vmm: `Firecracker ${plan?.vmmVersion}`, why };
  }

  /** Everything that this host can tell of a boot, while it lives and after; see `diagnosis/collect.ts`. */
  async evidence(vm: Vm, record: BootRecord, signal: AbortSignal): Promise<EvidenceDocument[]> {
    const { paths, now, images } = this.#p;
    const boot = record.id as BootId;
    const { network, ports, golden } = vm.settings;
    const live = vm.claim?.id === boot && vm.claim.hostBoot === (await this.#bootIdOfHost());
    return collectEvidence(
      {
        vm,
        boot,
        live,
        wiring: wiringOf(
          this.mark,
          network,
          record.slot,
          ports.map((p) => p.port),
        ),
        mark: this.mark,
        stateFolder: paths.state,
        files: [
          { name: 'kernel', path: images.blobPath(golden.kernel.blob) },
          ...(golden.initrd ? [{ name: 'initrd' as const, path: images.blobPath(golden.initrd.blob) }] : []),
          { name: 'rootfs', path: images.blobPath(golden.rootfs.blob) },
        ],
        folder: paths.boot(boot),
        vmm: this.#vmm(vm),
        console: this.#consoles.keeperOf(boot),
        agent: async () =>
          !vm.settings.golden.agent
            ? { is: 'absent', why: `the image ${vm.settings.golden.name} has no agent` }
            : this.#agents.wait(boot, this.#agentTarget(vm, boot), anySignal([signal, AbortSignal.timeout(lineMs)])),
        now,
      },
      signal,
    );
  }

  console(boot: string, options: { from: number | null; follow: boolean; signal: AbortSignal }): AsyncIterable<Uint8Array> {
    return this.#consoles.stream(boot as BootId, options);
  }

  async exec(vm: Vm, order: ExecOrder, signal: AbortSignal): Promise<AsyncIterable<ExecFrame>> {
    const boot = owned(vm).id;
    const soon = anySignal([signal, AbortSignal.timeout(5_000)]);
    const agent = vm.settings.golden.agent
      ? await this.#agents.wait(boot, this.#agentTarget(vm, boot), soon)
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
    return execFrames(vm.name, answer.value, signal);
  }
}
