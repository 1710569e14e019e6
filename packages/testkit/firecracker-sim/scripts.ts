/**
 * Request scripts as data, for the simulator and for a real binary alike, and the comparison of what they answer. A script needs no KVM
 * unless it says so: InstanceStart is where a machine without it and one with it part.
 */
import type { Answer } from './client.ts';
import type { SimVersion } from './versions.ts';
import { has, type Since } from './versions.ts';

/** `raw`: bytes as they go out, on a connection of their own; otherwise method, path and a body, on the one that is kept. */
export type Step = { raw: string } | { method: string; path: string; body?: unknown };
export type Script = {
  name: string;
  since?: Since;
  /** what the process is started with besides its socket */
  args?: readonly string[];
  /** files to be made first, empty unless there is content */
  files?: Readonly<Record<string, string | Uint8Array>>;
  /** the steps from the start of a VM on mean something only where one can run */
  needsKvm?: true;
  steps: readonly (readonly [expected: 'ok' | 'refused' | 'not-http', step: Step])[];
};

const put = (path: string, body: unknown): Step => ({ method: 'PUT', path, body });
const patch = (path: string, body: unknown): Step => ({ method: 'PATCH', path, body });
const get = (path: string): Step => ({ method: 'GET', path });
const drive = { drive_id: 'root', path_on_host: 'disk', is_root_device: true, is_read_only: false };
const limiter = { bandwidth: { size: 1000, one_time_burst: 2000, refill_time: 100 }, ops: { size: 0, refill_time: 100 } };

