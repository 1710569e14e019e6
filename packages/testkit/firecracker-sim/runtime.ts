/** What a VM that has started answers (vmm/src/rpc_interface.rs, api_server/request): calls of the pre-boot half are refused, except the hotplug of 1.16. */
import { Fault } from './fault.ts';
import { isGiven, textOf, type Json } from './json.ts';
import type { Action } from './requests.ts';
import { Panic } from './process.ts';
import { limiterOf, machineJson, Refused } from './resources.ts';
import { createSnapshot } from './snapshot.ts';
import { atLeast, type SimVersion } from './versions.ts';
import type { VmmFace } from './vmm-face.ts';

const postBoot = 'The requested operation is not supported after starting the microVM.';

export class Runtime {
  readonly #vmm: VmmFace;
  readonly #plugged = { requested: 0 };
  /** paused by a call, and no snapshot made since */
  #barePause = false;

  constructor(vmm: VmmFace) {
    this.#vmm = vmm;
  }

  async perform(action: Action): Promise<Json> {
    const given = (action.body ?? {}) as Record<string, Json>;
    const vmm = this.#vmm;
    const { resources, parts, mmds } = vmm;
    switch (action.kind) {
      case 'get-instance':
        return vmm.instance();
      case 'get-version':
        return { firecracker_version: parts.version };
      case 'get-config':
        return resources.config();
      case 'get-machine':
        return machineJson(resources.machine);
      case 'get-mmds':
        mmds.checkRuntime();
        return mmds.value;
      case 'put-mmds':
        mmds.checkRuntime();
        return mmds.put(action.body);
      case 'patch-mmds':
        mmds.checkRuntime();
        return mmds.patch(action.body);
      case 'pause':
      case 'resume':
        vmm.state = action.kind === 'pause' ? 'Paused' : 'Running';
        // A pause without a snapshot leaves host→guest vsock dead in these two (firecracker#6100).
        if (action.kind === 'resume' && this.#barePause && atLeast(parts.version, '1.16.0')) vmm.vsockHangs = true;
        this.#barePause = action.kind === 'pause';
        if (action.kind === 'resume') vmm.kick();
        parts.metrics.store('latencies_us', `vmm_${action.kind}_vm`, 42);
        parts.metrics.store('latencies_us', `${action.kind}_vm`, 50);
        parts.logger.say('info', 'main', `'${action.kind} vm' VMM action took 42 us.`);
        return null;
      case 'flush-metrics':
        vmm.flushMetrics();
        return null;
      case 'ctrl-alt-del':
        vmm.guest?.ctrlAltDel();
        return null;
      case 'patch-drive':
        return this.#patchDrive(given);
      case 'patch-net':
        return this.#patchNet(given);
      case 'patch-pmem': {
        const pmem = resources.pmem.find((one) => one.id === given['id']);
        if (!pmem && isGiven(given['rate_limiter']))
          throw new Fault(
            'Pmem config error: Unable to patch the pmem device: Failed perform action on device: Device not found Please verify the request arguments.',
          );
        if (pmem && isGiven(given['rate_limiter'])) pmem.rate_limiter = limiterOf(given['rate_limiter']);
        return null;
      }
      case 'get-balloon':
      case 'get-balloon-stats':
      case 'patch-balloon':
      case 'patch-balloon-stats':
      case 'start-hinting':
      case 'stop-hinting':
      case 'get-hinting':
        return this.#balloon(action.kind, given);
      case 'get-memory-hotplug':
      case 'patch-memory-hotplug':
        return this.#memory(action.kind, given);
      case 'create-snapshot':
        return this.#create(given);
      case 'put-drive':
      case 'put-net':
      case 'put-pmem':
        return await this.#plug(action.kind, given);
      case 'delete-drive':
      case 'delete-net':
      case 'delete-pmem':
        return this.#unplug(action.kind, textOf(action.body));
      default:
        throw new Fault(postBoot);
    }
  }

  #patchDrive(given: Record<string, Json>): null {
    const bad = (why: string): Fault =>
      new Fault(`Drive config error: Unable to patch the block device: ${why} Please verify the request arguments.`);
    const of = patchedDevice(this.#vmm.parts.version);
    const drive = this.#vmm.resources.drives.find((one) => one.drive_id === given['drive_id']);
    if (!drive) throw bad(this.#noDevice());
    const path = given['path_on_host'];
    // Neither: that is how a vhost-user drive is told to read its backend again, and this one has none.
    if (typeof path !== 'string' && !isGiven(given['rate_limiter']) && drive.socket === null)
      throw bad(`${of}Running method expected different backend.`);
    if (typeof path === 'string') {
      try {
        this.#vmm.resources.openDrive({ ...drive, path_on_host: path });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        throw bad(error.message.replace('Unable to create the virtio block device: ', of));
      }
      drive.path_on_host = path;
    }
    if (isGiven(given['rate_limiter'])) drive.rate_limiter = limiterOf(given['rate_limiter']);
    return null;
  }

  #patchNet(given: Record<string, Json>): null {
    const net = this.#vmm.resources.nets.find((one) => one.iface_id === given['iface_id']);
    if (!net) throw new Fault(`Network config error: Unable to update the net device: ${this.#noDevice()}`);
    if (isGiven(given['rx_rate_limiter'])) net.rx_rate_limiter = limiterOf(given['rx_rate_limiter']);
    if (isGiven(given['tx_rate_limiter'])) net.tx_rate_limiter = limiterOf(given['tx_rate_limiter']);
    return null;
  }

  #noDevice(): string {
    return atLeast(this.#vmm.parts.version, '1.13.0')
      ? 'Failed perform action on device: Device not found'
      : 'Device manager error: Failed to find the device on the bus.';
  }

  #balloon(kind: Action['kind'], given: Record<string, Json>): Json {
    const { parts, resources, guest } = this.#vmm;
    const { balloon, machine } = resources;
    const { fail, missing } = balloonWords(kind, parts.version);
    const amount = Number(given['amount_mib']);
    const [tooMuch, old] = [kind === 'patch-balloon' && amount > machine.mem_size_mib, !atLeast(parts.version, '1.13.0')];
    if (old && tooMuch) throw fail('Amount of pages requested cannot fit in `u32`.');
    if (!balloon) throw missing;
    if (kind === 'get-balloon') return balloon;
    if (kind === 'patch-balloon-stats') {
      const interval = Number(given['stats_polling_interval_s']);
      if (interval !== balloon.stats_polling_interval_s && (interval === 0 || balloon.stats_polling_interval_s === 0))
        throw fail('Statistics cannot be enabled/disabled after activation.');
      // balloon/device.rs trigger_stats_update: in 1.9 this ends the process when the guest has no driver
      if (interval !== balloon.stats_polling_interval_s && guest?.isReady !== true && !atLeast(parts.version, '1.10.0')) {
        throw new Panic('called `Option::unwrap()` on a `None` value');
      }
      balloon.stats_polling_interval_s = interval;
      return null;
    }
    if (kind === 'get-balloon-stats') {
      if (balloon.stats_polling_interval_s === 0) throw fail(`Received stats ${old ? 'querry' : 'query'} when stats are disabled.`);
      const pages = balloon.amount_mib * 256;
      return { target_pages: pages, actual_pages: pages, target_mib: balloon.amount_mib, actual_mib: balloon.amount_mib };
    }
    if (kind !== 'patch-balloon') {
      if (balloon.free_page_hinting !== true) throw fail('Attempting to use hinting when not enabled');
      return kind === 'get-hinting' ? { host_cmd: 0, guest_cmd: 0 } : null;
    }
    // The driver of the guest is active once the guest is up.
    if (guest?.isReady !== true) throw fail('Device not activated yet.');
    if (tooMuch) throw fail(`Requested memory should be less than ${amount}MiB`);
    balloon.amount_mib = amount;
    return null;
  }

