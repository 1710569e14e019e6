/**
 * Every body that a client may send, as data: its fields in the order in which a refusal lists them, what each holds, whether it must be
 * there, and since which version it exists. versions.test.ts holds this table against the OpenAPI files.
 */
import type { Shape, StructShape } from './json.ts';
import { has, type Since, type SimVersion } from './versions.ts';

type Scalar = Exclude<Shape['is'], 'enum' | 'list' | 'map' | 'struct'>;
type Row = {
  of: Scalar | { enum: string; variants: readonly string[] } | { list: 'string' | BodyName } | { body: BodyName };
  need: 'required' | 'optional' | 'default';
  since?: Since;
};
type Body = {
  /** the name that refusals use */
  struct: string;
  /** an unknown field is refused */
  strict: boolean;
  /** the name in the OpenAPI files; null when it is not there */
  definition: string | null;
  since?: Since;
  fields: Readonly<Record<string, Row>>;
};

const text = { of: 'string', need: 'required' } as const;
const maybeText = { of: 'string', need: 'optional' } as const;
const path = { of: 'path', need: 'required' } as const;
const maybePath = { of: 'path', need: 'optional' } as const;
const flag = { of: 'bool', need: 'default' } as const;
const limiter = { of: { body: 'rateLimiter' }, need: 'optional' } as const;
const in1_14: Since = { since: '1.14.0' };
const in1_16: Since = { since: '1.16.0' };

// V1N1 is for arm64 only: an x86 binary does not know the name (cpu_config/x86_64/static_cpu_templates/mod.rs)
const cpuTemplates = { enum: 'StaticCpuTemplate', variants: ['C3', 'T2', 'T2S', 'None', 'T2CL', 'T2A'] };
const pages = { enum: 'HugePageConfig', variants: ['None', '2M'] };

