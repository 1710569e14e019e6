/**
 * What the API thread makes of a request before the VMM sees it (micro-http, api_server/request): which endpoint it is, whether the body fits, which
 * identifiers are allowed. What is refused here has no effect at all, not even on the boot-path flag.
 */
import { bodyOf, type BodyName } from './bodies.ts';
import type { Method, Request } from './http.ts';
import { JsonError, readJson, type Json } from './json.ts';
import { always, atLeast, has, type Since, type SimVersion } from './versions.ts';

export type ActionKind =
  | 'get-instance'
  | 'get-version'
  | 'get-config'
  | 'get-machine'
  | 'get-mmds'
  | 'get-balloon'
  | 'get-balloon-stats'
  | 'get-hinting'
  | 'get-memory-hotplug'
  | 'put-boot-source'
  | 'put-machine'
  | 'put-cpu-config'
  | 'put-drive'
  | 'patch-drive'
  | 'delete-drive'
  | 'put-net'
  | 'patch-net'
  | 'delete-net'
  | 'put-pmem'
  | 'patch-pmem'
  | 'delete-pmem'
  | 'put-vsock'
  | 'put-entropy'
  | 'put-serial'
  | 'put-balloon'
  | 'patch-balloon'
  | 'patch-balloon-stats'
  | 'start-hinting'
  | 'stop-hinting'
  | 'put-memory-hotplug'
  | 'patch-memory-hotplug'
  | 'put-mmds-config'
  | 'put-mmds'
  | 'patch-mmds'
  | 'put-logger'
  | 'put-metrics'
  | 'start'
  | 'flush-metrics'
  | 'ctrl-alt-del'
  | 'pause'
  | 'resume'
  | 'create-snapshot'
  | 'load-snapshot';

/** `deprecated`: the sentence for the log; its presence makes the answer carry `Deprecation: true`. */
export type Action = { kind: ActionKind; body: Json; deprecated: string | null };

/** Refused by the API thread; the text is the fault message. */
export class RequestError extends Error {}

/** The endpoints as data; a test holds them against the OpenAPI files. `id`: the path ends with the name of the device. */
export type Endpoint = { method: Method; path: string; id?: true; since: Since; action: ActionKind | null; body: BodyName | 'any' | null };
const on = (method: Method, path: string, action: ActionKind | null, body: Endpoint['body'], since: Since = always): Endpoint => ({
  method,
  path,
  since,
  action,
  body,
});
const of = (method: Method, path: string, action: ActionKind, body: Endpoint['body'], since: Since = always): Endpoint => ({
  ...on(method, path, action, body, since),
  id: true,
});
const in1_14: Since = { since: '1.14.0' };
const in1_16: Since = { since: '1.16.0' };
export const endpoints: readonly Endpoint[] = [
  on('GET', '/', 'get-instance', null),
  on('GET', '/version', 'get-version', null),
  on('GET', '/vm/config', 'get-config', null),
  on('GET', '/machine-config', 'get-machine', null),
  on('GET', '/mmds', 'get-mmds', null),
  on('GET', '/balloon', 'get-balloon', null),
  on('GET', '/balloon/statistics', 'get-balloon-stats', null),
  on('GET', '/balloon/hinting/status', 'get-hinting', null, in1_14),
  on('GET', '/hotplug/memory', 'get-memory-hotplug', null, in1_14),
  on('PUT', '/actions', null, 'action'),
  on('PUT', '/balloon', 'put-balloon', 'balloon'),
  on('PUT', '/boot-source', 'put-boot-source', 'bootSource'),
  on('PUT', '/cpu-config', 'put-cpu-config', 'cpuConfig'),
  of('PUT', '/drives', 'put-drive', 'drive'),
  of('PUT', '/pmem', 'put-pmem', 'pmem', in1_14),
  on('PUT', '/logger', 'put-logger', 'logger'),
  on('PUT', '/serial', 'put-serial', 'serial', in1_14),
  on('PUT', '/machine-config', 'put-machine', 'machine'),
  on('PUT', '/metrics', 'put-metrics', 'metrics'),
  on('PUT', '/mmds', 'put-mmds', 'any'),
  on('PUT', '/mmds/config', 'put-mmds-config', 'mmdsConfig'),
  of('PUT', '/network-interfaces', 'put-net', 'net'),
  on('PUT', '/snapshot/create', 'create-snapshot', 'snapshotCreate'),
  on('PUT', '/snapshot/load', 'load-snapshot', 'snapshotLoad'),
  on('PUT', '/vsock', 'put-vsock', 'vsock'),
  on('PUT', '/entropy', 'put-entropy', 'entropy'),
  on('PUT', '/hotplug/memory', 'put-memory-hotplug', 'memoryHotplug', in1_14),
  on('PATCH', '/balloon', 'patch-balloon', 'balloonUpdate'),
  on('PATCH', '/balloon/statistics', 'patch-balloon-stats', 'balloonStatsUpdate'),
  on('PATCH', '/balloon/hinting/start', 'start-hinting', 'hintingStart', in1_14),
  on('PATCH', '/balloon/hinting/stop', 'stop-hinting', null, in1_14),
  of('PATCH', '/drives', 'patch-drive', 'driveUpdate'),
  on('PATCH', '/machine-config', 'put-machine', 'machineUpdate'),
  on('PATCH', '/mmds', 'patch-mmds', 'any'),
  of('PATCH', '/network-interfaces', 'patch-net', 'netUpdate'),
  of('PATCH', '/pmem', 'patch-pmem', 'pmemUpdate', in1_16),
  on('PATCH', '/vm', null, 'vm'),
  on('PATCH', '/hotplug/memory', 'patch-memory-hotplug', 'memoryHotplugUpdate', in1_14),
  of('DELETE', '/drives', 'delete-drive', null, in1_16),
  of('DELETE', '/pmem', 'delete-pmem', null, in1_16),
  of('DELETE', '/network-interfaces', 'delete-net', null, in1_16),
];