  #memory(kind: Action['kind'], given: Record<string, Json>): Json {
    const hotplug = this.#vmm.resources.memoryHotplug;
    const reads = kind === 'get-memory-hotplug';
    if (!hotplug)
      throw new Fault(`${reads ? 'Internal VMM error' : 'Memory hotplug update error'}: Failed perform action on device: Device not found`);
    if (reads) {
      // The guest plugs at once here; a real one takes its time.
      return { ...hotplug, plugged_size_mib: this.#plugged.requested, requested_size_mib: this.#plugged.requested };
    }
    const size = Number(given['requested_size_mib']);
    if (size > hotplug.total_size_mib || size % hotplug.block_size_mib !== 0)
      throw new Fault(`Memory hotplug update error: Virtio-mem device error: Invalid requested size: ${size}`);
    this.#plugged.requested = size;
    return null;
  }

  #create(given: Record<string, Json>): null {
    const { parts, resources, state } = this.#vmm;
    const diff = given['snapshot_type'] === 'Diff';
    if (diff && !resources.machine.track_dirty_pages && !atLeast(parts.version, '1.13.0'))
      throw new Fault(
        'The requested operation is not supported: Diff snapshots are not allowed on uVMs with dirty page tracking disabled.',
      );
    if (state !== 'Paused')
      throw new Fault(
        'Create snapshot error: Cannot save the microVM state: Operation not allowed: save/restore unavailable while running',
      );
    try {
      createSnapshot(this.#vmm, given);
    } catch (error) {
      if (error instanceof Refused) throw new Fault(`Create snapshot error: ${error.message}`);
      throw error;
    }
    this.#barePause = false;
    const kind = diff ? 'diff' : 'full';
    parts.metrics.store('latencies_us', `${kind}_create_snapshot`, 900);
    parts.metrics.store('latencies_us', `vmm_${kind}_create_snapshot`, 800);
    parts.logger.say('info', 'main', `'create ${kind} snapshot' VMM action took 800 us.`);
    return null;
  }

