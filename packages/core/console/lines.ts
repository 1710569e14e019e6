import { cleanText } from '../clean.ts';
import { netmaskOf } from '../wiring.ts';
import type { ConsoleFacts, ConsoleLine } from './console.ts';

/**
 * The lines of a console that mean something, as a table: how a line begins → what is kept of it.
 * A reader is only called for a line whose bytes begin with its head, so regexes never see the rest of a console.
 * Sources are given as the file of Linux (or systemd, or guest/images) that prints the line.
 */

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };
/** Facts being gathered, and how many lines an IP-Config block may still go on. */
export type Gathering = Mutable<ConsoleFacts> & { ipBlockLines: number };

export function emptyFacts(): Gathering {
  return {
    bytes: 0,
    lines: 0,
    banner: null,
    headLost: false,
    banners: 0,
    laterBanner: null,
    commandLine: null,
    unknownParameters: null,
    memory: null,
    cpus: null,
    mounts: [],
    rootMounted: null,
    rootProblem: null,
    ipConfig: null,
    ipProblems: [],
    networkConfigurators: [],
    userspaceFrom: null,
    initStarted: null,
    initFinished: null,
    initProblem: null,
    failedUnits: [],
    randomReady: null,
    panic: null,
    oops: null,
    oom: null,
    shutdown: null,
    tscMhz: null,
    ipBlockLines: 0,
  };
}

export function copyFacts(g: Gathering): Gathering {
  return {
    ...g,
    mounts: [...g.mounts],
    ipProblems: [...g.ipProblems],
    networkConfigurators: [...g.networkConfigurators],
    failedUnits: [...g.failedUnits],
  };
}

/** `body` is the cleaned line without timestamps and prefixes, `line()` the whole of it with its number. */
type Read = (g: Gathering, body: string, line: () => ConsoleLine) => void;
export type Head = {
  head: string;
  /** enough of the line says it: read even while its end has not arrived yet */
  urgent?: true;
  read: Read;
};

const most = { mounts: 8, ipProblems: 8, networkConfigurators: 8, failedUnits: 32 } as const;
/** How many lines of other origin may stand inside an IP-Config block. */
const ipBlockLines = 8;
/**
 * printk cuts a message at its line limit without a sign: 992 characters before 5.10, 1,024 since, less the room for a prefix
 * (kernel/printk/printk.c LOG_LINE_MAX, PRINTKRB_RECORD_MAX). From here on an end may be missing.
 */
const printkMayCut = 960;
/** A wrapped command line (6.19 and later go on in further lines) cannot be longer than its buffer. */
const mostArgs = 4_096;

function userspace(g: Gathering, line: () => ConsoleLine): void {
  g.userspaceFrom ??= line();
}

function readCommandLine(form: 'early' | 'saved', prefix: string): Read {
  return (g, body, line) => {
    if (g.banners > 1) return;
    const args = body.slice(prefix.length).trim();
    const cut = body.length >= printkMayCut;
    const known = g.commandLine;
    if (known?.form === 'saved') {
      // init/main.c of 6.19 and later: each line but the last ends with a backslash
      if (form === 'saved' && known.args.endsWith(' \\') && known.args.length < mostArgs) {
        g.commandLine = { ...known, args: `${known.args.slice(0, -2)} ${args}`, cut: false };
      }
      return;
    }
    // a process may print anything: what the kernel said before it started stays
    if (known && !known.afterUserspace && line().afterUserspace) return;
    if (known === null || form === 'saved') g.commandLine = { ...line(), args, form, cut: cut && !args.endsWith(' \\') };
  };
}

/** init/main.c print_unknown_bootoptions, since 5.14. */
const readUnknown: Read = (g, body, line) => {
  if (g.unknownParameters || g.banners > 1) return;
  const from = body.indexOf('"') + 1;
  const end = body.lastIndexOf('", will be passed');
  const cut = end < from;
  const tokens = body
    .slice(from, cut ? undefined : end)
    .split(/\s+/)
    .filter((t) => t !== '');
  g.unknownParameters = { ...line(), tokens, cut };
};

const readBanner: Read = (g, body, line) => {
  g.banners++;
  if (g.banner) g.laterBanner ??= line();
  else g.banner = { ...line(), version: body.trim() };
};