export const scripts: readonly Script[] = [
  {
    name: 'what can be asked before the start',
    steps: [
      ['ok', get('/')],
      ['ok', get('/version')],
      ['ok', get('/machine-config')],
      ['ok', get('/vm/config')],
      ['ok', get('/mmds')],
      ['refused', get('/balloon')],
      ['refused', get('/balloon/statistics')],
      ['refused', get('/nowhere')],
      ['refused', get('/vm')],
      ['refused', get('/version?x')],
      ['ok', get('/version/')],
      ['ok', get('http://localhost/version')],
    ],
  },
  {
    name: 'the machine',
    steps: [
      ['ok', put('/machine-config', { vcpu_count: 2, mem_size_mib: 256, smt: true })],
      ['ok', get('/machine-config')],
      ['refused', put('/machine-config', { vcpu_count: 3, mem_size_mib: 256, smt: true })],
      ['refused', put('/machine-config', { vcpu_count: 33, mem_size_mib: 256 })],
      ['refused', put('/machine-config', { vcpu_count: 0, mem_size_mib: 256 })],
      ['refused', put('/machine-config', { vcpu_count: 1, mem_size_mib: 0 })],
      ['refused', put('/machine-config', { vcpu_count: 1, mem_size_mib: 3, huge_pages: '2M' })],
      ['refused', put('/machine-config', { vcpu_count: 1 })],
      ['refused', put('/machine-config', { vcpu_count: 300, mem_size_mib: 1 })],
      ['refused', put('/machine-config', { vcpu_count: '1', mem_size_mib: 1 })],
      ['refused', put('/machine-config', { vcpu_count: 1, mem_size_mib: 1, huge_pages: '3M' })],
      ['refused', put('/machine-config', { vcpu_count: 1, mem_size_mib: 1, bogus: true })],
      ['refused', put('/machine-config', { vcpu_count: 1, mem_size_mib: 1, cpu_template: 'V1N1' })],
      ['refused', patch('/machine-config', {})],
      ['ok', patch('/machine-config', { mem_size_mib: 128, track_dirty_pages: true })],
      ['ok', get('/machine-config')],
      // a PUT replaces what a PATCH would have kept
      ['ok', put('/machine-config', { vcpu_count: 4, mem_size_mib: 256 })],
      ['ok', get('/machine-config')],
    ],
  },
  {
    name: 'kernel and drives',
    steps: [
      ['refused', put('/boot-source', { kernel_image_path: 'missing' })],
      ['refused', put('/boot-source', { kernel_image_path: 'k', initrd_path: 'missing' })],
      ['refused', put('/boot-source', { kernel_image_path: 'k', boot_args: 'x'.repeat(2048) })],
      ['ok', put('/boot-source', { kernel_image_path: 'k', boot_args: 'ä' })],
      ['ok', put('/boot-source', { kernel_image_path: 'k', boot_args: `  ${'x'.repeat(2047)}  ` })],
      ['refused', put('/boot-source', { kernel_image_path: 'k', boot_args: 'ä'.repeat(1024) })],
      ['refused', put('/boot-source', { kernel_image_path: 'k', boot_args: `${'x'.repeat(1000)} -- ${'y'.repeat(1044)}` })],
      ['ok', put('/boot-source', { kernel_image_path: 'k', boot_args: 'console=ttyS0' })],
      ['refused', put('/drives/a-b', { ...drive, drive_id: 'a-b' })],
      ['refused', put('/drives/', drive)],
      ['refused', put('/drives/a', drive)],
      ['refused', put('/drives/root', { ...drive, path_on_host: 'missing' })],
      ['refused', put('/drives/root', { drive_id: 'root', is_root_device: true })],
      ['refused', put('/drives/root', { ...drive, socket: 's' })],
      ['refused', put('/drives/root', { drive_id: 'root', is_root_device: true, socket: 's' })],
      ['refused', put('/drives/root', { drive_id: 'root', is_root_device: true, socket: 's', is_read_only: true })],
      ['refused', put('/drives/root', { ...drive, cache_type: 'Never' })],
      ['refused', put('/drives/root', { ...drive, rate_limiter: { x: 1 } })],
      ['ok', put('/drives/data', { ...drive, drive_id: 'data', is_root_device: false, rate_limiter: limiter })],
      ['ok', put('/drives/root', { ...drive, cache_type: 'Writeback' })],
      ['refused', put('/drives/data', { ...drive, drive_id: 'data' })],
      ['ok', put('/drives/data', { ...drive, drive_id: 'data', is_root_device: false, is_read_only: true })],
      ['refused', patch('/drives/root', { drive_id: 'root', path_on_host: 'disk' })],
      ['ok', get('/vm/config')],
    ],
  },
  {
    name: 'the small devices',
    steps: [
      ['ok', put('/entropy', {})],
      ['ok', put('/entropy', { rate_limiter: limiter })],
      ['refused', put('/entropy', { bogus: 1 })],
      ['refused', put('/balloon', { amount_mib: 1 })],
      ['refused', put('/balloon', { amount_mib: 1000, deflate_on_oom: true })],
      ['ok', put('/balloon', { amount_mib: 10, deflate_on_oom: true, stats_polling_interval_s: 1 })],
      ['ok', get('/balloon')],
      ['refused', put('/machine-config', { vcpu_count: 1, mem_size_mib: 5 })],
      ['refused', patch('/balloon', { amount_mib: 5 })],
      ['refused', put('/vsock', { guest_cid: 3 })],
      ['ok', put('/vsock', { guest_cid: 3, uds_path: 'v1' })],
      ['ok', put('/vsock', { guest_cid: 4, uds_path: 'v2', vsock_id: 'old' })],
      ['refused', put('/vsock', { guest_cid: 3, uds_path: 'disk' })],
      ['refused', put('/vsock', { guest_cid: 3, uds_path: 'no/such' })],
      ['refused', put('/balloon/anything', {})],
      ['ok', get('/vm/config')],
    ],
  },
  {
    name: 'the metadata service',
    args: ['--mmds-size-limit', '60'],
    steps: [
      ['refused', patch('/mmds', { a: 1 })],
      ['ok', put('/mmds', { a: { b: 1, c: [1, 2] } })],
      ['ok', patch('/mmds', { a: { b: null }, d: 'x' })],
      ['ok', get('/mmds')],
      ['refused', put('/mmds', { a: 'x'.repeat(100) })],
      ['refused', put('/mmds', '{"a":')],
      ['refused', put('/mmds/config', { network_interfaces: [] })],
      ['refused', put('/mmds/config', { network_interfaces: ['eth0'], version: 'V2' })],
      ['refused', put('/mmds/config', { network_interfaces: ['eth0'], ipv4_address: '10.0.0.1' })],
      ['refused', put('/mmds/other', {})],
    ],
  },
  {
    name: 'log and metrics',
    files: { log: '', met: '' },
    steps: [
      ['ok', put('/logger', { log_path: 'log', level: 'Warning', show_level: true })],
      ['ok', put('/logger', { level: 'DEBUG' })],
      ['refused', put('/logger', { level: 'Loud' })],
      ['refused', put('/logger', { log_path: 'no/such/folder' })],
      ['ok', put('/metrics', { metrics_path: 'met', ignored: true })],
      ['refused', put('/metrics', { metrics_path: 'met' })],
      ['refused', put('/metrics', { metrics_path: 'no/such' })],
    ],
  },
  {
    name: 'calls that belong after the start',
    steps: [
      ['refused', patch('/vm', { state: 'Paused' })],
      ['refused', patch('/vm', { state: 'Dancing' })],
      ['refused', put('/actions', { action_type: 'FlushMetrics' })],
      ['refused', put('/actions', { action_type: 'Dance' })],
      ['refused', put('/actions', { action_type: 'InstanceStart' })],
      ['refused', put('/snapshot/create', { snapshot_path: 's', mem_file_path: 'm' })],
      ['refused', put('/snapshot/create', { snapshot_path: 's' })],
      ['refused', put('/snapshot', {})],
      ['refused', put('/snapshot/dance', {})],
      ['refused', patch('/network-interfaces/e', { iface_id: 'e' })],
    ],
  },
  {
    name: 'a load after the boot path was taken',
    steps: [
      ['ok', put('/entropy', {})],
      ['refused', put('/snapshot/load', { snapshot_path: 's' })],
      ['refused', put('/snapshot/load', { snapshot_path: 's', mem_backend: { backend_path: 'm', backend_type: 'Other' } })],
      ['refused', put('/snapshot/load', { snapshot_path: 's', mem_backend: { backend_path: 'm', backend_type: 'File' } })],
      ['ok', get('/')],
    ],
  },
  {
    name: 'a load that fails',
    steps: [['refused', put('/snapshot/load', { snapshot_path: 'missing', mem_backend: { backend_path: 'm', backend_type: 'File' } })]],
  },
  {
    name: 'bodies that are no JSON',
    steps: [
      '',
      '{',
      '[',
      '{"action_type"}',
      '{"action_type":}',
      '{"action_type":"x"',
      '{action_type:1}',
      '{"action_type":1}',
      'nul',
      '{}x',
      '"a',
      '{"a":01}',
      '{,}',
      '["InstanceStart"',
      '["FlushMetrics",]',
      '["FlushMetrics",1]',
      '[]',
      '{"action_type":{"FlushMetrics":1}}',
      '{"action_type":{"None":null}}',
      '{"action_type":{}}',
      '{"action_type":-}',
      '{"action_type":1.}',
      '{"action_type":1e}',
      '{"action_type":1e20}',
    ].map((body) => ['refused', put('/actions', body)] as const),
  },
  {
    name: 'HTTP that is none, or unusual',
    steps: [
      ['not-http', { raw: 'nonsense\r\n\r\n' }],
      ['not-http', { raw: 'POST / HTTP/1.1\r\n\r\n' }],
      ['not-http', { raw: 'GET  HTTP/1.1\r\n\r\n' }],
      ['not-http', { raw: 'GET / HTTP/3\r\n\r\n' }],
      ['not-http', { raw: 'GET / HTTP/1.1\r\nno colon\r\n\r\n' }],
      ['not-http', { raw: 'PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n' }],
      ['not-http', { raw: 'PUT / HTTP/1.1\r\nContent-Length: 51201\r\n\r\n' }],
      ['not-http', { raw: 'GET / HTTP/1.1\r\nAccept-Encoding: identity;q=0\r\n\r\n' }],
      ['not-http', { raw: `GET /${'x'.repeat(1100)} HTTP/1.1\r\n\r\n` }],
      ['refused', { raw: 'PUT /machine-config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n' }],
      ['ok', { raw: 'GET /version HTTP/1.0\r\nContent-Type: nonsense\r\nX-Other: 1\r\n\r\n' }],
      ['refused', { raw: 'GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}' }],
    ],
  },
  {
    name: 'what came with 1.14',
    since: { since: '1.14.0' },
    steps: [
      ['ok', put('/serial', { serial_out_path: 'serial' })],
      ['refused', put('/serial', { bogus: 1 })],
      ['refused', put('/hotplug/memory', { total_size_mib: 100 })],
      ['refused', put('/hotplug/memory', { total_size_mib: 1024, block_size_mib: 3 })],
      ['refused', put('/hotplug/memory', { total_size_mib: 1024, block_size_mib: 1 })],
      ['refused', put('/hotplug/memory', { total_size_mib: 1024, slot_size_mib: 64 })],
      ['refused', put('/hotplug/memory', { total_size_mib: 1000 })],
      ['ok', put('/hotplug/memory', { total_size_mib: 1024 })],
      ['refused', get('/hotplug/memory')],
      ['refused', get('/balloon/hinting/status')],
      ['refused', get('/balloon/hinting/dance')],
      ['ok', get('/vm/config')],
    ],
  },
  { name: 'DELETE before the start', since: { since: '1.16.0' }, steps: [['refused', { method: 'DELETE', path: '/drives/a' }]] },
  {
    name: 'a kernel that is none',
    needsKvm: true,
    steps: [
      ['ok', put('/boot-source', { kernel_image_path: 'text' })],
      ['refused', put('/actions', { action_type: 'InstanceStart' })],
      ['ok', get('/')],
    ],
  },
];

