/**
 * What is wrong with a Firecracker configuration file (`--config-file`), before it is run. Pure; any bytes give findings. Firecracker itself
 * checks one section after the other and stops at the first error, and says nothing about a section whose name it does not know.
 * The rules: fields and types by fields.ts, boot.ts for kernel and arguments, devices.ts for the rest. What only the machine can tell is in
 * host-judge.ts.
 */
import { checkConfig, checkShape, isRecord, type FieldProblem } from '../checks.ts';
import { compareVersions, parseVersion, type Version } from '@linstock/core';
import { abilitySpans, has, newest, oldest, whenSpans } from '../versions.ts';
import { lintBoot } from './boot.ts';
import { lintDrives, lintNetwork, lintRest } from './devices.ts';
import { gathering, section, type Finding, type Say, type Section, type Severity } from './finding.ts';
import { readJsonText, type JsonText, type Place } from './json-text.ts';

export type Lint = {
  /** errors first, each kind in the order of the file */
  findings: readonly Finding[];
  /** null: there is no object to look into */
  config: Section | null;
  placeOf(at: string): Place;
};

/** A file with 18 devices has 6 KB; CPU templates inside make it longer. */
export const mostConfigBytes = 1024 * 1024;

/** `assumed`: nobody said for which version, so it is worth saying which ones this file is for. */
export function lintConfig(text: string | Uint8Array, version: Version, o: { assumed?: boolean } = {}): Lint {
  const { findings, say } = gathering();
  const read = readConfig(text, say);
  if (read.config === null) return { findings, config: null, placeOf: read.placeOf };
  const { config, json, placeOf } = read;
  const problems = problemsOf(config, version);
  for (const problem of problems) sayProblem(config, problem, version, say);
  lintText(json, problems.filter(isIgnored), say);
  lintBoot(config, version, say);
  lintDrives(config, say);
  lintNetwork(config, say);
  lintRest(config, version, say);
  if (o.assumed === true) sayNeeds(config, say);
  const known = parseVersion(newest);
  if (known !== null && compareVersions(version, known) > 0)
    say(
      'note',
      '',
      `Firecracker ${version.text} is newer than ${newest}, the newest that is known here.`,
      'It is taken to do what that one does.',
      'Look into its changelog.',
    );
  return { findings: inOrder(findings, placeOf), config, placeOf };
}

const order: Readonly<Record<Severity, number>> = { error: 0, warning: 1, note: 2 };

export function inOrder(findings: readonly Finding[], placeOf: Lint['placeOf']): readonly Finding[] {
  const placed = findings.map((finding) => ({ finding, ...placeOf(finding.at) }));
  return placed
    .toSorted((a, b) => order[a.finding.severity] - order[b.finding.severity] || a.line - b.line || a.column - b.column)
    .map(({ finding }) => finding);
}

type Read = { config: null; placeOf: Lint['placeOf'] } | { config: Section; json: JsonText; placeOf: Lint['placeOf'] };

function readConfig(text: string | Uint8Array, say: Say): Read {
  const bytes = typeof text === 'string' ? Buffer.byteLength(text) : text.length;
  const nowhere = (): Place => ({ line: 1, column: 1 });
  if (bytes > mostConfigBytes) {
    say(
      'error',
      '',
      `The file has more than ${mostConfigBytes} bytes.`,
      'No configuration is that long.',
      'Give the configuration file itself.',
    );
    return { config: null, placeOf: nowhere };
  }
  const read = readJsonText(text);
  if (read.is === 'broken') {
    say('error', '', 'The file is not JSON.', read.why, read.fix);
    return { config: null, placeOf: () => read.place };
  }
  const { json } = read;
  if (isRecord(json.value)) return { config: json.value, json, placeOf: json.placeOf };
  say(
    'error',
    '',
    'The file holds no JSON object.',
    'Firecracker reads sections by their names.',
    'Begin it with { and name the sections.',
  );
  return { config: null, placeOf: nowhere };
}

/** What JSON itself lets pass, and serde, Firecracker's reader, does not. Nothing is said where all is ignored anyway. */
function lintText(json: JsonText, ignored: readonly FieldProblem[], say: Say): void {
  const counts = (at: string): boolean => !ignored.some((other) => at === other.at || at.startsWith(`${other.at}/`));
  for (const at of json.doubled.filter(counts))
    say('error', at, `${at} stands twice.`, 'Firecracker refuses the file (duplicate field).', 'Keep one of them.');
  for (const { at, text } of json.unwhole.filter((one) => counts(one.at)))
    say(
      'error',
      at,
      `${at} is ${text}.`,
      'Firecracker reads whole numbers, written without a point and an exponent.',
      'Write it as a whole number.',
    );
}

