/**
 * Which requests Firecracker takes and what may stand in their bodies, by exact version. Our own table, as data; `openapi.test.ts` compares
 * it with the OpenAPI files of the versions, and real-table.real.test.ts with real binaries. Where document and parser disagree the parser is
 * right, and the difference is named there. x86 only: what only arm64 knows is not here.
 * Sources: src/firecracker/swagger/firecracker.yaml of each release, src/vmm/src/vmm_config and src/firecracker/src/api_server/request.
 */
import type { Span } from '@linstock/core';
import { abilitySpans, type FirecrackerAbility } from './versions.ts';

export type FieldType =
  | { is: 'text' }
  /** id of a drive, interface, pmem: letters, digits and `_` (the alphabet of instance ids is another: no `_`, but `-`) */
  | { is: 'id' }
  | { is: 'mac' }
  | { is: 'ipv4' }
  /** of the logger: in any case, and with `Warn` for `Warning` (vmm/src/logger/logging.rs) */
  | { is: 'level' }
  | { is: 'bool' }
  | { is: 'int'; min: number; max: number }
  | { is: 'one'; of: readonly string[] }
  | { is: 'list'; of: FieldType; atLeast: number }
  | { is: 'shape'; name: ShapeName }
  /** an object whose inside is not ours to judge */
  | { is: 'object' };

export type Field = {
  type: FieldType;
  /** missing is an error */
  need: boolean;
  /** null stands for "absent" (an Option of serde); a field that merely has a default refuses it */
  orNull?: true;
  /** absent: in all versions that we drive */
  spans?: readonly Span[];
  /** still taken, to go some day */
  deprecated?: readonly Span[];
};

export type Shape = {
  /** what Firecracker does about a field that it does not know; we refuse in both cases, because a misspelt key must not vanish */
  unknown: 'refused' | 'ignored';
  fields: Readonly<Record<string, Field>>;
};

const text: FieldType = { is: 'text' };
const id: FieldType = { is: 'id' };
const bool: FieldType = { is: 'bool' };
const level: FieldType = { is: 'level' };
const object: FieldType = { is: 'object' };
const int = (min: number, max: number): FieldType => ({ is: 'int', min, max });
const u32 = (min = 0): FieldType => int(min, 4_294_967_295);
/** u64 in Firecracker; JSON numbers are exact up to here */
const u64 = (min = 0): FieldType => int(min, Number.MAX_SAFE_INTEGER);
const one = (...of: string[]): FieldType => ({ is: 'one', of });
const list = (of: FieldType, atLeast = 0): FieldType => ({ is: 'list', of, atLeast });
const shape = (name: ShapeName): FieldType => ({ is: 'shape', name });
const need = (type: FieldType): Field => ({ type, need: true });
const may = (type: FieldType): Field => ({ type, need: false, orNull: true });
const filled = (type: FieldType): Field => ({ type, need: false });
const came = (ability: FirecrackerAbility, field: Field): Field => ({ ...field, spans: abilitySpans[ability] });
const old = (from: string, field: Field): Field => ({ ...field, deprecated: [{ from }] });
/** Deprecated before the oldest version that we drive. */
const long = '1.5.0';

export type ShapeName =
  | 'Balloon'
  | 'BalloonStartCmd'
  | 'BalloonStatsUpdate'
  | 'BalloonUpdate'
  | 'BootSource'
  | 'CpuConfig'
  | 'Drive'
  | 'EntropyDevice'
  | 'InstanceActionInfo'
  | 'Logger'
  | 'MachineConfiguration'
  | 'MemoryBackend'
  | 'MemoryHotplugConfig'
  | 'MemoryHotplugSizeUpdate'
  | 'Metrics'
  | 'MmdsConfig'
  | 'NetworkInterface'
  | 'NetworkOverride'
  | 'PartialDrive'
  | 'PartialNetworkInterface'
  | 'PartialPmem'
  | 'Pmem'
  | 'RateLimiter'
  | 'SerialDevice'
  | 'SnapshotCreateParams'
  | 'SnapshotLoadParams'
  | 'TokenBucket'
  | 'Vm'
  | 'Vsock'
  | 'VsockOverride';

const strict = (fields: Shape['fields']): Shape => ({ unknown: 'refused', fields });
const lax = (fields: Shape['fields']): Shape => ({ unknown: 'ignored', fields });
const limiter = may(shape('RateLimiter'));