export function scriptsOf(version: SimVersion, kvm: boolean): readonly Script[] {
  return scripts.filter((script) => (script.since === undefined || has(version, script.since)) && (kvm || script.needsKvm !== true));
}

type Call = Extract<Step, { method: string }>;

/** The way to a VM that runs the kernel `guest`, and devices that it may have or not. */
export function startOf(version: SimVersion): { devices: Call[]; start: Call[] } {
  const call = (path: string, body: unknown): Call => ({ method: 'PUT', path, body });
  return {
    devices: [
      call('/entropy', {}),
      call('/balloon', { amount_mib: 0, deflate_on_oom: true, stats_polling_interval_s: 1 }),
      call('/network-interfaces/eth0', { iface_id: 'eth0', host_dev_name: 'tap9' }),
      call('/vsock', { guest_cid: 3, uds_path: 'v9' }),
      call('/drives/data', { drive_id: 'data', path_on_host: 'disk', is_root_device: false }),
      ...(has(version, { since: '1.14.0' }) ? [call('/pmem/pm', { id: 'pm', path_on_host: 'disk' })] : []),
    ],
    start: [
      call('/machine-config', { vcpu_count: 1, mem_size_mib: 64 }),
      call('/boot-source', { kernel_image_path: 'guest', boot_args: 'console=ttyS0' }),
      call('/drives/root', { drive_id: 'root', path_on_host: 'disk', is_root_device: true }),
      call('/actions', { action_type: 'InstanceStart' }),
    ],
  };
}