const readMemory: Read = (g, body, line) => {
  const m = /^Memory: (\d{1,12})[Kk]\/(\d{1,12})[Kk] available/.exec(body);
  if (m) g.memory ??= { ...line(), availableKiB: Number(m[1]), totalKiB: Number(m[2]) };
};

const readCpus: Read = (g, body, line) => {
  const m = /^(?:smp: Brought|x86: Booted) up (?:\d{1,4} nodes?, )?(\d{1,5}) CPUs?\b/.exec(body);
  if (m) g.cpus ??= { ...line(), count: Number(m[1]) };
};

function addMount(g: Gathering, line: () => ConsoleLine, mount: { device: string; fstype: string; readonly: boolean | null }): void {
  if (g.mounts.length < most.mounts) g.mounts.push({ ...line(), ...mount });
}

/** fs/ext4/super.c; since 6.4 it names the UUID and `ro` or `r/w`. */
const readExt4: Read = (g, body, line) => {
  const m = /^EXT4-fs \(([\w-]{1,64})\): mounted filesystem(?:.{0,80}? (r\/w|ro) with)?/.exec(body);
  if (m?.[1]) addMount(g, line, { device: `/dev/${m[1]}`, fstype: 'ext4', readonly: m[2] === undefined ? null : m[2] === 'ro' });
};

const readXfs: Read = (g, body, line) => {
  const m = /^XFS \(([\w-]{1,64})\): Mounting/.exec(body);
  if (m?.[1]) addMount(g, line, { device: `/dev/${m[1]}`, fstype: 'xfs', readonly: null });
};

const readErofs: Read = (g, body, line) => {
  const m = /^erofs: \(device ([\w-]{1,64})\): mounted/.exec(body);
  if (m?.[1]) addMount(g, line, { device: `/dev/${m[1]}`, fstype: 'erofs', readonly: true });
};

/** init/do_mounts.c. The major of virtio disks is chosen at run time, so the name comes from the file system's own line before. */
const readVfs: Read = (g, body, line) => {
  const m = /^VFS: Mounted root \((\w{1,32}) filesystem\)( readonly)? on device/.exec(body);
  if (m?.[1]) {
    const device = g.mounts.findLast((mount) => mount.fstype === m[1])?.device ?? null;
    g.rootMounted ??= { ...line(), device, fstype: m[1], readonly: m[2] !== undefined, by: 'kernel' };
  } else if (/^VFS: (?:Cannot open root device|Unable to mount root)/.test(body)) g.rootProblem ??= line();
};

/** net/ipv4/ipconfig.c */
const readIpConfig: Read = (g, body, line) => {
  if (body.startsWith('IP-Config: Complete')) g.ipBlockLines = ipBlockLines;
  else if (/Gateway not on|Unable to|No network devices|Failed to|Retrying forever|Auto-configuration of network failed/.test(body))
    addIpProblem(g, line);
};

const readIpDevice: Read = (g, body, line) => {
  if (g.ipBlockLines === 0) return;
  const field = (name: string): string | null => new RegExp(`(?:^|[ ,])${name}=([^, ]{1,64})`).exec(body)?.[1] ?? null;
  const [device, address] = [field('device'), field('ipaddr')];
  if (device === null || address === null) return;
  g.ipBlockLines = 0;
  const gateway = field('gw');
  g.ipConfig ??= {
    ...line(),
    device,
    address,
    gateway: gateway === '255.255.255.255' ? null : gateway,
    mask: field('mask'),
    mac: field('hwaddr'),
    by: 'kernel',
  };
};

function addIpProblem(g: Gathering, line: () => ConsoleLine): void {
  if (g.ipProblems.length < most.ipProblems) g.ipProblems.push(line());
}

/** guest/images/tiny/initrd-init */
const readInitrd: Read = (g, body, line) => {
  userspace(g, line);
  const root = /^linstock-initrd: root (\S{1,128}) mounted (?:([a-z0-9]{2,16}) )?(ro|rw)\b/.exec(body);
  if (root?.[1]) {
    const device = root[1];
    const fstype = root[2] ?? g.mounts.findLast((mount) => mount.device === device)?.fstype ?? null;
    g.rootMounted ??= { ...line(), device, fstype, readonly: root[3] === 'ro', by: 'initrd' };
    return;
  }
  const ip = /^linstock-initrd: ip (\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2}) (?:gw (\S{1,40}) )?dev (\S{1,16}) set/.exec(body);
  if (ip?.[1] && ip[4]) {
    g.ipConfig ??= {
      ...line(),
      device: ip[4],
      address: ip[1],
      gateway: ip[3] ?? null,
      mask: Number(ip[2]) <= 32 ? netmaskOf(Number(ip[2])) : null,
      mac: null,
      by: 'initrd',
    };
  }
  if (/^linstock-initrd: ip.{0,400}? (?:not (?:set|applied|up)|no default route)/.test(body)) addIpProblem(g, line);
  if (body.startsWith('linstock-initrd: FAILED')) {
    g.rootProblem ??= line();
    g.initProblem ??= line();
  }
};

