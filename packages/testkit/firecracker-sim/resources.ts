/**
 * What is configured before the boot, and bound at once: kernel, drives and log files are opened at their PUT, the vsock socket listens
 * from its PUT on, a TAP is held from its PUT on (vmm/src/rpc_interface.rs). Every refusal here is the inner half of a text; who calls adds the prefix,
 * because a configuration file says `Block device error` where the API says `Drive config error`.
 */
import { closeSync, existsSync, openSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { at as inJail } from './jail-paths.ts';
import { isGiven, textOf, type Json } from './json.ts';
import { fits, joinLine, splitLine } from './kernel-line.ts';
import { bindError, osError } from './output.ts';
import { atLeast, type SimVersion } from './versions.ts';
import { VsockSocket, type VsockOptions } from './vsock.ts';

export class Refused extends Error {}

export type Bucket = { size: number; one_time_burst: number | null; refill_time: number };
export type Limiter = { bandwidth: Bucket | null; ops: Bucket | null } | null;
export type Machine = {
  vcpu_count: number;
  mem_size_mib: number;
  smt: boolean;
  cpu_template?: string;
  track_dirty_pages: boolean;
  huge_pages: 'None' | '2M';
};
export type Drive = {
  drive_id: string;
  partuuid: string | null;
  is_root_device: boolean;
  cache_type: string;
  is_read_only: boolean | null;
  path_on_host: string | null;
  rate_limiter: Limiter;
  io_engine: string | null;
  socket: string | null;
};
export type Net = {
  iface_id: string;
  host_dev_name: string;
  guest_mac: string | null;
  mtu?: number | null;
  rx_rate_limiter: Limiter;
  tx_rate_limiter: Limiter;
};
export type Pmem = { id: string; path_on_host: string; root_device: boolean; read_only: boolean; rate_limiter?: Limiter };
export type Balloon = {
  amount_mib: number;
  deflate_on_oom: boolean;
  stats_polling_interval_s: number;
  free_page_hinting?: boolean;
  free_page_reporting?: boolean;
};
export type MemoryHotplug = { total_size_mib: number; block_size_mib: number; slot_size_mib: number };
export type BootSource = { kernel_image_path: string; initrd_path: string | null; boot_args: string | null };
export type MmdsConfig = { version: string; network_interfaces: string[]; ipv4_address: string | null; imds_compat?: boolean };

type Given = Record<string, Json | undefined>;
const blockPrefix = 'Unable to create the virtio block device: ';

export class Resources {
  readonly #version: SimVersion;
  readonly #vsockOptions: VsockOptions;
  machine: Machine = { vcpu_count: 1, mem_size_mib: 128, smt: false, track_dirty_pages: false, huge_pages: 'None' };
  bootSource: BootSource | null = null;
  drives: Drive[] = [];
  nets: Net[] = [];
  pmem: Pmem[] = [];
  balloon: Balloon | null = null;
  vsock: { guest_cid: number; uds_path: string; socket: VsockSocket } | null = null;
  entropy: { rate_limiter: Limiter } | null = null;
  serial: { path: string | null } = { path: null };
  memoryHotplug: MemoryHotplug | null = null;
  mmds: MmdsConfig | null = null;
  readonly #taps = new Map<string, Server>();

  constructor(version: SimVersion, vsock: VsockOptions) {
    this.#version = version;
    this.#vsockOptions = vsock;
  }

  setMachine(given: Given): void {
    const old = this.machine;
    const vcpus = numberOr(given['vcpu_count'], old.vcpu_count);
    const smt = flagOr(given['smt'], old.smt);
    if (vcpus === 0 || vcpus > 32 || (smt && vcpus > 1 && vcpus % 2 === 1))
      throw new Refused('The number of vCPUs must be greater than 0, less than 32 and must be 1 or an even number if SMT is enabled.');
    const memory = numberOr(given['mem_size_mib'], old.mem_size_mib);
    const pages = given['huge_pages'] === '2M' || given['huge_pages'] === 'None' ? given['huge_pages'] : old.huge_pages;
    if (memory === 0 || (pages === '2M' && memory % 2 === 1))
      throw new Refused('The memory size (MiB) is either 0, or not a multiple of the configured page size.');
    if (this.balloon && memory < this.balloon.amount_mib)
      throw new Refused('The memory size (MiB) is smaller than the previously set balloon device target size.');
    if (pages !== 'None') {
      if (this.balloon && !atLeast(this.#version, '1.14.0'))
        throw new Refused("Firecracker's huge pages support is incompatible with memory ballooning.");
      if (typeof this.bootSource?.initrd_path === 'string' && !atLeast(this.#version, '1.11.0'))
        throw new Refused("Firecracker's huge pages support is incompatible with initrds.");
    }
    const template = typeof given['cpu_template'] === 'string' ? given['cpu_template'] : (old.cpu_template ?? 'None');
    this.machine = {
      vcpu_count: vcpus,
      mem_size_mib: memory,
      smt,
      ...(template === 'None' ? {} : { cpu_template: template }),
      track_dirty_pages: flagOr(given['track_dirty_pages'], old.track_dirty_pages),
      huge_pages: pages,
    };
  }

  setBootSource(given: Given): void {
    const source: BootSource = {
      kernel_image_path: textOf(given['kernel_image_path']),
      initrd_path: textOrNull(given['initrd_path']),
      boot_args: textOrNull(given['boot_args']),
    };
    if (source.initrd_path !== null && this.machine.huge_pages !== 'None' && !atLeast(this.#version, '1.11.0'))
      throw new Refused("Firecracker's huge pages support is incompatible with initrds.");
    // up to 1.11 it is kept before it is looked at
    if (!atLeast(this.#version, '1.12.0')) this.bootSource = source;
    canOpen(source.kernel_image_path, 'r', (why) => `The kernel file cannot be opened: ${why}`);
    if (source.initrd_path !== null)
      canOpen(source.initrd_path, 'r', (why) => `The initrd file cannot be opened due to invalid path or invalid permissions. ${why}`);
    if (source.boot_args !== null) checkLine(source.boot_args);
    this.bootSource = source;
  }

  setDrive(given: Given): void {
    const drive: Drive = {
      drive_id: textOf(given['drive_id']),
      partuuid: textOrNull(given['partuuid']),
      is_root_device: given['is_root_device'] === true,
      cache_type: textOrNull(given['cache_type']) ?? 'Unsafe',
      is_read_only: given['is_read_only'] === true,
      path_on_host: textOrNull(given['path_on_host']),
      rate_limiter: limiterOf(given['rate_limiter']),
      io_engine: textOrNull(given['io_engine']) ?? 'Sync',
      socket: textOrNull(given['socket']),
    };
    const at = this.drives.findIndex((one) => one.drive_id === drive.drive_id);
    if (drive.is_root_device && this.pmem.some((one) => one.root_device))
      throw new Refused('Attempt to add block as a root device while the root device defined as a pmem device');
    if (drive.is_root_device && this.drives[0]?.is_root_device === true && at !== 0)
      throw new Refused('A root block device already exists!');
    if (drive.socket !== null && ['path_on_host', 'is_read_only', 'rate_limiter', 'io_engine'].some((name) => isGiven(given[name])))
      throw new Refused(`${blockPrefix}Invalid block config.`);
    this.openDrive(drive);
    if (at === -1) {
      if (drive.is_root_device) this.drives.unshift(drive);
      else this.drives.push(drive);
      return;
    }
    this.drives[at] = drive;
    if (at !== 0 && drive.is_root_device) [this.drives[0], this.drives[at]] = [drive, this.drives[0]!];
  }

  /** Exactly one of file and vhost-user socket. */
  openDrive(drive: Pick<Drive, 'path_on_host' | 'socket' | 'is_read_only'>): void {
    const prefix = blockPrefix;
    if (drive.path_on_host === null && drive.socket === null) throw new Refused(`${prefix}Invalid block config.`);
    if (drive.path_on_host === null) {
      canConnect(
        drive.socket ?? '',
        (why) => `${prefix}Vhost user backend error: Vhost-user error: Failed to connect to UDS Unix stream: ${why}`,
      );
      return;
    }
    const path = drive.path_on_host;
    canOpen(
      path,
      drive.is_read_only === true ? 'r' : 'r+',
      (why) => `${prefix}Virtio backend error: Error manipulating the backing file: ${why} ${path}`,
    );
  }

  async setNet(given: Given): Promise<void> {
    const mtu = given['mtu'];
    const net: Net = {
      iface_id: textOf(given['iface_id']),
      host_dev_name: textOf(given['host_dev_name']),
      guest_mac: textOrNull(given['guest_mac'])?.toLowerCase() ?? null,
      ...(atLeast(this.#version, '1.16.0') ? { mtu: typeof mtu === 'number' ? mtu : null } : {}),
      rx_rate_limiter: limiterOf(given['rx_rate_limiter']),
      tx_rate_limiter: limiterOf(given['tx_rate_limiter']),
    };
    if (net.guest_mac !== null && this.nets.some((one) => one.guest_mac === net.guest_mac && one.iface_id !== net.iface_id))
      throw new Refused(`The MAC address is already in use: ${net.guest_mac}`);
    // The old one is taken out first, and the last one comes into its place: an interface that is PUT again is the last one afterwards.
    const at = this.nets.findIndex((one) => one.iface_id === net.iface_id);
    if (at !== -1) {
      const [old] = this.nets.splice(at, 1);
      const last = this.nets.pop();
      if (last) this.nets.splice(at, 0, last);
      await this.#letGo(old!.host_dev_name);
    }
    if (typeof mtu === 'number' && (mtu < 68 || mtu > 65_535))
      throw new Refused(`Could not create the network device: MTU ${mtu} is out of range [68, 65535]`);
    net.host_dev_name ||= freeTap();
    await this.holdTap(net.host_dev_name, (why) => `Could not create the network device: Open tap device failed: ${why}`);
    this.nets.push(net);
  }

  /**
   * No ioctl can be made from here, so what TUNSETIFF would say is worked out: a name in this network namespace, its flags where they can
   * be read, and an abstract socket, which belongs to the namespace as the TAP does, for who holds it (vmm/src/devices/virtio/net/tap.rs).
   */
  async holdTap(name: string, wrap: (why: string) => string): Promise<void> {
    if (Buffer.byteLength(name) >= 16) throw new Refused(wrap('Invalid interface name'));
    const refuse = (why: string): Refused =>
      new Refused(
        wrap(
          `Error while creating ifreq structure: ${why}. Invalid TUN/TAP Backend provided by ${name}. Check our documentation on setting up the network devices.`,
        ),
      );
    const there = interfaces().includes(`${name}:`);
    if (!there && process.geteuid?.() !== 0) throw refuse('Operation not permitted (os error 1)');
    // net/core/dev.c dev_valid_name
    if ((there && isNoTap(name)) || name === '.' || name === '..' || /[/:\s]/.test(name)) throw refuse('Invalid argument (os error 22)');
    const flags = flagsOf(name);
    if (there && flags !== null && (flags & 0x100) !== 0) throw refuse('Invalid argument (os error 22)');
    const holder = createServer();
    await new Promise<void>((resolve, reject) => {
      holder.once('error', () => reject(refuse('Resource busy (os error 16)')));
      holder.listen(`\0firecracker-sim/tap/${name}`, resolve);
    });
    this.#taps.set(name, holder);
  }

  async #letGo(tap: string): Promise<void> {
    const holder = this.#taps.get(tap);
    this.#taps.delete(tap);
    if (holder) await new Promise((resolve) => holder.close(resolve));
  }

  setPmem(given: Given): void {
    const pmem: Pmem = {
      id: textOf(given['id']),
      path_on_host: textOf(given['path_on_host']),
      root_device: given['root_device'] === true,
      read_only: given['read_only'] === true,
      ...(atLeast(this.#version, '1.16.0') ? { rate_limiter: asGiven(given['rate_limiter']) } : {}),
    };
    if (pmem.root_device && this.drives[0]?.is_root_device === true)
      throw new Refused('Attempt to add pmem as a root device while the root device defined as a block device');
    const at = this.pmem.findIndex((one) => one.id === pmem.id);
    if (pmem.root_device && this.pmem.some((one) => one.root_device && one.id !== pmem.id))
      throw new Refused('A root pmem device already exist');
    if (!atLeast(this.#version, '1.16.0')) this.openPmem(pmem, 'Unable to create the virtio-pmem device: ');
    if (at === -1) this.pmem.push(pmem);
    else this.pmem[at] = pmem;
  }
  openPmem({ path_on_host: path, read_only: readOnly }: Pmem, prefix: string): void {
    canOpen(path, readOnly ? 'r' : 'r+', (why) => `${prefix}Error accessing backing file: ${why}`);
    if (statSync(inJail(path)).size === 0) throw new Refused(`${prefix}Error backing file size is 0`);
  }

  async setVsock(given: Given): Promise<void> {
    const [cid, path] = [Number(given['guest_cid']), textOf(given['uds_path'])];
    if (this.vsock) {
      const { socket, uds_path: old } = this.vsock;
      this.vsock = null;
      try {
        unlinkSync(inJail(old));
      } catch (error) {
        throw new Refused(`Cannot create backend for vsock device: Error binding to the host-side Unix socket: ${osError(error)}`);
      }
      await socket.close();
    }
    const socket = new VsockSocket(this.#vsockOptions);
    try {
      // the kernel gives a name of its own to who has none (unix(7), autobind), and nobody knows it
      if (path !== '') await socket.listen(inJail(path));
    } catch (error) {
      throw new Refused(
        `Cannot create backend for vsock device: Error binding to the host-side Unix socket: ${bindError(inJail(path), error)}`,
      );
    }
    this.vsock = { guest_cid: cid, uds_path: path, socket };
  }

  setBalloon(given: Given): void {
    if (Number(given['amount_mib']) > this.machine.mem_size_mib) throw new Refused('Amount of pages requested is too large.');
    if (this.machine.huge_pages !== 'None' && !atLeast(this.#version, '1.14.0'))
      throw new Refused("Firecracker's huge pages support is incompatible with memory ballooning.");
    this.balloon = {
      amount_mib: Number(given['amount_mib']),
      deflate_on_oom: given['deflate_on_oom'] === true,
      stats_polling_interval_s: numberOr(given['stats_polling_interval_s'], 0),
      ...(atLeast(this.#version, '1.14.0')
        ? { free_page_hinting: given['free_page_hinting'] === true, free_page_reporting: given['free_page_reporting'] === true }
        : {}),
    };
  }

  setEntropy(given: Given): void {
    this.entropy = { rate_limiter: limiterOf(given['rate_limiter']) };
  }

  setMemoryHotplug(given: Given): void {
    const [total, block, slot] = [
      Number(given['total_size_mib']),
      numberOr(given['block_size_mib'], 2),
      numberOr(given['slot_size_mib'], 128),
    ];
    if (block < 2) throw new Refused('Block size must not be lower than 2 MiB');
    if (!Number.isInteger(Math.log2(block))) throw new Refused('Block size must be a power of 2');
    if (slot < 128) throw new Refused('Slot size must not be lower than 128 MiB');
    if (slot % block !== 0) throw new Refused(`Slot size must be a multiple of block size (${block} MiB)`);
    if (total < slot) throw new Refused(`Total size must not be lower than slot size (${slot} MiB)`);
    if (total % slot !== 0) throw new Refused(`Total size must be a multiple of slot size (${slot} MiB)`);
    this.memoryHotplug = { total_size_mib: total, block_size_mib: block, slot_size_mib: slot };
  }

  setMmds(given: Given): void {
    const names = (given['network_interfaces'] ?? []) as string[];
    const address = textOrNull(given['ipv4_address']);
    // RFC 3927: the first and the last 256 addresses of the block are reserved.
    if (address !== null && !/^169\.254\.(?!0\.|255\.)/.test(address)) throw new Refused('The MMDS IPv4 address is not link local.');
    if (names.length === 0) throw new Refused('The list of network interface IDs that allow forwarding MMDS requests is empty.');
    if (!names.every((name) => this.nets.some((net) => net.iface_id === name)))
      throw new Refused(
        'The list of network interface IDs provided contains at least one ID that does not correspond to any existing network interface.',
      );
    this.mmds = {
      version: textOrNull(given['version']) ?? 'V1',
      network_interfaces: this.nets.map((net) => net.iface_id).filter((id) => names.includes(id)),
      ipv4_address: address ?? '169.254.169.254',
      ...(atLeast(this.#version, '1.13.0') ? { imds_compat: given['imds_compat'] === true } : {}),
    };
  }

  /** GET /vm/config: what was not given comes back as null, the serial device never (api_server/request). */
  config(): Json {
    const source = this.bootSource ?? { kernel_image_path: '', initrd_path: null, boot_args: null };
    const { vsock } = this;
    return {
      balloon: this.balloon,
      drives: this.drives,
      'boot-source': source,
      'cpu-config': null,
      logger: null,
      'machine-config': machineJson(this.machine),
      metrics: null,
      'mmds-config': this.mmds,
      'network-interfaces': this.nets,
      vsock: vsock && { guest_cid: vsock.guest_cid, uds_path: vsock.uds_path },
      entropy: this.entropy,
      ...(atLeast(this.#version, '1.14.0') ? { pmem: this.pmem, 'memory-hotplug': this.memoryHotplug } : {}),
    } as Json;
  }
}

/** In the order in which the fields are declared, and without a template unless there is one. */
export function machineJson(machine: Machine): Json {
  const { vcpu_count, mem_size_mib, smt, cpu_template, track_dirty_pages, huge_pages } = machine;
  return { vcpu_count, mem_size_mib, smt, ...(cpu_template === undefined ? {} : { cpu_template }), track_dirty_pages, huge_pages };
}

function canOpen(path: string, flags: 'r' | 'r+', words: (why: string) => string): void {
  try {
    // A FIFO cannot be opened without waiting for its other end; that it is there is enough.
    if (statSync(inJail(path)).isFIFO()) return;
    closeSync(openSync(inJail(path), flags));
  } catch (error) {
    throw new Refused(words(osError(error)));
  }
}

/** What a vhost-user backend would be asked is not asked. */
function canConnect(path: string, words: (why: string) => string): void {
  try {
    if (path === '') throw Object.assign(new Error('no name'), { code: 'EINVAL' });
    if (!statSync(inJail(path)).isSocket()) throw Object.assign(new Error('no socket'), { code: 'ECONNREFUSED' });
  } catch (error) {
    throw new Refused(words(osError(error)));
  }
}

function checkLine(line: string): void {
  if (!fits(joinLine(splitLine(line)))) throw new Refused('The kernel command line is invalid: Invalid cmdline capacity provided.');
}

function interfaces(): string {
  return readFileSync('/proc/self/net/dev', 'utf8');
}

/** For an interface without a name the kernel finds one. */
function freeTap(): string {
  const there = interfaces();
  for (let number = 0; ; number += 1) if (!there.includes(`tap${number}:`)) return `tap${number}`;
}

function isNoTap(name: string): boolean {
  return name === 'lo' || (existsSync(`/sys/class/net/${name}`) && flagsOf(name) === null);
}

function flagsOf(name: string): number | null {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/tun_flags`, 'utf8'));
  } catch {
    return null; // no TAP, or one of another namespace, which this sysfs does not show
  }
}

/** Kept as it was given until there is a device. */
function asGiven(given: Json | undefined): Limiter {
  if (!isGiven(given)) return null;
  const { bandwidth, ops } = given as { bandwidth?: Bucket | null; ops?: Bucket | null };
  const bucket = (one: Bucket | null | undefined): Bucket | null => (one ? { ...one, one_time_burst: one.one_time_burst ?? null } : null);
  return { bandwidth: bucket(bandwidth), ops: bucket(ops) };
}

/** In nanoseconds it must fit 64 bits (vmm/src/rate_limiter/mod.rs TokenBucket::new). */
const longestRefillMs = 2 ** 64 / 1e6;

/** A bucket that can never hold or refill anything is no bucket. */
export function limiterOf(given: Json | undefined): Limiter {
  const { bandwidth, ops } = (given ?? {}) as { bandwidth?: Bucket | null; ops?: Bucket | null };
  const bucket = (one: Bucket | null | undefined): Bucket | null =>
    !one || one.size === 0 || one.refill_time === 0 || one.refill_time >= longestRefillMs
      ? null
      : { size: one.size, one_time_burst: one.one_time_burst ? one.one_time_burst : null, refill_time: one.refill_time };
  const [first, second] = [bucket(bandwidth), bucket(ops)];
  return first || second ? { bandwidth: first, ops: second } : null;
}

function numberOr(given: Json | undefined, otherwise: number): number {
  return typeof given === 'number' ? given : otherwise;
}
function flagOr(given: Json | undefined, otherwise: boolean): boolean {
  return typeof given === 'boolean' ? given : otherwise;
}
function textOrNull(given: Json | undefined): string | null {
  return typeof given === 'string' ? given : null;
}