export const shapes: Readonly<Record<ShapeName, Shape>> = {
  Balloon: strict({
    amount_mib: need(u32()),
    deflate_on_oom: need(bool),
    stats_polling_interval_s: filled(int(0, 65_535)),
    free_page_hinting: came('freePageReporting', filled(bool)),
    free_page_reporting: came('freePageReporting', filled(bool)),
  }),
  BalloonStartCmd: lax({ acknowledge_on_stop: filled(bool) }),
  BalloonStatsUpdate: strict({ stats_polling_interval_s: need(int(0, 65_535)) }),
  BalloonUpdate: strict({ amount_mib: need(u32()) }),
  BootSource: strict({ kernel_image_path: need(text), boot_args: may(text), initrd_path: may(text) }),
  // our own checks end at its keys: what is in them belongs to whoever makes CPU templates
  CpuConfig: strict({
    cpuid_modifiers: filled(list(object)),
    msr_modifiers: filled(list(object)),
    kvm_capabilities: filled(list(text)),
  }),
  Drive: strict({
    drive_id: need(id),
    is_root_device: need(bool),
    is_read_only: may(bool),
    // exactly one of the two: see checks.ts
    path_on_host: may(text),
    socket: may(text),
    partuuid: may(text),
    cache_type: filled(one('Unsafe', 'Writeback')),
    rate_limiter: limiter,
    io_engine: may(one('Sync', 'Async')),
  }),
  EntropyDevice: strict({ rate_limiter: limiter }),
  InstanceActionInfo: strict({ action_type: need(one('FlushMetrics', 'InstanceStart', 'SendCtrlAltDel')) }),
  Logger: strict({
    log_path: may(text),
    level: may(level),
    show_level: may(bool),
    show_log_origin: may(bool),
    module: may(text),
  }),
  MachineConfiguration: strict({
    vcpu_count: need(int(1, 32)),
    mem_size_mib: need(u64(1)),
    smt: filled(bool),
    // V1N1 is arm64's
    cpu_template: old(long, may(one('C3', 'T2', 'T2S', 'T2CL', 'T2A', 'None'))),
    track_dirty_pages: filled(bool),
    huge_pages: filled(one('None', '2M')),
  }),
  MemoryBackend: strict({ backend_type: need(one('File', 'Uffd')), backend_path: need(text) }),
  MemoryHotplugConfig: strict({
    total_size_mib: need(u32(1)),
    // up to 1.16.1 these are `usize` and huge values wrap (vmm_config/memory_hotplug.rs), so they are bounded here
    block_size_mib: filled(u32(2)),
    slot_size_mib: filled(u32(128)),
  }),
  MemoryHotplugSizeUpdate: strict({ requested_size_mib: need(u32()) }),
  Metrics: lax({ metrics_path: need(text) }),
  MmdsConfig: strict({
    network_interfaces: need(list(text, 1)),
    version: filled(one('V1', 'V2')),
    ipv4_address: may({ is: 'ipv4' }),
    imds_compat: came('imdsCompat', filled(bool)),
  }),
  NetworkInterface: strict({
    iface_id: need(id),
    host_dev_name: need(text),
    guest_mac: may({ is: 'mac' }),
    mtu: came('mtu', may(int(68, 65_535))),
    rx_rate_limiter: limiter,
    tx_rate_limiter: limiter,
  }),
  NetworkOverride: lax({ iface_id: need(text), host_dev_name: need(text) }),
  PartialDrive: strict({ drive_id: need(id), path_on_host: may(text), rate_limiter: limiter }),
  PartialNetworkInterface: strict({ iface_id: need(id), rx_rate_limiter: limiter, tx_rate_limiter: limiter }),
  PartialPmem: strict({ id: need(id), rate_limiter: limiter }),
  Pmem: strict({
    id: need(id),
    path_on_host: need(text),
    root_device: filled(bool),
    read_only: filled(bool),
    rate_limiter: came('serialLimit', limiter),
  }),
  RateLimiter: strict({ bandwidth: may(shape('TokenBucket')), ops: may(shape('TokenBucket')) }),
  SerialDevice: strict({ serial_out_path: may(text), rate_limiter: came('serialLimit', may(shape('TokenBucket'))) }),
  SnapshotCreateParams: strict({ snapshot_path: need(text), mem_file_path: need(text), snapshot_type: filled(one('Full', 'Diff')) }),
  SnapshotLoadParams: strict({
    snapshot_path: need(text),
    mem_backend: may(shape('MemoryBackend')),
    mem_file_path: old(long, may(text)),
    enable_diff_snapshots: old('1.13.0', filled(bool)),
    track_dirty_pages: came('trackDirtyPagesAtLoad', filled(bool)),
    resume_vm: filled(bool),
    network_overrides: came('networkOverrides', filled(list(shape('NetworkOverride')))),
    vsock_override: came('vsockOverride', may(shape('VsockOverride'))),
    clock_realtime: came('clockRealtime', filled(bool)),
  }),
  TokenBucket: lax({ size: need(u64()), refill_time: need(u64()), one_time_burst: may(u64()) }),
  Vm: strict({ state: need(one('Paused', 'Resumed')) }),
  Vsock: strict({ guest_cid: need(u32(3)), uds_path: need(text), vsock_id: old(long, may(text)) }),
  VsockOverride: lax({ uds_path: need(text) }),
};

/** `before` and `after` the start; after a start or a load only the second kind is answered, for ever (vmm/src/rpc_interface.rs). */
export type Phase = 'before' | 'after' | 'any';

