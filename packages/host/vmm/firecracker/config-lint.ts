/**
 * What is wrong with a Firecracker configuration file (`--config-file`), before it is run. Pure; any text gives findings. Firecracker itself
 * checks one section after the other and stops at the first error, and says nothing about a section whose name it does not know.
 * Sources: facts §1.3, §1.4, §2.1, §4.3, §8; unknown fields by firecracker-api-by-version.md §3.
 */
import { checkTemplate, lastValue, parseCommandLine } from '@linstock/core';
import { checkConfig, checkShape, isGiven, isRecord, pointer, type FieldProblem } from './checks.ts';
import { has, whenSpans, abilitySpans, type Version } from './versions.ts';

export type Severity = 'error' | 'warning' | 'note';
export type Finding = {
  /** JSON pointer; '' is the whole file */
  at: string;
  severity: Severity;
  what: string;
  why: string;
  fix: string;
};
/** What only the caller can look at. `absent`: Firecracker makes it, and does not start when it is there. */
export type NamedPath = { at: string; path: string; must: 'be-readable' | 'be-writable' | 'exist' | 'be-absent' };
export type Lint = { findings: readonly Finding[]; paths: readonly NamedPath[]; config: Readonly<Record<string, unknown>> | null };

/** A file with 18 devices has 6 KB; CPU templates inside make it longer. */
const mostBytes = 1024 * 1024;
/** sun_path holds 107 bytes, and a guest's connection goes to `<path>_<port>`. */
const mostSocketPath = 107 - 11;
const order: Readonly<Record<Severity, number>> = { error: 0, warning: 1, note: 2 };

type Section = Readonly<Record<string, unknown>>;
type Say = (severity: Severity, at: string, what: string, why: string, fix: string) => void;

export function lintConfig(text: string, version: Version): Lint {
  const findings: Finding[] = [];
  const say: Say = (severity, at, what, why, fix) => void findings.push({ at, severity, what, why, fix });
  const config = readConfig(text, say);
  if (config === null) return { findings, paths: [], config: null };
  for (const problem of sectionProblems(config, version)) findings.push(findingOf(problem, version));
  lintBoot(config, version, say);
  lintDrives(config, say);
  lintNetwork(config, say);
  lintRest(config, version, say);
  return {
    findings: findings.toSorted((a, b) => order[a.severity] - order[b.severity] || (a.at < b.at ? -1 : 1)),
    paths: pathsIn(config, version),
    config,
  };
}

function readConfig(text: string, say: Say): Section | null {
  if (Buffer.byteLength(text) > mostBytes) {
    say('error', '', `The file has more than ${mostBytes} bytes.`, 'No configuration is that long.', 'Give the configuration file itself.');
    return null;
  }
  try {
    const config: unknown = JSON.parse(text);
    if (isRecord(config)) return config;
    say(
      'error',
      '',
      'The file holds no JSON object.',
      'Firecracker reads sections by their names.',
      'Begin it with { and name the sections.',
    );
  } catch (error) {
    say(
      'error',
      '',
      'The file is not JSON.',
      error instanceof Error ? error.message.slice(0, 200) : 'It does not parse.',
      'Mend it at that place.',
    );
  }
  return null;
}

function sectionProblems(config: Section, version: Version): FieldProblem[] {
  const { 'cpu-config': cpu, ...rest } = config;
  const inline = isRecord(cpu) && has(version, 'inlineCpuConfig') ? checkShape(version, 'CpuConfig', cpu, '/cpu-config') : null;
  const problems = inline === null ? checkConfig(version, config) : [...checkConfig(version, rest), ...inline];
  const level = section(config, 'logger')['level'];
  // read in any case, and `Warn` as well (logger/logging.rs)
  const anyCase = typeof level === 'string' && /^(?:off|trace|debug|info|warn|warning|error)$/i.test(level);
  return problems.filter(({ at }) => !(anyCase && at === '/logger/level'));
}

function findingOf({ at, kind, says, fix }: FieldProblem, version: Version): Finding {
  const top = at.indexOf('/', 1) === -1;
  const ignored = 'Firecracker ignores it in silence: nothing that it asks for happens.';
  const refused = 'Firecracker would end with this error.';
  const what = `${says}.`;
  if (at === '/serial') {
    return {
      at,
      severity: 'warning',
      what: 'There is no section /serial in a configuration file, in no version.',
      why: `${ignored} The serial device is set over the API alone${has(version, 'serial') ? '' : `, and ${whenSpans(abilitySpans.serial)}`}.`,
      fix: 'Leave it out; the console goes to standard output.',
    };
  }
  switch (kind) {
    case 'unknown':
      return top || says.includes('in silence')
        ? { at, severity: 'warning', what, why: ignored, fix }
        : { at, severity: 'error', what, why: refused, fix };
    case 'other-version':
      return { at, severity: top ? 'warning' : 'error', what, why: top ? ignored : refused, fix };
    case 'deprecated':
      return { at, severity: 'note', what, why: 'It still works.', fix };
    case 'missing':
    case 'type':
    case 'range':
    case 'conflict':
      return { at, severity: 'error', what, why: refused, fix };
  }
}