const empty: Readonly<Record<Method, string>> = {
  GET: 'GET request cannot have a body.',
  PUT: 'Empty PUT request.',
  PATCH: 'Empty PATCH request.',
  DELETE: 'Empty Delete request.',
};

export function parseRequest(request: Request, version: SimVersion): Action {
  const { method, body } = request;
  // A slash at the end is tolerated, an empty word in the middle is not.
  const words = request.path.replace(/^\/+/, '').split('/');
  if (words.at(-1) === '') words.pop();
  const [first = '', second, third] = words;
  if ((method === 'GET' || method === 'DELETE') && body !== null) throw new RequestError(empty[method]);
  const endpoint = endpointOf(method, words, version);
  // hinting looks at its path first
  const hinting = first === 'balloon' && second === 'hinting' && atLeast(version, '1.14.0');
  const needsBody = method === 'PUT' || (method === 'PATCH' && endpoint?.body !== null && !hinting);
  if (needsBody && body === null) throw new RequestError(empty[method]);
  if (!endpoint) throw new RequestError(unknownPath(method, first, second, third, version));
  const id = endpoint.id ? checkedId(second) : null;
  const parsed = readBody(endpoint, body, version);
  if (id !== null && method !== 'DELETE') sameId(first, id, parsed);
  const action = endpoint.action ?? actionOf(parsed);
  return {
    kind: action,
    body: method === 'DELETE' ? id : checked(action, method, parsed),
    deprecated: deprecation(action, method, parsed, version),
  };
}

function endpointOf(method: Method, words: readonly string[], version: SimVersion): Endpoint | undefined {
  const there = endpoints.filter((one) => one.method === method && has(version, one.since));
  const wanted = words.join('/');
  // The rest of a path is looked at only where an endpoint has something below it: `/version/x` is `/version`.
  const exact = there.find((one) => one.path.slice(1) === wanted);
  if (exact) return exact;
  const [first = '', second] = words;
  if (method === 'PATCH' && wanted.startsWith('balloon/hinting/')) {
    return there.find((one) => one.path === `/${words.slice(0, 3).join('/')}`);
  }
  if (
    ['balloon', 'mmds', 'hotplug', 'vm', 'snapshot'].includes(first) &&
    second !== undefined &&
    !(first === 'balloon' && method === 'PUT')
  ) {
    const two = there.find((one) => one.path.slice(1) === `${first}/${second}`);
    if (two) return two;
    if (
      method === 'PATCH' &&
      (first === 'vm' || first === 'mmds' || (first === 'balloon' && second !== 'hinting' && atLeast(version, '1.14.0')))
    ) {
      return there.find((one) => one.path.slice(1) === first);
    }
    return method === 'GET' && first === 'mmds' ? there.find((one) => one.path === '/mmds') : undefined;
  }
  return there.find((one) => one.path.slice(1) === first);
}