/** guest/images/tiny/init */
const readLinstockInit: Read = (g, body, line) => {
  userspace(g, line);
  if (/^linstock-init: ready(?:\s|$)/.test(body)) g.initFinished ??= { ...line(), by: 'linstock-init' };
  else if (/^linstock-init: (?:FAILED|not ready)/.test(body)) g.initProblem ??= line();
};

/** init/main.c run_init_process, since 5.0; each try is a line, the first counts. */
const readRun: Read = (g, body, line) => {
  const m = /^Run (\S{1,256}) as init process/.exec(body);
  if (!m?.[1]) return;
  g.initStarted ??= { ...line(), path: m[1] };
  userspace(g, line);
};

/** mm/page_alloc.c free_initmem: the last thing before init runs, on kernels that do not print `Run …`. */
const readFreeing: Read = (g, body, line) => {
  if (/^Freeing unused kernel (?:memory|image memory|image \(initmem\))/.test(body)) userspace(g, line);
};

/** Who configures interfaces when it starts, by its unit or its description. */
const configurators: readonly [RegExp, string][] = [
  [
    /systemd-network[^ ]{0,12}ce\b.{0,10}Network Configuration|systemd-networkd\.service|(?:Started|Starting) (?:Network Configuration|Network Service)\b/,
    'systemd-networkd',
  ],
  [/NetworkManager\.service|(?:Started|Starting) Network Manager\b/, 'NetworkManager'],
  [/networking\.service|Raise network interfaces/, 'ifupdown'],
  [/dhcpcd\.service|\bdhclient\b/, 'a DHCP client'],
  [/connman\.service/, 'connman'],
  [/cloud-init/, 'cloud-init'],
  [/Setup Network from Kernel Parameters|guest-net/, 'a script of the image'],
];

function readUnitText(g: Gathering, text: string, line: () => ConsoleLine): void {
  const failed =
    /^Failed to (?:start|mount|listen on|activate swap|set up automount) (.{1,256})$/.exec(text)?.[1] ??
    /^(\S{1,256}): Failed with result/.exec(text)?.[1];
  if (failed !== undefined) addFailedUnit(g, unitOf(failed), line);
  else if (
    text.startsWith('Startup finished in ') ||
    /^Reached target (?:multi-user\.target|graphical\.target|Multi-User System|Graphical Interface)/.test(text)
  ) {
    g.initFinished ??= { ...line(), by: 'systemd' };
  } else if (/^(?:Started|Starting|Finished) /.test(text) && g.networkConfigurators.length < most.networkConfigurators) {
    const name = configurators.find(([pattern]) => pattern.test(text))?.[1];
    if (name !== undefined && !g.networkConfigurators.some((c) => c.name === name)) g.networkConfigurators.push({ ...line(), name });
  }
}

/** `ssh.service - OpenBSD Secure Shell server.` → `ssh.service`; with descriptions only, the description. */
function unitOf(text: string): string {
  const name = /^(\S{1,256}) - /.exec(text)?.[1];
  return name ?? text.replace(/\.$/, '').slice(0, 128);
}

/** systemd names a unit twice, in its log and on the screen, and shortens the second: `systemd-lo…rvice`. */
function sameUnit(a: string, b: string): boolean {
  const [start, end] = a.split('…', 2);
  return a === b || (end !== undefined && start !== undefined && b.startsWith(start) && b.endsWith(end));
}

function addFailedUnit(g: Gathering, unit: string, line: () => ConsoleLine): void {
  const i = g.failedUnits.findIndex((f) => sameUnit(unit, f.unit) || sameUnit(f.unit, unit));
  const known = g.failedUnits[i];
  if (known === undefined) {
    if (g.failedUnits.length < most.failedUnits) g.failedUnits.push({ ...line(), unit });
  } else if (known.unit.includes('…') && !unit.includes('…')) g.failedUnits[i] = { ...known, unit };
}