function lintBoot(config: Section, version: Version, say: Say): void {
  const boot = section(config, 'boot-source');
  const at = '/boot-source/boot_args';
  const args = boot['boot_args'];
  const initrd = typeof boot['initrd_path'] === 'string';
  const rootAt = list(config, 'drives').findIndex((drive) => drive['is_root_device'] === true);
  if (initrd && rootAt !== -1) {
    say(
      'warning',
      `/drives/${rootAt}/is_root_device`,
      'There are an initrd and a root device.',
      'Firecracker appends root=/dev/vda, which the initrd may obey.',
      'Set is_root_device to false, and let the initrd choose.',
    );
  }
  if (typeof args !== 'string') {
    if (args === undefined || args === null) {
      say(
        'note',
        at,
        'There are no boot arguments.',
        'Firecracker’s own have no serial console: a guest that fails says nothing.',
        'Write them out: console=ttyS0 reboot=k panic=1 pci=off.',
      );
    }
    return;
  }
  if (!/^[\x20-\x7e]*$/.test(args) || args.length > 2_047) {
    say(
      'error',
      at,
      'The boot arguments are not printable ASCII of at most 2,047 bytes.',
      'Firecracker refuses the command line.',
      'Shorten them, and spell them in ASCII.',
    );
    return;
  }
  const { kernel } = parseCommandLine(args);
  const value = (key: string): string | null => lastValue(kernel, key);
  for (const { code, says } of checkTemplate(kernel.map((token) => token.text))) {
    if (code === 'doubled-key') say('warning', at, says, 'Parameters differ in which of two they keep.', 'Keep one of them.');
  }
  if (value('root') !== null && rootAt !== -1) {
    const drive = list(config, 'drives')[rootAt];
    const own = typeof drive?.['partuuid'] === 'string' ? 'root=PARTUUID=…' : 'root=/dev/vda';
    say(
      'warning',
      at,
      `The boot arguments have root=${value('root')}, and drive ${rootAt} is the root device.`,
      `Firecracker appends ${own}, and the kernel takes the last one.`,
      'Keep one: drop root=, or set is_root_device to false.',
    );
  }
  if (value('root') === null && rootAt === -1 && !initrd && !list(config, 'pmem').some((one) => one['root_device'] === true)) {
    say(
      'error',
      '/drives',
      'Nothing is the root device.',
      'The kernel panics: unable to mount root fs.',
      'Set is_root_device on a drive, write root=, or give an initrd.',
    );
  }
  if (has(version, 'appendsPciOff')) {
    if (value('pci') === 'off')
      say(
        'note',
        at,
        'pci=off is there already.',
        `Firecracker ${version.text} appends it itself, unless it runs with --enable-pci, which then finds no device.`,
        'Leave it out.',
      );
  } else if (value('pci') === null) {
    say(
      'warning',
      at,
      'pci=off is missing.',
      `Firecracker ${version.text} does not append it to arguments that are given: the kernel looks for a PCI bus, which costs time.`,
      'Add pci=off.',
    );
  }
  if (value('reboot') !== 'k')
    say(
      'warning',
      at,
      'reboot=k is missing.',
      'A guest that reboots may not end Firecracker: the keyboard controller is the only way.',
      'Add reboot=k.',
    );
  if (value('panic') === null)
    say('warning', at, 'panic= is missing.', 'After a panic the guest stands still for ever, and its VMM lives.', 'Add panic=1.');
  if (kernel.some(({ key }) => key === 'i8042.nopnp'))
    say('warning', at, 'i8042.nopnp hides the keyboard from a guest with ACPI.', 'SendCtrlAltDel has no effect then.', 'Leave it out.');
  if (value('8250.nr_uarts') === '0' && /(?:^| )console=ttyS/.test(args)) {
    say(
      'warning',
      at,
      'console=ttyS… and 8250.nr_uarts=0 exclude each other.',
      'There is no serial port, so there is no console.',
      'Drop 8250.nr_uarts=0.',
    );
  }
  const memory = section(config, 'machine-config')['mem_size_mib'];
  if (typeof memory === 'number' && memory > (has(version, 'gibibyteGap') ? 3_072 : 3_328) && value('swiotlb') === null) {
    say(
      'note',
      at,
      'swiotlb=noforce is missing.',
      'With RAM above 4 GiB the kernel sets 64 MiB aside that nothing here needs.',
      'Add swiotlb=noforce.',
    );
  }
}

