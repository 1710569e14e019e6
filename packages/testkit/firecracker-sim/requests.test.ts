/** What the API thread refuses, word by word (utils/src/validators.rs, api_server/request, vmm/src/persist.rs). Pure: no process. */
import { describe, expect, test } from 'vitest';
import type { Method } from './http.ts';
import { parseRequest, RequestError } from './requests.ts';
import { oneOfEachMinor, simVersions, type SimVersion } from './versions.ts';

function refusal(version: SimVersion, method: Method, path: string, body?: unknown): string {
  try {
    const bytes = body === undefined ? null : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    parseRequest({ method, path, body: bytes }, version);
    return '';
  } catch (error) {
    if (error instanceof RequestError) return error.message;
    throw error;
  }
}
const json = (what: string): string => `An error occurred when deserializing the json body of a request: ${what}.`;
const newest = '1.16.1';

describe('paths and methods', () => {
  test.each([
    ['GET', '/nowhere', undefined, 'Invalid request method and/or path: GET nowhere.'],
    ['PUT', '/nowhere', undefined, 'Empty PUT request.'],
    ['PUT', '/nowhere', {}, 'Invalid request method and/or path: PUT nowhere.'],
    ['PATCH', '/drives/a', undefined, 'Empty PATCH request.'],
    ['GET', '/', {}, 'GET request cannot have a body.'],
    ['DELETE', '/drives/a', {}, 'Empty Delete request.'],
    ['GET', '/vm', undefined, 'Invalid request method and/or path: GET vm.'],
    ['GET', '/balloon/x', undefined, 'Unrecognized GET request path `x`.'],
    ['GET', '/balloon/hinting/x', undefined, 'Unrecognized GET request path `/hinting/x`.'],
    ['PUT', '/mmds/x', {}, 'Unrecognized PUT request path `x`.'],
    ['PUT', '/snapshot', {}, 'Missing snapshot operation type.'],
    ['PUT', '/snapshot/x', {}, 'Invalid request method and/or path: PUT /snapshot/x.'],
    ['PUT', '/drives', {}, 'The ID cannot be empty.'],
    ['PUT', '/drives/a-b', {}, 'API Resource IDs can only contain alphanumeric characters and underscores.'],
    ['PUT', '/drives/ä_1', { drive_id: 'ä_1', is_root_device: false }, ''],
    ['PUT', '/drives/a', { drive_id: 'b', is_root_device: false }, 'The id from the path does not match the id from the body!'],
    [
      'PUT',
      '/network-interfaces/a',
      { iface_id: 'b', host_dev_name: 't' },
      'The id from the path [a] does not match the id from the body [b]!',
    ],
    ['PATCH', '/machine-config', {}, 'Empty PATCH request.'],
    ['PATCH', '/balloon/hinting/start', undefined, ''],
    ['PATCH', '/balloon/hinting/stop', undefined, ''],
  ] as const)('%s %s %j', (method, path, body, says) => {
    expect(refusal(newest, method, path, body)).toBe(says);
  });
});