/** What a step of a script gave; `class` is what the script foresees. */
export type Seen = { step: string; class: 'ok' | 'refused' | 'not-http' | 'closed'; answer: Answer };

export function classOf(answer: Answer): Seen['class'] {
  if (answer.status === 0) return 'closed';
  if (answer.status < 400) return 'ok';
  return answer.body.startsWith('{ "error"') ? 'not-http' : 'refused';
}

export function nameOf(step: Step): string {
  return 'raw' in step
    ? JSON.stringify(step.raw.slice(0, 60))
    : `${step.method} ${step.path} ${step.body === undefined ? '' : JSON.stringify(step.body)}`.trim();
}

/** What differs between two runs of a script, one sentence each, after what may differ was taken out. */
export function differences(ours: readonly Seen[], theirs: readonly Seen[]): string[] {
  const found: string[] = [];
  for (const [index, own] of ours.entries()) {
    const other = theirs[index];
    if (!other) {
      found.push(`${own.step}: the other side has no answer`);
      continue;
    }
    for (const part of ['line', 'headers', 'body'] as const) {
      const [a, b] = [normal(own.answer, part), normal(other.answer, part)];
      if (a !== b) found.push(`${own.step}: ${part}: simulated ${a} | real ${b}`);
    }
  }
  if (theirs.length > ours.length) found.push(`the other side has ${theirs.length - ours.length} answers more`);
  return found;
}

/** Ids, times, pids, and folders are what they are; the order of keys in a body is not, nor that of the devices in a list of them. */
export function normal(answer: Answer, part: 'line' | 'headers' | 'body'): string {
  if (part === 'line') return answer.line;
  if (part === 'headers') {
    const { 'Content-Length': _length, ...rest } = answer.headers;
    return Object.entries(rest)
      .map(([name, value]) => `${name}: ${value}`)
      .toSorted()
      .join(', ');
  }
  return sorted(answer.body)
    .replaceAll(/\/tmp\/[\w./-]+/g, '<path>')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+/g, '<time>')
    .replaceAll(/"id":"[^"]*"/g, '"id":"<id>"')
    .replaceAll(/\bpid[ =]\d+/g, '<pid>');
}

function sorted(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), (_key, value: unknown) => {
      if (Array.isArray(value))
        return value.every(isPlain) ? value.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : value;
      return isPlain(value) ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) : value;
    });
  } catch {
    return body; // the HTTP layer's refusals are no JSON, and have no keys to be ordered
  }
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