function lintDrives(config: Section, say: Say): void {
  const drives = list(config, 'drives');
  doubled(drives, 'drive_id', '/drives', say);
  const roots = drives.flatMap((drive, i) => (drive['is_root_device'] === true ? [i] : []));
  if (roots.length > 1)
    say(
      'error',
      `/drives/${roots[1]}/is_root_device`,
      `${roots.length} drives are root devices.`,
      'Firecracker refuses the second.',
      'Keep one.',
    );
  const files = new Map<unknown, number>();
  for (const [i, drive] of drives.entries()) {
    const at = `/drives/${i}`;
    const { path_on_host: path, is_read_only: readOnly } = drive;
    if (readOnly !== true && !isGiven(drive['socket']) && drive['cache_type'] !== 'Writeback') {
      say(
        'warning',
        `${at}/cache_type`,
        'The drive is written to, and its cache is Unsafe, the default.',
        'A flush of the guest never reaches the disk: what it has fsync’ed is lost with the host.',
        'Set cache_type to "Writeback".',
      );
    }
    if (readOnly === undefined && !isGiven(drive['socket']))
      say('note', `${at}/is_read_only`, 'is_read_only is missing.', 'It is then false.', 'Say which.');
    if (drive['io_engine'] === 'Async')
      say(
        'note',
        `${at}/io_engine`,
        'Async is a developer preview.',
        'It needs a host kernel from 5.10.51 on, and no security fixes are promised.',
        'Use Sync in production.',
      );
    const other = typeof path === 'string' ? files.get(path) : undefined;
    if (other !== undefined && readOnly !== true)
      say(
        'error',
        `${at}/path_on_host`,
        `Drives ${other} and ${i} are the same file.`,
        'Two writers of one filesystem destroy it, and Firecracker locks nothing.',
        'Give each drive a file of its own.',
      );
    if (typeof path === 'string') files.set(path, i);
  }
}

