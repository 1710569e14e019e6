/**
 * Requests at random, near enough to what is right that most of them come to the VMM: for the comparison with real binaries. Whatever a
 * machine decides is left out: more memory than it has, names of its interfaces, numbers that only one JSON library prints in one way.
 */
import fc from 'fast-check';
import { bodyOf } from './bodies.ts';
import type { Shape, StructShape } from './json.ts';
import { endpoints, type ActionKind, type Endpoint } from './requests.ts';
import type { Step } from './scripts.ts';
import { has, type SimVersion } from './versions.ts';

type Call = Extract<Step, { method: string }>;

const ids = ['a', 'b_1', 'root', 'eth0', 'x-y', ''];
/** What Bench makes, what it does not, and what cannot be there. */
const paths = ['disk', 'k', 'text', 'log', 'missing', 'v1', 'no/such', ''];
/** Paths that are nobody's, or somebody's with something behind it. */
const oddPaths = (
  '/ /vm /vm/config /balloon/x /balloon/statistics/x /balloon/hinting /balloon/hinting/start/x /drives /drives/a/b /mmds/x /mmds/config/x ' +
  '/snapshot /snapshot/create/x /hotplug /hotplug/memory/x /actions/x //version /version// /logger/x /pmem /serial/x /entropy/x /vsock/x ' +
  '/machine-config/x /x/y/z'
).split(' ');
/** Ends of the process, and what a static template of a CPU would need another processor for. */
const leftOut: readonly (ActionKind | null)[] = ['start', 'load-snapshot', 'put-cpu-config'];
/** After the start these belong to nobody or to the guest, and the guest of the comparison has no drivers. */
const leftOutAfter: readonly (ActionKind | null)[] = [...leftOut, 'put-logger', 'put-metrics', 'put-mmds', 'patch-mmds'];

/** `after`: for a VM that runs. */
export function randomCalls(version: SimVersion, after: boolean): fc.Arbitrary<Call[]> {
  const there = endpoints.filter(({ since, action }) => has(version, since) && !(after ? leftOutAfter : leftOut).includes(action));
  const odd = fc
    .tuple(fc.constantFrom('GET', 'PUT', 'PATCH', 'DELETE'), fc.constantFrom(...oddPaths), fc.constantFrom(undefined, '{}'))
    .map(([method, path, body]) => ({ method, path, body }));
  return fc.array(fc.oneof(...there.map((endpoint) => callOf(endpoint, version)), odd), { minLength: 30, maxLength: 60 });
}

function callOf(endpoint: Endpoint, version: SimVersion): fc.Arbitrary<Call> {
  const { method, path, id } = endpoint;
  return fc
    .record({ body: bodiesOf(endpoint, version), id: fc.constantFrom(...ids, 'a/b'), same: mostly(true, false), damage: fc.nat(10_000) })
    .map((one) => {
      const named = idOf(one.body);
      const last = !one.same || named === null ? one.id : named;
      const text = one.body === undefined ? undefined : damaged(JSON.stringify(one.body), one.damage);
      return { method, path: id === true ? `${path}/${last}` : path, body: text };
    });
}

function bodiesOf({ body, action }: Endpoint, version: SimVersion): fc.Arbitrary<unknown> {
  if (body === null) return mostly(undefined, {});
  const right = body === 'any' ? json(2) : valueOf(bodyOf(body, version));
  // it would end the guest, or start it
  const harmless = right.map((value) => (action === null && isEnd(value) ? { action_type: 'FlushMetrics' } : value));
  return fc.oneof({ weight: 20, arbitrary: harmless }, { weight: 1, arbitrary: fc.constant(undefined) });
}

function isEnd(value: unknown): boolean {
  const type = (value as { action_type?: unknown } | null)?.action_type;
  return type === 'InstanceStart' || type === 'SendCtrlAltDel';
}