const bodies: Readonly<Record<BodyName, Body>> = {
  bootSource: {
    struct: 'BootSourceConfig',
    strict: true,
    definition: 'BootSource',
    fields: { kernel_image_path: text, initrd_path: maybeText, boot_args: maybeText },
  },
  machine: {
    struct: 'MachineConfig',
    strict: true,
    definition: 'MachineConfiguration',
    fields: {
      vcpu_count: { of: 'u8', need: 'required' },
      mem_size_mib: { of: 'usize', need: 'required' },
      smt: flag,
      cpu_template: { of: cpuTemplates, need: 'optional' },
      track_dirty_pages: flag,
      huge_pages: { of: pages, need: 'default' },
    },
  },
  machineUpdate: {
    struct: 'MachineConfigUpdate',
    strict: true,
    definition: null,
    fields: {
      vcpu_count: { of: 'u8', need: 'optional' },
      mem_size_mib: { of: 'usize', need: 'optional' },
      smt: { of: 'bool', need: 'optional' },
      cpu_template: { of: cpuTemplates, need: 'optional' },
      track_dirty_pages: { of: 'bool', need: 'optional' },
      huge_pages: { of: pages, need: 'optional' },
    },
  },
  drive: {
    struct: 'BlockDeviceConfig',
    strict: true,
    definition: 'Drive',
    fields: {
      drive_id: text,
      partuuid: maybeText,
      is_root_device: { of: 'bool', need: 'required' },
      cache_type: { of: { enum: 'CacheType', variants: ['Unsafe', 'Writeback'] }, need: 'default' },
      is_read_only: { of: 'bool', need: 'optional' },
      path_on_host: maybeText,
      rate_limiter: limiter,
      io_engine: { of: { enum: 'FileEngineType', variants: ['Async', 'Sync'] }, need: 'optional' },
      socket: maybeText,
    },
  },
  driveUpdate: {
    struct: 'BlockDeviceUpdateConfig',
    strict: true,
    definition: 'PartialDrive',
    fields: { drive_id: text, path_on_host: maybeText, rate_limiter: limiter },
  },
  net: {
    struct: 'NetworkInterfaceConfig',
    strict: true,
    definition: 'NetworkInterface',
    fields: {
      iface_id: text,
      host_dev_name: text,
      guest_mac: { of: 'mac', need: 'optional' },
      mtu: { of: 'u16', need: 'optional', since: in1_16 },
      rx_rate_limiter: limiter,
      tx_rate_limiter: limiter,
    },
  },
  netUpdate: {
    struct: 'NetworkInterfaceUpdateConfig',
    strict: true,
    definition: 'PartialNetworkInterface',
    fields: { iface_id: text, rx_rate_limiter: limiter, tx_rate_limiter: limiter },
  },
  pmem: {
    struct: 'PmemConfig',
    strict: true,
    definition: 'Pmem',
    since: in1_14,
    fields: { id: text, path_on_host: text, root_device: flag, read_only: flag, rate_limiter: { ...limiter, since: in1_16 } },
  },
  pmemUpdate: {
    struct: 'PmemDeviceUpdateConfig',
    strict: true,
    definition: 'PartialPmem',
    since: in1_16,
    fields: { id: text, rate_limiter: limiter },
  },
  vsock: {
    struct: 'VsockDeviceConfig',
    strict: true,
    definition: 'Vsock',
    fields: { vsock_id: maybeText, guest_cid: { of: 'u32', need: 'required' }, uds_path: text },
  },
  entropy: { struct: 'EntropyDeviceConfig', strict: true, definition: 'EntropyDevice', fields: { rate_limiter: limiter } },
  serial: {
    struct: 'SerialConfig',
    strict: true,
    definition: 'SerialDevice',
    since: in1_14,
    fields: { serial_out_path: maybePath, rate_limiter: { of: { body: 'tokenBucket' }, need: 'optional', since: in1_16 } },
  },
  balloon: {
    struct: 'BalloonDeviceConfig',
    strict: true,
    definition: 'Balloon',
    fields: {
      amount_mib: { of: 'u32', need: 'required' },
      deflate_on_oom: { of: 'bool', need: 'required' },
      stats_polling_interval_s: { of: 'u16', need: 'default' },
      free_page_hinting: { ...flag, since: in1_14 },
      free_page_reporting: { ...flag, since: in1_14 },
    },
  },
  balloonUpdate: {
    struct: 'BalloonUpdateConfig',
    strict: true,
    definition: 'BalloonUpdate',
    fields: { amount_mib: { of: 'u32', need: 'required' } },
  },
  balloonStatsUpdate: {
    struct: 'BalloonUpdateStatsConfig',
    strict: true,
    definition: 'BalloonStatsUpdate',
    fields: { stats_polling_interval_s: { of: 'u16', need: 'required' } },
  },
  hintingStart: {
    struct: 'StartHintingCmd',
    strict: false,
    definition: 'BalloonStartCmd',
    since: in1_14,
    fields: { acknowledge_on_stop: flag },
  },
  memoryHotplug: {
    struct: 'MemoryHotplugConfig',
    strict: true,
    definition: 'MemoryHotplugConfig',
    since: in1_14,
    fields: {
      total_size_mib: { of: 'usize', need: 'required' },
      block_size_mib: { of: 'usize', need: 'default' },
      slot_size_mib: { of: 'usize', need: 'default' },
    },
  },
  memoryHotplugUpdate: {
    struct: 'MemoryHotplugSizeUpdate',
    strict: true,
    definition: 'MemoryHotplugSizeUpdate',
    since: in1_14,
    fields: { requested_size_mib: { of: 'usize', need: 'required' } },
  },
  mmdsConfig: {
    struct: 'MmdsConfig',
    strict: true,
    definition: 'MmdsConfig',
    fields: {
      version: { of: { enum: 'MmdsVersion', variants: ['V1', 'V2'] }, need: 'default' },
      network_interfaces: { of: { list: 'string' }, need: 'required' },
      ipv4_address: { of: 'ipv4', need: 'optional' },
      imds_compat: { ...flag, since: { since: '1.13.0' } },
    },
  },
  logger: {
    struct: 'LoggerConfig',
    strict: true,
    definition: 'Logger',
    fields: {
      log_path: maybePath,
      level: { of: 'level', need: 'optional' },
      show_level: { of: 'bool', need: 'optional' },
      show_log_origin: { of: 'bool', need: 'optional' },
      module: maybeText,
    },
  },
  metrics: { struct: 'MetricsConfig', strict: false, definition: 'Metrics', fields: { metrics_path: path } },
  action: {
    struct: 'ActionBody',
    strict: true,
    definition: 'InstanceActionInfo',
    fields: {
      action_type: { of: { enum: 'ActionType', variants: ['FlushMetrics', 'InstanceStart', 'SendCtrlAltDel'] }, need: 'required' },
    },
  },
  vm: {
    struct: 'Vm',
    strict: true,
    definition: 'Vm',
    fields: { state: { of: { enum: 'VmState', variants: ['Paused', 'Resumed'] }, need: 'required' } },
  },
  snapshotCreate: {
    struct: 'CreateSnapshotParams',
    strict: true,
    definition: 'SnapshotCreateParams',
    fields: {
      snapshot_type: { of: { enum: 'SnapshotType', variants: ['Diff', 'Full'] }, need: 'default' },
      snapshot_path: path,
      mem_file_path: path,
    },
  },
  snapshotLoad: {
    struct: 'LoadSnapshotConfig',
    strict: true,
    definition: 'SnapshotLoadParams',
    fields: {
      snapshot_path: path,
      mem_file_path: maybePath,
      mem_backend: { of: { body: 'memBackend' }, need: 'optional' },
      enable_diff_snapshots: flag,
      track_dirty_pages: { ...flag, since: { since: '1.13.0' } },
      resume_vm: flag,
      network_overrides: { of: { list: 'networkOverride' }, need: 'default', since: { since: '1.12.0' } },
      vsock_override: { of: { body: 'vsockOverride' }, need: 'optional', since: in1_16 },
      clock_realtime: { ...flag, since: { since: '1.14.4', but: ['1.15.0'] } },
    },
  },
  memBackend: {
    struct: 'MemBackendConfig',
    strict: true,
    definition: 'MemoryBackend',
    fields: { backend_path: path, backend_type: { of: { enum: 'MemBackendType', variants: ['File', 'Uffd'] }, need: 'required' } },
  },
  networkOverride: {
    struct: 'NetworkOverride',
    strict: false,
    definition: 'NetworkOverride',
    since: { since: '1.12.0' },
    fields: { iface_id: text, host_dev_name: text },
  },
  vsockOverride: { struct: 'VsockOverride', strict: false, definition: 'VsockOverride', since: in1_16, fields: { uds_path: text } },
  rateLimiter: {
    struct: 'RateLimiterConfig',
    strict: true,
    definition: 'RateLimiter',
    fields: { bandwidth: { of: { body: 'tokenBucket' }, need: 'optional' }, ops: { of: { body: 'tokenBucket' }, need: 'optional' } },
  },
  tokenBucket: {
    struct: 'TokenBucketConfig',
    strict: false,
    definition: 'TokenBucket',
    fields: {
      size: { of: 'u64', need: 'required' },
      one_time_burst: { of: 'u64', need: 'optional' },
      refill_time: { of: 'u64', need: 'required' },
    },
  },
  cpuConfig: {
    struct: 'CustomCpuTemplate',
    strict: true,
    definition: 'CpuConfig',
    fields: {
      kvm_capabilities: { of: { list: 'string' }, need: 'default' },
      cpuid_modifiers: { of: 'any', need: 'default' },
      msr_modifiers: { of: 'any', need: 'default' },
    },
  },
};