  async #plug(kind: 'put-drive' | 'put-net' | 'put-pmem', given: Record<string, Json>): Promise<null> {
    const { parts, resources } = this.#vmm;
    if (!atLeast(parts.version, '1.16.0')) throw new Fault(postBoot);
    if (!parts.boot.pci) throw new Fault('PCI is not enabled');
    const id = given['drive_id'] ?? given['iface_id'] ?? given['id'];
    const there = [
      ...resources.drives.map((one) => one.drive_id),
      ...resources.nets.map((one) => one.iface_id),
      ...resources.pmem.map((one) => one.id),
    ];
    if (there.some((one) => one === id)) throw new Fault('Device ID in use');
    const [prefix, set] = (
      {
        'put-drive': ['Drive config error: ', () => resources.setDrive(given)],
        'put-net': ['Network config error: ', () => resources.setNet(given)],
        'put-pmem': ['Pmem config error: ', () => resources.setPmem(given)],
      } as const
    )[kind];
    try {
      await set();
    } catch (error) {
      if (error instanceof Refused) throw new Fault(`${prefix}${error.message}`);
      throw error;
    }
    return null;
  }

  #unplug(kind: 'delete-drive' | 'delete-net' | 'delete-pmem', id: string): null {
    const { parts, resources } = this.#vmm;
    if (!parts.boot.pci) throw new Fault('PCI is not enabled');
    const list: { root: boolean; id: string }[] = {
      'delete-drive': resources.drives.map((one) => ({ id: one.drive_id, root: one.is_root_device })),
      'delete-net': resources.nets.map((one) => ({ id: one.iface_id, root: false })),
      'delete-pmem': resources.pmem.map((one) => ({ id: one.id, root: one.root_device })),
    }[kind];
    const found = list.find((one) => one.id === id);
    if (!found) throw new Fault('Device not found');
    if (found.root) throw new Fault('Cannot unplug root device');
    if (kind === 'delete-drive') resources.drives = resources.drives.filter((one) => one.drive_id !== id);
    if (kind === 'delete-net') resources.nets = resources.nets.filter((one) => one.iface_id !== id);
    if (kind === 'delete-pmem') resources.pmem = resources.pmem.filter((one) => one.id !== id);
    return null;
  }
}

/** Up to 1.12 every refusal is of the balloon; then reads are errors of the VMM, and updates of the balloon. */
function balloonWords(kind: Action['kind'], version: SimVersion): { fail: (why: string) => Fault; missing: Fault } {
  if (!atLeast(version, '1.13.0')) {
    const fail = (why: string): Fault => new Fault(`Balloon config error: Error creating the balloon device: ${why}`);
    return { fail, missing: fail('No balloon device found.') };
  }
  const prefix = kind === 'get-balloon' || kind === 'get-balloon-stats' ? 'Internal VMM error: ' : 'Balloon update error: ';
  const of = atLeast(version, '1.14.0') ? 'Balloon: ' : 'Failed perform action on device: Internal Device error: ';
  return {
    fail: (why) => new Fault(`${prefix}${of}${why}`),
    missing: new Fault(`${prefix}Failed perform action on device: Device not found`),
  };
}

function patchedDevice(version: SimVersion): string {
  if (atLeast(version, '1.14.0')) return 'Block: ';
  return atLeast(version, '1.13.0') ? 'Failed perform action on device: Internal Device error: ' : 'Device manager error: ';
}