function idOf(body: unknown): string | null {
  const { drive_id: drive, iface_id: iface, id } = (body ?? {}) as Record<string, unknown>;
  const found = [drive, iface, id].find((value) => typeof value === 'string');
  return typeof found === 'string' && /^[\w-]*$/.test(found) ? found : null;
}

/** One in sixteen loses its end or a character, or gains one. */
function damaged(text: string, damage: number): string {
  if (damage % 16 !== 0) return text;
  const at = (damage * 7_919) % (text.length + 1);
  const more = '{}[]",:0x \\e.-'[damage % 14] ?? '';
  return [text.slice(0, at), text.slice(0, at) + text.slice(at + 1), text.slice(0, at) + more + text.slice(at)][damage % 3] ?? text;
}

function mostly<T>(usual: T, other: T): fc.Arbitrary<T> {
  return fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constant(other) });
}

function json(maxDepth: number): fc.Arbitrary<unknown> {
  const tame = (_key: string, value: unknown): unknown => (typeof value === 'number' ? Math.trunc(value) % 1_000 : value);
  return fc.jsonValue({ maxDepth }).map((value) => JSON.parse(JSON.stringify(value, tame)) as unknown);
}

function valueOf(shape: Shape): fc.Arbitrary<unknown> {
  // serde takes a list for a struct, and which of its fields may then be missing is no matter of the API
  const other = json(1).filter((value) => !(shape.is === 'struct' && Array.isArray(value)));
  return fc.oneof({ weight: 12, arbitrary: rightOf(shape) }, { weight: 1, arbitrary: other }, { weight: 1, arbitrary: fc.constant(null) });
}

const sizes = [0, 1, 2, 3, 4, 10, 32, 33, 64, 128, 255, 256, 512, 1_000, 1_024, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32];

function rightOf(shape: Shape): fc.Arbitrary<unknown> {
  switch (shape.is) {
    case 'struct':
      return structOf(shape);
    case 'list':
      return fc.array(valueOf(shape.of), { maxLength: 2 });
    case 'map':
      return fc.dictionary(fc.constantFrom('a', 'b'), valueOf(shape.of), { maxKeys: 2 });
    case 'enum':
      return fc.constantFrom(...shape.variants, ...shape.variants, 'none', '');
    case 'bool':
      return fc.boolean();
    case 'string':
    case 'path':
      return fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom(...paths, ...ids) },
        { weight: 1, arbitrary: fc.string({ maxLength: 6 }).map((text) => text.replaceAll('/', '_')) },
      );
    case 'mac':
      return fc.constantFrom('06:00:00:00:00:01', '06:00:00:00:00:0A', '6:0:0:0:0:1', '06-00-00-00-00-01', 'zz:00:00:00:00:01');
    case 'ipv4':
      return fc.constantFrom('169.254.169.254', '169.254.0.1', '10.0.0.1', '1.2.3', '169.254.1.256', '169.254.255.1');
    case 'level':
      return fc.constantFrom('Off', 'error', 'WARN', 'Warning', 'Info', 'debug', 'Trace', 'loud');
    case 'any':
      return json(2);
    case 'u8':
    case 'u16':
    case 'u32':
    case 'u64':
    case 'i32':
    case 'usize':
      return fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom(...sizes) },
        { weight: 1, arbitrary: fc.constantFrom(-1, 1.5, 2 ** 53, '1') },
      );
  }
}

function structOf({ fields }: StructShape): fc.Arbitrary<unknown> {
  const entries = Object.entries(fields).map(([name, { shape, need }]) =>
    fc.oneof(
      { weight: need === 'required' ? 12 : 1, arbitrary: valueOf(shape).map((value) => [[name, value]]) },
      { weight: 1, arbitrary: fc.constant([]) },
    ),
  );
  return fc
    .tuple(fc.tuple(...entries), mostly<unknown[][]>([], [['bogus', 1]]))
    .map(([own, more]) => Object.fromEntries([...own.flat(), ...more] as [string, unknown][]) as unknown);
}