export type BodyName =
  | 'bootSource'
  | 'machine'
  | 'machineUpdate'
  | 'drive'
  | 'driveUpdate'
  | 'net'
  | 'netUpdate'
  | 'pmem'
  | 'pmemUpdate'
  | 'vsock'
  | 'entropy'
  | 'serial'
  | 'balloon'
  | 'balloonUpdate'
  | 'balloonStatsUpdate'
  | 'hintingStart'
  | 'memoryHotplug'
  | 'memoryHotplugUpdate'
  | 'mmdsConfig'
  | 'logger'
  | 'metrics'
  | 'action'
  | 'vm'
  | 'snapshotCreate'
  | 'snapshotLoad'
  | 'memBackend'
  | 'networkOverride'
  | 'vsockOverride'
  | 'rateLimiter'
  | 'tokenBucket'
  | 'cpuConfig';

/** What a body may hold in one version. */
export function bodyOf(name: BodyName, version: SimVersion): StructShape {
  const { struct, strict, fields } = bodies[name];
  const there = Object.entries(fields).filter(([, row]) => row.since === undefined || has(version, row.since));
  return {
    is: 'struct',
    name: struct,
    strict,
    fields: Object.fromEntries(there.map(([field, row]) => [field, { shape: shapeOf(row.of, version), need: row.need }])),
  };
}

export function bodyTable(): readonly (readonly [BodyName, Body])[] {
  return Object.entries(bodies) as [BodyName, Body][];
}

function shapeOf(of: Row['of'], version: SimVersion): Shape {
  if (typeof of === 'string') return { is: of };
  if ('enum' in of) return { is: 'enum', name: of.enum, variants: of.variants };
  if ('list' in of) return { is: 'list', of: of.list === 'string' ? { is: 'string' } : bodyOf(of.list, version) };
  return bodyOf(of.body, version);
}
