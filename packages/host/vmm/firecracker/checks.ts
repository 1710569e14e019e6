/**
 * A value compared with the tables of fields.ts, for one exact version. Pure. Every problem is found at once, and each is one sentence that
 * names the place, what is wrong, and for a field of another version, which version has it.
 */
import {
  configSections,
  endpoints,
  shapes,
  type EndpointName,
  type Endpoint,
  type Field,
  type FieldType,
  type ShapeName,
} from './fields.ts';
import { within, type Version } from '@linstock/core';
import { whenSpans } from './versions.ts';

export type FieldProblem = {
  /** JSON pointer (RFC 6901) */
  at: string;
  /** `ignored`: unknown where Firecracker passes over what it does not know */
  kind: 'unknown' | 'ignored' | 'other-version' | 'deprecated' | 'missing' | 'type' | 'range' | 'conflict';
  says: string;
  fix: string;
};

/** More than anybody mends at once; a body with more is hostile. */
const mostProblems = 64;

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** serde reads null as an Option that is absent. */
export function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

export function pointer(at: string, key: string | number): string {
  return `${at}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

const quoted = (value: string): string => JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);

function shownValue(value: unknown): string {
  if (typeof value === 'string') return `the text ${quoted(value)}`;
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : `a ${typeof value}`;
}

function wanted(type: FieldType): string {
  switch (type.is) {
    case 'text':
      return 'a text';
    case 'id':
      return 'an id of letters, digits and _';
    case 'mac':
      return 'six pairs of hexadecimal digits with colons between them';
    case 'ipv4':
      return 'an IPv4 address';
    case 'level':
      return 'Off, Error, Warning, Info, Debug or Trace';
    case 'bool':
      return 'true or false';
    case 'int':
      return type.max >= 4_294_967_295 ? `a whole number from ${type.min}` : `a whole number from ${type.min} to ${type.max}`;
    case 'one':
      return type.of.map(quoted).join(' or ');
    case 'list':
      return type.atLeast > 0 ? 'a list with at least one entry' : 'a list';
    case 'shape':
    case 'object':
      return 'an object';
  }
}

const formats = {
  mac: /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i,
  ipv4: /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/,
  level: /^(?:off|error|warn|warning|info|debug|trace)$/i,
} as const;

/** The problems of one value. */
export function checkValue(version: Version, type: FieldType, value: unknown, at: string): FieldProblem[] {
  const wrong = (kind: 'type' | 'range'): FieldProblem[] => [
    { at, kind, says: `${at === '' ? 'the body' : at} is ${shownValue(value)} and must be ${wanted(type)}`, fix: `Write ${wanted(type)}.` },
  ];
  switch (type.is) {
    case 'text':
      return typeof value === 'string' ? [] : wrong('type');
    case 'id':
      if (typeof value !== 'string') return wrong('type');
      return /^\w+$/.test(value) ? [] : wrong('range');
    case 'mac':
    case 'ipv4':
    case 'level':
      if (typeof value !== 'string') return wrong('type');
      return formats[type.is].test(value) ? [] : wrong('range');
    case 'bool':
      return typeof value === 'boolean' ? [] : wrong('type');
    case 'int':
      if (typeof value !== 'number' || !Number.isInteger(value)) return wrong('type');
      return value >= type.min && value <= type.max ? [] : wrong('range');
    case 'one':
      if (typeof value !== 'string') return wrong('type');
      return type.of.includes(value) ? [] : wrong('range');
    case 'list':
      if (!Array.isArray(value)) return wrong('type');
      if (value.length < type.atLeast) return wrong('range');
      return value.flatMap((entry, i) => checkValue(version, type.of, entry, pointer(at, i))).slice(0, mostProblems);
    case 'shape':
      return isRecord(value) ? checkShape(version, type.name, value, at) : wrong('type');
    case 'object':
      return isRecord(value) ? [] : wrong('type');
  }
}

export function checkShape(version: Version, name: ShapeName, value: Readonly<Record<string, unknown>>, at: string): FieldProblem[] {
  return [
    ...checkFields(version, shapes[name].fields, value, at, shapes[name].unknown),
    ...conflicts(name, value, at === '' ? 'the body' : at),
  ].slice(0, mostProblems);
}

export function checkFields(
  version: Version,
  fields: Readonly<Record<string, Field>>,
  value: Readonly<Record<string, unknown>>,
  at: string,
  unknown: 'refused' | 'ignored',
): FieldProblem[] {
  const problems: FieldProblem[] = [];
  for (const [key, entry] of Object.entries(value)) {
    if (problems.length >= mostProblems) break;
    const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
    const place = pointer(at, key);
    if (field === undefined) {
      problems.push({
        at: place,
        kind: unknown === 'ignored' ? 'ignored' : 'unknown',
        says: `No version of Firecracker has a field ${place}${unknown === 'ignored' ? ', and Firecracker would ignore it in silence' : ''}`,
        fix: suggestion(key, Object.keys(fields)),
      });
    } else if (field.spans !== undefined && !within(version, field.spans)) {
      problems.push({
        at: place,
        kind: 'other-version',
        says: `Firecracker ${version.text} has no ${place}: ${whenSpans(field.spans)}`,
        fix: `Leave it out, or use a version that has it.`,
      });
    } else if (entry === null && field.orNull === true) {
      continue;
    } else {
      problems.push(...checkValue(version, field.type, entry, place));
      if (field.deprecated !== undefined && within(version, field.deprecated)) {
        problems.push({
          at: place,
          kind: 'deprecated',
          says: `${place} is deprecated and will go with Firecracker 2.0`,
          fix: 'Leave it out.',
        });
      }
    }
  }
  for (const [key, field] of Object.entries(fields)) {
    if (!field.need || Object.hasOwn(value, key) || (field.spans !== undefined && !within(version, field.spans))) continue;
    const place = pointer(at, key);
    problems.push({ at: place, kind: 'missing', says: `${place} is missing`, fix: `Add it: ${wanted(field.type)}.` });
  }
  return problems;
}

/** Rules between fields of one object that Firecracker checks itself (vmm_config/*.rs, devices/virtio/block/vhost_user/device.rs). */
function conflicts(name: ShapeName, value: Readonly<Record<string, unknown>>, at: string): FieldProblem[] {
  const problem = (says: string, fix: string): FieldProblem[] => [{ at, kind: 'conflict', says, fix }];
  const given = (key: string): boolean => isGiven(value[key]);
  if (name === 'Drive' && given('path_on_host') === given('socket')) {
    return problem(`${at} needs exactly one of path_on_host and socket`, 'Give path_on_host for a file, socket for a vhost-user backend.');
  }
  if (name === 'Drive' && given('socket')) {
    const other = ['is_read_only', 'rate_limiter', 'io_engine'].find(given);
    if (other !== undefined)
      return problem(`${at} has socket and ${other}, which only a file has`, `Drop ${other}: the vhost-user backend decides it.`);
  }
  if (name === 'MemoryHotplugConfig') {
    const { total_size_mib: total, block_size_mib: block = 2, slot_size_mib: slot = 128 } = value;
    if (typeof total === 'number' && typeof block === 'number' && typeof slot === 'number') {
      if (!Number.isInteger(Math.log2(block)))
        return problem(`${at} has blocks of ${block} MiB, which must be a power of 2`, 'Change block_size_mib.');
      if (slot % block !== 0)
        return problem(`${at} has slots of ${slot} MiB, which must be a multiple of ${block} MiB, the block`, 'Change slot_size_mib.');
      if (slot > 0 && total % slot !== 0)
        return problem(`${at} has ${total} MiB in all, which must be a multiple of ${slot} MiB, the slot`, 'Change total_size_mib.');
    }
  }
  if (name === 'SnapshotLoadParams' && given('mem_backend') === given('mem_file_path')) {
    return problem(`${at} needs exactly one of mem_backend and mem_file_path`, 'Give mem_backend.');
  }
  if (name === 'MachineConfiguration') {
    const { smt, vcpu_count: vcpus, huge_pages: pages, mem_size_mib: memory } = value;
    if (smt === true && typeof vcpus === 'number' && vcpus !== 1 && vcpus % 2 === 1) {
      return problem(`${at} has smt with ${vcpus} vCPUs, which must then be 1 or even`, 'Change vcpu_count.');
    }
    if (pages === '2M' && typeof memory === 'number' && memory % 2 === 1) {
      return problem(`${at} has pages of 2 MiB and ${memory} MiB of memory, which must then be even`, 'Change mem_size_mib.');
    }
  }
  return [];
}

/** The known key that was probably meant. */
function suggestion(key: string, known: readonly string[]): string {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  const meant = known.find((other) => plain(other) === plain(key)) ?? known.find((other) => distance(plain(other), plain(key)) <= 2);
  return meant === undefined ? 'Leave it out.' : `Write ${quoted(meant)}.`;
}

/** Levenshtein, bounded: keys are short, and a hostile long one is no near miss. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2 || a.length > 40) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swap = (row[j - 1] ?? 0) + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 3;
}

/** Why a request would not be sent; null when it may be. Deprecated fields are sent. */
export function refusalOfRequest(version: Version, name: EndpointName, body: unknown): string | null {
  const endpoint: Endpoint = endpoints[name];
  if (endpoint.spans !== undefined && !within(version, endpoint.spans)) {
    return `Firecracker ${version.text} has no ${name}: ${whenSpans(endpoint.spans)}.`;
  }
  if (endpoint.body === null) return body === undefined ? null : `${name} takes no body.`;
  if (body === undefined) return endpoint.bodyOptional === true ? null : `${name} needs a body.`;
  const type: FieldType = endpoint.body === 'object' ? { is: 'object' } : { is: 'shape', name: endpoint.body };
  const first = checkValue(version, type, body, '').find(({ kind }) => kind !== 'deprecated');
  return first === undefined ? null : `${name}: ${first.says}.`;
}

/** All problems of a configuration file as a value; the rules between sections are in lint/. */
export function checkConfig(version: Version, config: Readonly<Record<string, unknown>>): FieldProblem[] {
  return checkFields(version, configSections, config, '', 'ignored');
}
