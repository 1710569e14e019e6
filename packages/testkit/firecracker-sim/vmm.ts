/**
 * The VMM thread (vmm/src/rpc_interface.rs): what was configured, the step to a running VM, and what it answers before and after that step. The
 * pre-boot half and the run-time half are two tables, because what a call means depends on nothing else.
 */
import { existsSync } from 'node:fs';
import { checkKernel, commandLine } from './boot.ts';
import { Fault } from './fault.ts';
import { SimGuest } from './guest.ts';
import type { Response } from './http.ts';
import { at } from './jail-paths.ts';
import { textOf, type Json } from './json.ts';
import { MmdsStore } from './mmds.ts';
import { openForWords, osError } from './output.ts';
import { machineJson, Refused, Resources } from './resources.ts';
import type { Action } from './requests.ts';
import { Runtime } from './runtime.ts';
import { loadSnapshot, type SnapshotState } from './snapshot.ts';
import { atLeast } from './versions.ts';
import type { VmmFace, VmmParts, VmState } from './vmm-face.ts';

/** An answer, and whether the process has to end once it is sent: a failed load leaves it too dirty to go on. */
export type Outcome = { response: Response; fatal?: string };

const pciSegment =
  'pci: adding PCI segment: id=0x0, PCI MMIO config address: 0xeec00000, mem32 area: [0xc0001000-0xeebfffff], mem64 area: [0x4000000000-0x7fffffffff] IO area: [0xcf8-0xcff]';
const preBoot = 'The requested operation is not supported before starting the microVM.';

export class Vmm implements VmmFace {
  readonly parts: VmmParts;
  readonly resources: Resources;
  readonly mmds: MmdsStore;
  state: VmState = 'Not started';
  guest: SimGuest | null = null;
  /** the line that the kernel got */
  line = '';
  vsockHangs = false;
  /** it will neither answer nor end */
  isStuck = false;
  #bootPath = false;
  #runtime: Runtime | null = null;

  constructor(parts: VmmParts) {
    this.parts = parts;
    this.mmds = new MmdsStore(parts.version, parts.mmdsLimit);
    this.resources = new Resources(parts.version, {
      ports: parts.vsockPorts,
      resets: parts.fates.has('vsock-reset'),
      guestListens: () => this.guest?.isReady === true,
      standsStill: () => this.state === 'Paused',
      hangs: () => this.vsockHangs,
      made: () => parts.metrics.count('vsock', 'conns_added'),
    });
  }

  async perform(action: Action): Promise<Outcome> {
    try {
      const body = this.#runtime ? await this.#runtime.perform(action) : await this.#preBoot(action);
      return { response: { status: body === null ? 204 : 200, body: body === null ? null : JSON.stringify(body) } };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const response: Response = { status: error.status, body: JSON.stringify({ fault_message: error.message }) };
      return error.fatal === null ? { response } : { response, fatal: error.fatal };
    }
  }