function unknownPath(method: Method, first: string, second: string | undefined, third: string | undefined, version: SimVersion): string {
  if (first === 'balloon' && second !== undefined && (method === 'GET' || method === 'PATCH')) {
    if (second === 'hinting' && atLeast(version, '1.14.0')) return `Unrecognized ${method} request path \`/hinting/${third ?? ''}\`.`;
    return `Unrecognized ${method} request path \`${second}\`.`;
  }
  if (first === 'mmds' && method === 'PUT') return `Unrecognized PUT request path \`${second}\`.`;
  if (first === 'snapshot' && method === 'PUT') {
    return second === undefined ? 'Missing snapshot operation type.' : `Invalid request method and/or path: PUT /snapshot/${second}.`;
  }
  return `Invalid request method and/or path: ${method} ${first}.`;
}

/** No hyphen (utils/src/validators.rs). */
function checkedId(id: string | undefined): string {
  if (id === undefined || id === '') throw new RequestError('The ID cannot be empty.');
  if (!/^[\p{Alphabetic}\p{N}_]+$/u.test(id))
    throw new RequestError('API Resource IDs can only contain alphanumeric characters and underscores.');
  return id;
}

function readBody(endpoint: Endpoint, body: Buffer | null, version: SimVersion): Json {
  if (endpoint.body === null || body === null || (endpoint.body === 'hintingStart' && body.length === 0))
    return endpoint.body === 'hintingStart' ? {} : null;
  try {
    return readJson(body, endpoint.body === 'any' ? { is: 'any' } : bodyOf(endpoint.body, version));
  } catch (error) {
    if (error instanceof JsonError) throw deserializing(error.message);
    throw error;
  }
}

function deserializing(what: string): RequestError {
  return new RequestError(`An error occurred when deserializing the json body of a request: ${what}.`);
}

function sameId(first: string, id: string, body: Json): void {
  const { drive_id: drive, iface_id: iface, id: pmem } = body as { drive_id?: string; iface_id?: string; id?: string };
  const given = drive ?? iface ?? pmem ?? '';
  if (given === id) return;
  throw new RequestError(
    first === 'network-interfaces'
      ? `The id from the path [${id}] does not match the id from the body [${given}]!`
      : 'The id from the path does not match the id from the body!',
  );
}

function actionOf(body: Json): ActionKind {
  const { action_type: type, state } = body as { action_type?: string; state?: string };
  switch (type ?? state) {
    case 'InstanceStart':
      return 'start';
    case 'FlushMetrics':
      return 'flush-metrics';
    case 'SendCtrlAltDel':
      return 'ctrl-alt-del';
    case 'Paused':
      return 'pause';
    default:
      return 'resume';
  }
}

function checked(kind: ActionKind, method: Method, body: Json): Json {
  const given = body as Record<string, Json>;
  if (kind === 'put-machine' && method === 'PATCH' && Object.values(given).every((value) => value === null))
    throw new RequestError(empty.PATCH);
  // a PUT is the whole object, but for the template, which stays when none is given (machine_config.rs MachineConfigUpdate::from)
  if (kind === 'put-machine' && method === 'PUT') return { smt: false, track_dirty_pages: false, huge_pages: 'None', ...given };
  if (kind === 'load-snapshot') {
    const both = [given['mem_backend'], given['mem_file_path']].filter((one) => one !== undefined && one !== null).length;
    if (both === 2) throw deserializing('too many fields: either `mem_backend` or `mem_file_path` exclusively is required');
    if (both === 0) throw deserializing('missing field: either `mem_backend` or `mem_file_path` is required');
  }
  return body;
}

function deprecation(kind: ActionKind, method: Method, body: Json, version: SimVersion): string | null {
  const given = (typeof body === 'object' && !Array.isArray(body) ? body : {}) as Record<string, Json>;
  const isThere = (name: string): boolean => given[name] !== undefined && given[name] !== null;
  if (kind === 'put-machine' && isThere('cpu_template')) return `${method} /machine-config: cpu_template field is deprecated.`;
  if (kind === 'put-vsock' && isThere('vsock_id')) return 'PUT /vsock: vsock_id field is deprecated.';
  if (kind === 'put-mmds-config' && (given['version'] ?? 'V1') === 'V1') return 'PUT /mmds/config: V1 is deprecated. Use V2 instead.';
  if (kind === 'load-snapshot') {
    if (atLeast(version, '1.13.0') && (isThere('mem_file_path') || given['enable_diff_snapshots'] === true))
      return 'PUT /snapshot/load: mem_file_path and enable_diff_snapshots fields are deprecated.';
    if (!atLeast(version, '1.13.0') && isThere('mem_file_path')) return 'PUT /snapshot/load: mem_file_path field is deprecated.';
  }
  return null;
}