function problemsOf(config: Section, version: Version): FieldProblem[] {
  const { 'cpu-config': cpu, ...rest } = config;
  const inline = isRecord(cpu) ? inlineTemplate(cpu, version) : null;
  const problems = inline === null ? checkConfig(version, config) : [...checkConfig(version, rest), ...inline];
  const level = section(config, 'logger')['level'];
  // read in any case, and `Warn` as well (logger/logging.rs)
  const anyCase = typeof level === 'string' && /^(?:off|trace|debug|info|warn|warning|error)$/i.test(level);
  return problems.filter(({ at }) => !(anyCase && at === '/logger/level'));
}

function inlineTemplate(cpu: Section, version: Version): FieldProblem[] {
  if (has(version, 'inlineCpuConfig')) return checkShape(version, 'CpuConfig', cpu, '/cpu-config');
  return [
    {
      at: '/cpu-config',
      kind: 'other-version',
      says: `Firecracker ${version.text} reads /cpu-config as the path of a file; the template itself: ${whenSpans(abilitySpans.inlineCpuConfig)}`,
      fix: 'Write the template into a file and name it here.',
    },
  ];
}

/** Firecracker passes over it: an unknown key in one of the few places where it does, or a section of later versions. */
function isIgnored({ at, kind }: FieldProblem): boolean {
  return kind === 'ignored' || (kind === 'other-version' && at !== '/cpu-config' && at.lastIndexOf('/') === 0);
}

const silence = 'Firecracker ignores it in silence: nothing that it asks for happens.';
const refused = 'Firecracker ends with this error.';

function sayProblem(config: Section, problem: FieldProblem, version: Version, say: Say): void {
  const { at, kind, says, fix } = problem;
  const what = `${says}.`;
  if (at === '/serial')
    return say(
      'warning',
      at,
      'There is no section /serial in a configuration file, in no version.',
      silence,
      `Leave it out: the console goes to standard output. The serial device is set over the API alone${has(version, 'serial') ? '' : `, and ${whenSpans(abilitySpans.serial)}`}.`,
    );
  if (isIgnored(problem)) return say('warning', at, what, kind === 'ignored' ? 'Nothing that it asks for happens.' : silence, fix);
  switch (kind) {
    case 'deprecated':
      return say('note', at, what, 'It still works.', fix);
    case 'range':
      // checked by the API alone (api_server/parsed_request.rs checked_id)
      if (/^\/(?:drives|network-interfaces|pmem)\/\d+\/(?:drive_id|iface_id|id)$/.test(at))
        return say(
          'warning',
          at,
          what,
          'Firecracker takes it from a file, and refuses it in the path of every later request (PATCH, hotplug).',
          'Use letters, digits and _.',
        );
      // nobody checks it (vmm_config/vsock.rs); the numbers are those of linux/vm_sockets.h
      if (at === '/vsock/guest_cid' && Number.isInteger(section(config, 'vsock')['guest_cid']))
        return say(
          'error',
          at,
          what,
          'Firecracker takes 0 to 2, which mean hypervisor, loopback and host: no connection finds the guest.',
          fix,
        );
      return say('error', at, what, refused, fix);
    case 'unknown':
    case 'ignored':
    case 'other-version':
    case 'missing':
    case 'type':
    case 'conflict':
      return say('error', at, what, refused, fix);
  }
}

/** Which versions a file is for that nobody said the version of. */
function sayNeeds(config: Section, say: Say): void {
  const later = (text: string): FieldProblem[] => {
    const version = parseVersion(text);
    return version === null ? [] : problemsOf(config, version).filter(({ kind }) => kind === 'other-version');
  };
  const used = later(oldest);
  if (used.length === 0) return;
  const since = [...new Set(Object.values(abilitySpans).flatMap((spans) => spans.map(({ from }) => from)))]
    .toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .find((from) => later(from).length === 0);
  if (since === undefined) return;
  const names = used.map(({ at }) => at);
  say(
    'note',
    used[0]?.at ?? '',
    `This file is for Firecracker ${since} and newer.`,
    `Older ones do not know ${names.slice(0, 4).join(', ')}${names.length > 4 ? ` and ${names.length - 4} more` : ''}.`,
    'Say which one will read it: --firecracker VERSION.',
  );
}