const readSystemd: Read = (g, body, line) => {
  userspace(g, line);
  readUnitText(g, body.slice('systemd[1]: '.length), line);
};

/** systemd's screen output, `[  OK  ] Reached target …`; the brackets also begin lines of others. */
const readStatus: Read = (g, body, line) => {
  // logs that went through a clipboard have lost the escape bytes and kept the rest of the colours: `[[0;32m  OK  [0m]`
  const m = /^\[ {0,4}(OK|FAILED|DEPEND|WARN|INFO) {0,4}\] (.{1,400})/.exec(body.replaceAll(/\[[\d;]{1,10}m/g, ''));
  if (!m?.[2]) return;
  userspace(g, line);
  readUnitText(g, m[2], line);
};

/** systemd's screen output of what is under way, ` Starting …`. */
const readStarting: Read = (g, body, line) => {
  if (g.userspaceFrom) readUnitText(g, body, line);
};

const first =
  (pattern: RegExp, key: 'panic' | 'oops' | 'oom' | 'randomReady' | 'rootProblem'): Read =>
  (g, body, line) => {
    if (pattern.test(body)) g[key] ??= line();
  };

/** kernel/reboot.c; `machine restart` is arch/x86/kernel/reboot.c */
const readReboot: Read = (g, body, line) => {
  const m = /^reboot: (?:(Restarting system|machine restart)|(Power (?:down|off))|(System halted))/i.exec(body);
  if (m) g.shutdown ??= { ...line(), how: m[1] ? 'restart' : m[2] ? 'power-off' : 'halt' };
};

const readTsc: Read = (g, body) => {
  const m = /^tsc: Detected (\d{1,6}(?:\.\d{1,6})?) MHz processor/.exec(body);
  if (m) g.tscMhz ??= Number(m[1]);
};

export const statusHead: Head = { head: '[', read: readStatus };

export const heads: readonly Head[] = [
  { head: 'Linux version ', read: readBanner },
  { head: 'Command line: ', read: readCommandLine('early', 'Command line: ') },
  { head: 'Kernel command line: ', read: readCommandLine('saved', 'Kernel command line: ') },
  { head: 'Unknown kernel command line parameters ', read: readUnknown },
  { head: 'Memory: ', read: readMemory },
  { head: 'smp: Brought up ', read: readCpus },
  { head: 'x86: Booted up ', read: readCpus },
  { head: 'EXT4-fs (', read: readExt4 },
  { head: 'XFS (', read: readXfs },
  { head: 'erofs: (device ', read: readErofs },
  { head: 'VFS: ', read: readVfs },
  { head: 'Waiting for root device ', read: first(/./, 'rootProblem') },
  { head: 'IP-Config: ', read: readIpConfig },
  { head: 'device=', read: readIpDevice },
  { head: 'linstock-initrd: ', read: readInitrd },
  { head: 'linstock-init: ', read: readLinstockInit },
  { head: 'Run /', read: readRun },
  { head: 'Freeing unused kernel ', read: readFreeing },
  { head: 'systemd[1]: ', read: readSystemd },
  statusHead,
  { head: 'Starting ', read: readStarting },
  { head: 'random: crng ', read: first(/^random: crng (?:init )?done/, 'randomReady') },
  { head: 'Kernel panic - not syncing', urgent: true, read: first(/./, 'panic') },
  { head: 'Oops: ', urgent: true, read: first(/./, 'oops') },
  { head: 'BUG: ', urgent: true, read: first(/^BUG: (?:unable to handle|kernel NULL)/, 'oops') },
  { head: 'kernel BUG at ', urgent: true, read: first(/./, 'oops') },
  { head: 'general protection fault', urgent: true, read: first(/./, 'oops') },
  { head: 'Out of memory', urgent: true, read: first(/./, 'oom') },
  { head: 'Memory cgroup out of memory', urgent: true, read: first(/./, 'oom') },
  { head: 'reboot: ', urgent: true, read: readReboot },
  { head: 'tsc: Detected ', read: readTsc },
];

/** The cleaned line with its number. */
export function consoleLine(number: number, text: string, afterUserspace: boolean): ConsoleLine {
  return { line: number, text: cleanText(text), afterUserspace };
}