  async #preBoot(action: Action): Promise<Json> {
    const given = (action.body ?? {}) as Record<string, Json>;
    const { resources, parts } = this;
    switch (action.kind) {
      case 'get-instance':
        return this.instance();
      case 'get-version':
        return { firecracker_version: parts.version };
      case 'get-config':
        return resources.config();
      case 'get-machine':
        return machineJson(resources.machine);
      case 'get-balloon':
        if (!resources.balloon) throw new Fault('Balloon config error: No balloon device found.');
        return resources.balloon;
      case 'get-mmds':
        return this.mmds.value;
      case 'put-mmds':
        return this.mmds.put(action.body);
      case 'patch-mmds':
        return this.mmds.patch(action.body);
      case 'put-logger':
        return await inner('Logger error: ', () => this.setLogger(given));
      case 'put-metrics':
        return await inner('Metrics error: ', () => this.setMetrics(given));
      case 'put-serial':
        resources.serial = { path: typeof given['serial_out_path'] === 'string' ? given['serial_out_path'] : null };
        return null;
      case 'put-cpu-config':
        // Accepted, and neither checked against the host nor part of the boot path.
        return null;
      case 'put-boot-source':
        return await this.#boot('Boot source error: ', () => resources.setBootSource(given));
      case 'put-machine':
        return await this.#boot('Machine config error: ', () => resources.setMachine(given));
      case 'put-drive':
        return await this.#boot('Drive config error: ', () => resources.setDrive(given));
      case 'put-net':
        return await this.#boot('Network config error: ', () => resources.setNet(given));
      case 'put-pmem':
        return await this.#boot(`Pmem ${atLeast(parts.version, '1.16.0') ? 'config' : 'device'} error: `, () => resources.setPmem(given));
      case 'put-vsock':
        return await this.#boot('Vsock config error: ', () => resources.setVsock(given));
      case 'put-balloon':
        return await this.#boot('Balloon config error: ', () => resources.setBalloon(given));
      case 'put-entropy':
        return await this.#boot('Entropy config error: ', () => resources.setEntropy(given));
      case 'put-memory-hotplug':
        return await this.#boot('Memory hotplug config error: ', () => resources.setMemoryHotplug(given));
      case 'put-mmds-config':
        return await this.#boot('MMMDS config error: ', () => {
          resources.setMmds(given);
          this.mmds.configured();
        });
      case 'start':
        await inner('Start microvm error: ', () => this.start());
        return null;
      case 'load-snapshot':
        return await this.#load(given);
      default:
        throw new Fault(preBoot);
    }
  }

  /** A call that is part of a boot forbids a load from then on, also when it is refused (vmm/src/rpc_interface.rs). */
  async #boot(prefix: string, set: () => void | Promise<void>): Promise<Json> {
    this.#bootPath = true;
    return await inner(prefix, set);
  }

  setLogger(given: Record<string, Json>): void {
    try {
      this.parts.logger.update(given);
    } catch (error) {
      throw new Refused(`Failed to open target file: ${osError(error)}`);
    }
  }

  setMetrics(given: Record<string, Json>): void {
    const bad = (why: string): Refused => new Refused(`Cannot initialize the metrics system due to bad user input: ${why}`);
    try {
      if (!this.parts.metrics.open(textOf(given['metrics_path']))) throw bad('Reinitialization of metrics not allowed.');
    } catch (error) {
      throw error instanceof Refused ? error : bad(osError(error));
    }
  }

  /** InstanceStart. A refused one leaves the process as it was. */
  start(): void {
    const { version, boot, fates } = this.parts;
    const source = this.resources.bootSource;
    if (!source) throw new Refused('Cannot start microvm without kernel configuration.');
    if (fates.has('start-fails')) throw new Refused('Invalid Memory Configuration: Cannot create mmap region: Out of memory (os error 12)');
    const kernelFirst = !atLeast(version, '1.12.0');
    if (kernelFirst) checkKernel(version, source.kernel_image_path);
    this.#openKvm();
    if (!kernelFirst) checkKernel(version, source.kernel_image_path);
    if (source.initrd_path !== null && !existsSync(at(source.initrd_path)))
      throw new Refused('Cannot load initrd due to an invalid memory configuration.');
    if (atLeast(version, '1.16.0')) for (const pmem of this.resources.pmem) this.resources.openPmem(pmem, 'Cannot create pmem device: ');
    this.line = commandLine(version, this.resources, boot);
    if (boot.pci) this.parts.logger.say('info', 'main', pciSegment);
    this.#run('Running', false);
  }

  /** What the accelerator may say (api_server/request): the texts by version, the trouble by fate. */
  #openKvm(): void {
    const { version, fates } = this.parts;
    const kvm = atLeast(version, '1.13.0')
      ? 'Kvm error: '
      : `Internal error while starting microVM: ${atLeast(version, '1.11.0') ? 'Kvm' : 'Vm'} error: `;
    const open = (why: string): Refused =>
      new Refused(
        `${kvm}Error creating KVM object: ${why} Make sure the user launching the firecracker process is configured on the /dev/kvm file's ACL.`,
      );
    if (fates.has('kvm-missing')) throw open('No such file or directory (os error 2)');
    if (fates.has('kvm-denied')) throw open('Permission denied (os error 13)');
    const create = atLeast(version, '1.16.0')
      ? 'Error with the KvmVm object: Failed to create VM: '
      : atLeast(version, '1.13.0')
        ? 'Error with the Vm object: Failed to create VM: '
        : atLeast(version, '1.11.0')
          ? 'Internal error while starting microVM: Vm error: Failed to create VM: '
          : 'Internal error while starting microVM: Vm error: Cannot open the VM file descriptor: ';
    if (fates.has('kvm-busy')) throw new Refused(`${create}Resource busy (os error 16)`);
    if (fates.has('kvm-unable')) throw new Refused(`${create}Operation not supported (os error 95)`);
  }

  async #load(given: Record<string, Json>): Promise<Json> {
    if (this.#bootPath) {
      const text = 'Loading a microVM snapshot not allowed after configuring boot-specific resources.';
      this.parts.logger.say('info', 'main', text);
      throw new Fault(`Load snapshot error: ${text}`);
    }
    let state: SnapshotState;
    try {
      state = await loadSnapshot(this, given);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      throw new Fault(`Load snapshot error: ${error.message}`, 400, 'Loading snapshot failed.');
    }
    this.line = state.line;
    this.#run(given['resume_vm'] === true ? 'Running' : 'Paused', true);
    return null;
  }

  #run(state: 'Running' | 'Paused', restored: boolean): void {
    const { parts, resources } = this;
    this.state = state;
    this.#runtime = new Runtime(this);
    const { path } = resources.serial;
    const serial = path === null ? parts.standard : openForWords(path, true, () => parts.metrics.count('uart', 'missed_write_count'));
    this.guest = new SimGuest({
      line: this.line,
      vcpus: resources.machine.vcpu_count,
      memoryMiB: resources.machine.mem_size_mib,
      drives: resources.drives.length,
      nets: resources.nets.length,
      serial,
      fates: parts.fates,
      restored,
      paused: () => this.state === 'Paused',
      ended: (how) => parts.ended(how),
      ready: () => parts.ready(),
    });
    this.flushMetrics();
    if (state === 'Running') this.kick();
    // Later: InstanceStart is answered when the processors run, not when the guest is up.
    setImmediate(() => this.guest?.run());
  }

  kick(): void {
    this.parts.logger.say('info', 'main', `Artificially kick devices${atLeast(this.parts.version, '1.13.0') ? '' : '.'}`);
  }

  flushMetrics(): void {
    this.parts.metrics.flush({
      drives: this.resources.drives.map((drive) => drive.drive_id),
      nets: this.resources.nets.map((net) => net.iface_id),
    });
  }

  /** Not while paused: the timer lives in the loop that stands still then. */
  flushMetricsOfTimer(): void {
    if (this.state === 'Running') this.flushMetrics();
  }

  instance(): Json {
    return { id: this.parts.id, state: this.state, vmm_version: this.parts.version, app_name: 'Firecracker' };
  }
}

async function inner(prefix: string, set: () => void | Promise<void>): Promise<null> {
  try {
    await set();
    return null;
  } catch (error) {
    if (error instanceof Refused) throw new Fault(`${prefix}${error.message}`);
    throw error;
  }
}