describe('bodies', () => {
  test.each([
    ['/vsock', '', 'EOF while parsing a value at line 1 column 0'],
    ['/vsock', '{', 'EOF while parsing an object at line 1 column 1'],
    ['/vsock', '{"guest_cid":3', 'EOF while parsing an object at line 1 column 14'],
    ['/vsock', '{"guest_cid":3}', 'missing field `uds_path` at line 1 column 15'],
    ['/vsock', '{"guest_cid":3,}', 'trailing comma at line 1 column 16'],
    ['/vsock', '{"guest_cid" 3}', 'expected `:` at line 1 column 14'],
    ['/vsock', '{"guest_cid":3 "a":1}', 'expected `,` or `}` at line 1 column 16'],
    ['/vsock', '{guest_cid:3}', 'key must be a string at line 1 column 2'],
    ['/vsock', '{"guest_cid":"3"}', 'invalid type: string "3", expected u32 at line 1 column 16'],
    ['/vsock', '{"guest_cid":-3}', 'invalid value: integer `-3`, expected u32 at line 1 column 15'],
    ['/vsock', '{"guest_cid":1.5}', 'invalid type: floating point `1.5`, expected u32 at line 1 column 16'],
    ['/vsock', '{"guest_cid":null}', 'invalid type: null, expected u32 at line 1 column 17'],
    ['/vsock', '{"guest_cid":{}}', 'invalid type: map, expected u32 at line 1 column 13'],
    ['/vsock', '{"guest_cid":3,"guest_cid":4}', 'duplicate field `guest_cid` at line 1 column 26'],
    ['/vsock', '{"guest_cid":3,"uds_path":"a"}x', 'trailing characters at line 1 column 31'],
    [
      '/vsock',
      '{"guest_cid":3,\n "uds_path":"a\tb"}',
      'control character (\\u0000-\\u001F) found while parsing a string at line 2 column 15',
    ],
    ['/vsock', '"text"', 'invalid type: string "text", expected struct VsockDeviceConfig at line 1 column 6'],
    ['/vsock', '{"bogus":1}', 'unknown field `bogus`, expected one of `vsock_id`, `guest_cid`, `uds_path` at line 1 column 8'],
    [
      '/actions',
      '{"action_type":"Dance"}',
      'unknown variant `Dance`, expected one of `FlushMetrics`, `InstanceStart`, `SendCtrlAltDel` at line 1 column 22',
    ],
    ['/actions', '{"x":1}', 'unknown field `x`, expected `action_type` at line 1 column 4'],
    ['/entropy', '{"rate_limiter":{"x":1}}', 'unknown field `x`, expected `bandwidth` or `ops` at line 1 column 20'],
    ['/entropy', '{"rate_limiter":{"ops":{"size":1,"refill_time":2,"ignored":3}}}', null],
    ['/machine-config', '{"vcpu_count":300,"mem_size_mib":1}', 'invalid value: integer `300`, expected u8 at line 1 column 17'],
    ['/machine-config', '{"vcpu_count":1,"mem_size_mib":1,"smt":1}', 'invalid type: integer `1`, expected a boolean at line 1 column 40'],
    ['/logger', '{"level":"Loud"}', 'Invalid LevelFilter at line 1 column 16'],
    ['/logger', '{"level":"WARNING"}', null],
    ['/metrics', '{"metrics_path":"a","ignored":1}', null],
    [
      '/network-interfaces/e',
      '{"iface_id":"e","host_dev_name":"t","guest_mac":"06:00"}',
      'The provided MAC address is invalid. at line 1 column 56',
    ],
    ['/snapshot/load', '{"snapshot_path":"a"}', 'missing field: either `mem_backend` or `mem_file_path` is required'],
    [
      '/snapshot/load',
      '{"snapshot_path":"a","mem_file_path":"m","mem_backend":{"backend_path":"m","backend_type":"File"}}',
      'too many fields: either `mem_backend` or `mem_file_path` exclusively is required',
    ],
  ] as const)('%s %s', (path, body, says) => {
    expect(refusal(newest, 'PUT', path, body)).toBe(says === null ? '' : json(says));
  });

  const net = { iface_id: 'e', host_dev_name: 't' };
  const load = { snapshot_path: 'a', mem_file_path: 'm' };
  const balloon = { amount_mib: 1, deflate_on_oom: false };
  test.each([
    ['mtu', '/network-interfaces/e', { ...net, mtu: 1400 }, ['1.16.0', '1.16.1']],
    ['vsock_override', '/snapshot/load', { ...load, vsock_override: { uds_path: 'v', more: 1 } }, ['1.16.0', '1.16.1']],
    ['clock_realtime', '/snapshot/load', { ...load, clock_realtime: true }, ['1.14.4', '1.15.1', '1.16.0', '1.16.1']],
    ['track_dirty_pages', '/snapshot/load', { ...load, track_dirty_pages: true }, simVersions.slice(simVersions.indexOf('1.13.0'))],
    ['network_overrides', '/snapshot/load', { ...load, network_overrides: [] }, simVersions.slice(simVersions.indexOf('1.12.0'))],
    ['imds_compat', '/mmds/config', { network_interfaces: ['e'], imds_compat: true }, simVersions.slice(simVersions.indexOf('1.13.0'))],
    ['free_page_reporting', '/balloon', { ...balloon, free_page_reporting: true }, simVersions.slice(simVersions.indexOf('1.14.0'))],
    ['huge_pages', '/machine-config', { vcpu_count: 1, mem_size_mib: 2, huge_pages: '2M' }, simVersions],
  ] as const)('%s is known to the versions that have it, and an unknown field to the others', (field, path, body, versions) => {
    for (const version of simVersions) {
      const says = refusal(version, 'PUT', path, body);
      if (versions.some((one) => one === version)) expect([version, says]).toEqual([version, '']);
      else expect([version, says]).toEqual([version, expect.stringContaining(`unknown field \`${field}\`, expected `)]);
    }
  });

  test.each(oneOfEachMinor)('endpoints that came with 1.14 are unknown paths before (%s)', (version) => {
    const has = ['1.14.4', '1.15.1', '1.16.1'].includes(version);
    for (const [path, body] of [
      ['/serial', {}],
      ['/pmem/a', { id: 'a', path_on_host: 'x' }],
      ['/hotplug/memory', { total_size_mib: 128 }],
    ] as const)
      expect(refusal(version, 'PUT', path, body)).toBe(has ? '' : `Invalid request method and/or path: PUT ${path.split('/')[1]}.`);
  });
});

describe('deprecated fields', () => {
  const deprecated = (version: SimVersion, method: Method, path: string, body: unknown): string | null =>
    parseRequest({ method, path, body: Buffer.from(JSON.stringify(body)) }, version).deprecated;
  test.each([
    ['PUT', '/vsock', { guest_cid: 3, uds_path: 'v', vsock_id: 'x' }, 'PUT /vsock: vsock_id field is deprecated.'],
    ['PUT', '/vsock', { guest_cid: 3, uds_path: 'v' }, null],
    ['PATCH', '/machine-config', { cpu_template: 'T2' }, 'PATCH /machine-config: cpu_template field is deprecated.'],
    ['PUT', '/mmds/config', { network_interfaces: ['e'] }, 'PUT /mmds/config: V1 is deprecated. Use V2 instead.'],
    ['PUT', '/mmds/config', { network_interfaces: ['e'], version: 'V2' }, null],
  ] as const)('%s %s %j', (method, path, body, says) => {
    expect(deprecated(newest, method, path, body)).toBe(says);
  });
  test('enable_diff_snapshots is deprecated from 1.13 on', () => {
    const body = { snapshot_path: 's', mem_backend: { backend_path: 'm', backend_type: 'File' }, enable_diff_snapshots: true };
    expect(deprecated('1.12.1', 'PUT', '/snapshot/load', body)).toBeNull();
    expect(deprecated('1.13.0', 'PUT', '/snapshot/load', body)).toContain('enable_diff_snapshots fields are deprecated');
  });
});
