/**
 * Metrics (vmm/src/logger/metrics.rs): one JSON object per line. Counters are what happened since the last line, stores are what is true now. A controller
 * that takes a counter for a sum is wrong, so the difference is the point of this file.
 */
import { openForWords, type Output } from './output.ts';
import { wallClock } from './logger.ts';
import { atLeast, type SimVersion } from './versions.ts';

type Group = Record<string, number>;

export class Metrics {
  readonly #version: SimVersion;
  #file: Output | null = null;
  #missed = 0;
  #counters: Record<string, Group> = {};
  readonly #stores: Record<string, Group> = {};

  constructor(version: SimVersion) {
    this.#version = version;
  }

  /** Once in the life of a process: false for another file, which is opened all the same. Throws as open does. */
  open(path: string): boolean {
    const file = openForWords(path, atLeast(this.#version, '1.14.0'), () => {
      this.#missed += 1;
    });
    if (this.#file !== null) {
      file.close();
      return false;
    }
    this.#file = file;
    return true;
  }

  count(group: string, key: string, by = 1): void {
    const values = (this.#counters[group] ??= {});
    values[key] = (values[key] ?? 0) + by;
  }
  store(group: string, key: string, value: number): void {
    (this.#stores[group] ??= {})[key] = value;
  }

  /** Writes a line, if there is a file, and starts the counters anew. */
  flush(devices: { drives: readonly string[]; nets: readonly string[] }): void {
    if (!this.#file) return;
    const line: Record<string, unknown> = { utc_timestamp_ms: Math.floor(wallClock()) };
    const groups = new Set([...groupsOf(this.#version, devices), ...Object.keys(this.#counters), ...Object.keys(this.#stores)]);
    for (const group of groups)
      line[group] = { ...zeros[group.replace(/_.*/, '')], ...zeros[group], ...this.#counters[group], ...this.#stores[group] };
    line['logger'] = { missed_metrics_count: this.#missed, metrics_fails: 0, missed_log_count: 0, ...this.#counters['logger'] };
    this.#counters = {};
    this.#missed = 0;
    this.#file.write(`${JSON.stringify(line)}\n`);
  }
}

function groupsOf(version: SimVersion, devices: { drives: readonly string[]; nets: readonly string[] }): string[] {
  return [
    ...(atLeast(version, '1.14.0') ? ['interrupts', 'memory_hotplug', 'pmem'] : []),
    'api_server',
    'balloon',
    'block',
    'deprecated_api',
    'entropy',
    'get_api_requests',
    'i8042',
    'latencies_us',
    'logger',
    'mmds',
    'net',
    'patch_api_requests',
    'put_api_requests',
    'seccomp',
    'signals',
    'uart',
    'vcpu',
    'vmm',
    'vsock',
    ...devices.drives.map((id) => `block_${id}`),
    ...devices.nets.map((id) => `net_${id}`),
  ];
}

/** A part of the keys: those that a controller looks at. */
const zeros: Readonly<Record<string, Group>> = {
  block: {
    read_bytes: 0,
    write_bytes: 0,
    read_count: 0,
    write_count: 0,
    flush_count: 0,
    execute_fails: 0,
    rate_limiter_throttled_events: 0,
  },
  net: { rx_bytes_count: 0, tx_bytes_count: 0, rx_packets_count: 0, tx_packets_count: 0, tap_write_fails: 0, tx_spoofed_mac_count: 0 },
  vcpu: { exit_io_in: 0, exit_io_out: 0, exit_mmio_read: 0, exit_mmio_write: 0, failures: 0 },
  vmm: { panic_count: 0 },
  seccomp: { num_faults: 0 },
  signals: { sigbus: 0, sigsegv: 0, sigxfsz: 0, sigxcpu: 0, sigpipe: 0, sighup: 0, sigill: 0 },
  vsock: { conns_added: 0, conns_killed: 0, conns_removed: 0, rx_bytes_count: 0, tx_bytes_count: 0 },
  uart: { error_count: 0, missed_read_count: 0, missed_write_count: 0, read_count: 0, write_count: 0 },
  i8042: { error_count: 0, reset_count: 0 },
  deprecated_api: { deprecated_http_api_calls: 0 },
};