function lintNetwork(config: Section, say: Say): void {
  const nets = list(config, 'network-interfaces');
  doubled(nets, 'iface_id', '/network-interfaces', say);
  doubled(nets, 'host_dev_name', '/network-interfaces', say);
  doubled(nets, 'guest_mac', '/network-interfaces', say);
  for (const [i, net] of nets.entries()) {
    const at = `/network-interfaces/${i}`;
    const { host_dev_name: tap, guest_mac: mac } = net;
    if (typeof tap === 'string' && (Buffer.byteLength(tap) > 15 || tap === '' || /[\s/]/.test(tap))) {
      say(
        'error',
        `${at}/host_dev_name`,
        `${JSON.stringify(tap.slice(0, 40))} is no name of a TAP.`,
        'A name of an interface has 1 to 15 bytes without spaces and slashes.',
        'Rename the TAP.',
      );
    }
    if (mac === undefined || mac === null) {
      say(
        'warning',
        `${at}/guest_mac`,
        'guest_mac is missing.',
        'The guest takes another address at each boot.',
        'Give one, such as 02:fc: and the four bytes of its IP address.',
      );
    } else if (typeof mac === 'string' && !/^(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(mac)) {
      say(
        'error',
        `${at}/guest_mac`,
        `${JSON.stringify(mac.slice(0, 40))} is no MAC address.`,
        'Firecracker reads six pairs of hexadecimal digits with colons.',
        'Write it as 02:fc:00:00:00:01.',
      );
    } else if (typeof mac === 'string' && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1) {
      say('error', `${at}/guest_mac`, 'This is a multicast address.', 'An interface cannot have one.', 'Make its first byte even.');
    }
  }
}

function lintRest(config: Section, version: Version, say: Say): void {
  const socket = section(config, 'vsock')['uds_path'];
  if (typeof socket === 'string' && Buffer.byteLength(socket) > mostSocketPath) {
    say(
      'error',
      '/vsock/uds_path',
      `The path has ${Buffer.byteLength(socket)} bytes.`,
      `A socket's path has at most 107, and a guest's connection appends _<port>.`,
      `Shorten it to ${mostSocketPath}.`,
    );
  }
  const mmds = section(config, 'mmds-config');
  const ids = new Set(list(config, 'network-interfaces').map((net) => net['iface_id']));
  const named = Array.isArray(mmds['network_interfaces']) ? (mmds['network_interfaces'] as unknown[]) : [];
  for (const [i, name] of named.entries()) {
    if (!ids.has(name))
      say(
        'error',
        `/mmds-config/network_interfaces/${i}`,
        `There is no interface ${JSON.stringify(name)?.slice(0, 40)}.`,
        'Firecracker refuses the section.',
        'Name an iface_id of network-interfaces.',
      );
  }
  if (Object.keys(mmds).length > 0 && mmds['version'] !== 'V2')
    say('note', '/mmds-config/version', 'MMDS V1 is deprecated.', 'It has no session token.', 'Set version to "V2".');
  if (section(config, 'machine-config')['huge_pages'] === '2M') {
    const at = '/machine-config/huge_pages';
    if (isRecord(config['balloon']) && !has(version, 'hugePagesWithBalloon'))
      say(
        'error',
        at,
        'Huge pages and a balloon exclude each other.',
        `That ${whenSpans(abilitySpans.hugePagesWithBalloon).replace('it ', '')}.`,
        'Drop one of them.',
      );
    if (typeof section(config, 'boot-source')['initrd_path'] === 'string' && !has(version, 'hugePagesWithInitrd'))
      say(
        'error',
        at,
        'Huge pages and an initrd exclude each other.',
        `That ${whenSpans(abilitySpans.hugePagesWithInitrd).replace('it ', '')}.`,
        'Drop one of them.',
      );
  }
  buckets(config, '', 0, say);
}

/** A bucket of size or time 0 is no limit at all. */
function buckets(value: unknown, at: string, depth: number, say: Say): void {
  if (depth > 6 || (!isRecord(value) && !Array.isArray(value))) return;
  for (const [key, inner] of Object.entries(value).slice(0, 256)) {
    const place = pointer(at, key);
    if ((key === 'bandwidth' || key === 'ops') && isRecord(inner) && (inner['size'] === 0 || inner['refill_time'] === 0)) {
      say('warning', place, 'This limit is off.', 'A size or refill_time of 0 means no limit.', 'Give both, or leave it out.');
    }
    buckets(inner, place, depth + 1, say);
  }
}

function doubled(entries: readonly Section[], key: string, at: string, say: Say): void {
  const seen = new Map<string, number>();
  for (const [i, entry] of entries.entries()) {
    const value = entry[key];
    if (typeof value !== 'string') continue;
    const first = seen.get(value.toLowerCase());
    if (first !== undefined)
      say(
        'error',
        `${at}/${i}/${key}`,
        `Entries ${first} and ${i} have the same ${key}.`,
        'The second replaces the first, or is refused.',
        'Make them differ.',
      );
    seen.set(value.toLowerCase(), i);
  }
}

function pathsIn(config: Section, version: Version): NamedPath[] {
  const paths: NamedPath[] = [];
  const add = (at: string, path: unknown, must: NamedPath['must']): void => {
    if (typeof path === 'string' && path !== '') paths.push({ at, path, must });
  };
  const boot = section(config, 'boot-source');
  add('/boot-source/kernel_image_path', boot['kernel_image_path'], 'be-readable');
  add('/boot-source/initrd_path', boot['initrd_path'], 'be-readable');
  for (const [i, drive] of list(config, 'drives').entries()) {
    add(`/drives/${i}/path_on_host`, drive['path_on_host'], drive['is_read_only'] === true ? 'be-readable' : 'be-writable');
    add(`/drives/${i}/socket`, drive['socket'], 'exist');
  }
  for (const [i, pmem] of list(config, 'pmem').entries())
    add(`/pmem/${i}/path_on_host`, pmem['path_on_host'], pmem['read_only'] === true ? 'be-readable' : 'be-writable');
  add('/cpu-config', config['cpu-config'], 'be-readable');
  add('/vsock/uds_path', section(config, 'vsock')['uds_path'], 'be-absent');
  if (!has(version, 'createsLogFiles')) {
    add('/logger/log_path', section(config, 'logger')['log_path'], 'exist');
    add('/metrics/metrics_path', section(config, 'metrics')['metrics_path'], 'exist');
  }
  return paths;
}

/** A section that is there and an object; else one without fields, because what is wrong with it has been said. */
export function section(config: Section, name: string): Section {
  const value = config[name];
  return isRecord(value) ? value : {};
}

export function list(config: Section, name: string): readonly Section[] {
  const value = config[name];
  return Array.isArray(value) ? (value as unknown[]).slice(0, 64).map((entry) => (isRecord(entry) ? entry : {})) : [];
}