export type Endpoint = {
  /** null: no body; `object`: any JSON object */
  body: ShapeName | 'object' | null;
  /** a body that may be left out */
  bodyOptional?: true;
  phase: Phase;
  answers: 200 | 204;
  spans?: readonly Span[];
};

const get = (phase: Phase, ability?: FirecrackerAbility): Endpoint => ({
  body: null,
  phase,
  answers: 200,
  ...(ability === undefined ? {} : { spans: abilitySpans[ability] }),
});
const put = (body: Endpoint['body'], phase: Phase, ability?: FirecrackerAbility): Endpoint => ({
  body,
  phase,
  answers: 204,
  ...(ability === undefined ? {} : { spans: abilitySpans[ability] }),
});

export type EndpointName = keyof typeof endpoints;
export const endpoints = {
  'GET /': get('any'),
  'GET /version': get('any'),
  'GET /vm/config': get('any'),
  'PATCH /vm': put('Vm', 'after'),
  'PUT /actions': put('InstanceActionInfo', 'any'),
  'PUT /boot-source': put('BootSource', 'before'),
  'GET /machine-config': get('any'),
  'PUT /machine-config': put('MachineConfiguration', 'before'),
  // before 1.11 it wanted mem_size_mib and track_dirty_pages each time, so the whole object is PUT instead
  'PATCH /machine-config': put('MachineConfiguration', 'before'),
  'PUT /cpu-config': put('CpuConfig', 'before'),
  'PUT /drives/{drive_id}': put('Drive', 'before'),
  'PATCH /drives/{drive_id}': put('PartialDrive', 'after'),
  'DELETE /drives/{drive_id}': put(null, 'after', 'deviceHotplug'),
  'PUT /network-interfaces/{iface_id}': put('NetworkInterface', 'before'),
  'PATCH /network-interfaces/{iface_id}': put('PartialNetworkInterface', 'after'),
  'DELETE /network-interfaces/{iface_id}': put(null, 'after', 'deviceHotplug'),
  'PUT /pmem/{id}': put('Pmem', 'before', 'pmem'),
  'PATCH /pmem/{id}': put('PartialPmem', 'after', 'serialLimit'),
  'DELETE /pmem/{id}': put(null, 'after', 'deviceHotplug'),
  'PUT /vsock': put('Vsock', 'before'),
  'PUT /entropy': put('EntropyDevice', 'before'),
  'PUT /serial': put('SerialDevice', 'before', 'serial'),
  'GET /balloon': get('any'),
  'PUT /balloon': put('Balloon', 'before'),
  'PATCH /balloon': put('BalloonUpdate', 'after'),
  'GET /balloon/statistics': get('after'),
  'PATCH /balloon/statistics': put('BalloonStatsUpdate', 'after'),
  'PATCH /balloon/hinting/start': { ...put('BalloonStartCmd', 'after', 'freePageReporting'), bodyOptional: true },
  'PATCH /balloon/hinting/stop': put(null, 'after', 'freePageReporting'),
  'GET /balloon/hinting/status': get('after', 'freePageReporting'),
  'PUT /hotplug/memory': put('MemoryHotplugConfig', 'before', 'memoryHotplug'),
  'GET /hotplug/memory': get('after', 'memoryHotplug'),
  'PATCH /hotplug/memory': put('MemoryHotplugSizeUpdate', 'after', 'memoryHotplug'),
  'PUT /mmds/config': put('MmdsConfig', 'before'),
  'GET /mmds': get('any'),
  'PUT /mmds': put('object', 'any'),
  'PATCH /mmds': put('object', 'any'),
  'PUT /logger': put('Logger', 'before'),
  'PUT /metrics': put('Metrics', 'before'),
  'PUT /snapshot/create': put('SnapshotCreateParams', 'after'),
  'PUT /snapshot/load': put('SnapshotLoadParams', 'before'),
} as const satisfies Readonly<Record<string, Endpoint>>;

/** Sections of a `--config-file`. Firecracker ignores all others in silence; `serial` has none in any version (serde skip). */
export const configSections: Readonly<Record<string, Field>> = {
  'boot-source': need(shape('BootSource')),
  drives: need(list(shape('Drive'))),
  'machine-config': may(shape('MachineConfiguration')),
  // a path, or from 1.13 the object itself: see lint/lint.ts
  'cpu-config': may(text),
  'network-interfaces': filled(list(shape('NetworkInterface'))),
  vsock: may(shape('Vsock')),
  entropy: may(shape('EntropyDevice')),
  balloon: may(shape('Balloon')),
  logger: may(shape('Logger')),
  metrics: may(shape('Metrics')),
  'mmds-config': may(shape('MmdsConfig')),
  pmem: came('pmem', filled(list(shape('Pmem')))),
  'memory-hotplug': came('memoryHotplug', may(shape('MemoryHotplugConfig'))),
};
