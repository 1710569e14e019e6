import type { Evidence } from '../evidence.ts';
import type { Picture } from '../picture.ts';
import type { Line } from '../text.ts';
import { ipArgumentOf } from './guest-net.ts';
import type { Finding, Rule } from './rule.ts';

/**
 * What a whole look at a VM shows and pasted pieces seldom do: what the guest itself tells beside what was asked for, the words of our own initrd,
 * what the image files look like, what the controller did.
 */
export const whole: Rule = (e, p) => [
  ...process(e, p),
  ...files(e, p),
  ...initrd(e, p),
  ...addresses(e, p),
  ...mounts(e, p),
  ...ports(e, p),
  ...ends(e, p),
  ...devices(p),
  ...unfinished(e, p),
  ...way(e, p),
];

const of = (e: Evidence, kind: Line['kind'], pattern: RegExp): Line | null =>
  e.lines.find((l) => l.kind === kind && pattern.test(l.text)) ?? null;
const likely = (p: Picture, code: string, ...lines: readonly (Line | null)[]): Finding => ({
  code,
  confidence: 'likely',
  because: lines.flatMap((l) => (l === null ? [] : [p.citeLine(l)])),
});

/** Its VMM lives, and its vcpus do not run. */
function process(e: Evidence, p: Picture): Finding[] {
  const paused = of(e, 'vmm-log', /query-status \{"status": "paused"/);
  const stopped = of(e, 'vmm-log', /^State:\s+T\b/);
  return [...(paused ? [likely(p, 'vmm.paused', paused)] : []), ...(stopped ? [likely(p, 'vmm.process-stopped', stopped)] : [])];
}

/** Only what a boot has failed on: a file that works is what it should be. */
function files(e: Evidence, p: Picture): Finding[] {
  if (p.reached !== null || e.facts.rootMounted !== null) return [];
  const arm = of(e, 'host', /^kernel: (?:ELF .*(?:ARM|RISC-V|80386)|Linux kernel ARM)/);
  const qcow = of(e, 'host', /^rootfs: QEMU QCOW/);
  const zeros = of(e, 'host', /^rootfs: data\b/);
  return [
    ...(arm ? [likely(p, 'vmm.kernel-wrong-architecture', arm)] : []),
    ...(qcow ? [likely(p, 'image.wrong-disk-format', qcow)] : []),
    ...(zeros ? [likely(p, 'image.not-a-filesystem', zeros)] : []),
  ];
}

/** Our initrd says what it could not do; the kernel then has no words of its own. */
function initrd(e: Evidence, p: Picture): Finding[] {
  const init = p.find(/linstock-initrd: FAILED: (?:init=\S+ is not an executable file|there is no \/sbin\/init)/);
  const none = p.find(/linstock-initrd: FAILED: no root= on the kernel command line/);
  const mount = p.find(/linstock-initrd: FAILED: root \S+ \((\S+),/);
  const found: Finding[] = [];
  if (init) found.push(likely(p, 'boot.init-not-found', init.line));
  if (none) found.push(likely(p, 'boot.root-not-given', none.line));
  const type = mount === null ? undefined : e.commandLine?.args.findLast((a) => a.startsWith('rootfstype='));
  const made = of(e, 'requested', /^rootfs=(\S+)/);
  const real = /^rootfs=(\S+)/.exec(made?.text ?? '')?.[1];
  if (mount && type !== undefined && real !== undefined && !type.slice(11).split(',').includes(real))
    found.push(likely(p, 'boot.root-filesystem-type-wrong', mount.line, made));
  const root = e.commandLine?.args.findLast((a) => a.startsWith('root=/dev/'))?.slice(10);
  const disk = p.find(/\[(vd[a-z])\] \d+ \d+-byte logical blocks/);
  const waits = e.commandLine?.args.includes('rootwait') === true;
  if (waits && root !== undefined && disk && e.facts.rootMounted === null && !disk.line.body.includes(`[${root}]`))
    found.push(likely(p, 'boot.root-name-does-not-exist', e.commandLine?.at ?? null, disk.line));
  return found;
}

/** The guest tells its addresses, and the leased one is not among them. */
function addresses(e: Evidence, p: Picture): Finding[] {
  const links = e.links.filter((l) => l.place === 'guest' && l.at.kind === 'guest');
  if (links.length === 0 || p.address === null) return [];
  const card = links.find((l) => l.mac !== null && l.mac === p.mac) ?? null;
  const argument = ipArgumentOf(e);
  const nothing = e.addresses.every(
    (a) => a.place !== 'guest' || !links.some((l) => l.name === a.link && l.name !== 'lo') || !/^\d+\./.test(a.address),
  );
  if (card === null) {
    const only = links.every((l) => l.name === 'lo') ? (links[0]?.at ?? null) : null;
    return only ? [likely(p, 'guest.net.driver-missing-in-kernel', only)] : [];
  }
  if (nothing) {
    const device = p.find(/linstock-initrd: ip=\S+ not applied: there is no network device \S+/);
    if (device) return [likely(p, 'guest.net.interface-name-mismatch', device.line, card.at)];
    const refused = p.find(/linstock-initrd: ip=\S+ not applied/);
    if (refused) return [likely(p, 'guest.net.address-not-set', refused.line, card.at)];
    if (argument === null && e.commandLine && e.facts.ipConfig === null)
      return [likely(p, 'guest.net.address-not-set', e.commandLine.at, card.at)];
  }
  if (card.flags.length > 0 && !card.flags.includes('UP')) {
    const deaf = p.find(/Unknown kernel command line parameters "[^"]*\bip=/);
    if (e.facts.ipConfig !== null || deaf === null) return [likely(p, 'guest.net.link-down', card.at)];
    return [likely(p, 'guest.net.kernel-lacks-ip-autoconfig', deaf.line, card.at)];
  }
  const own = e.addresses.filter((a) => a.place === 'guest' && a.link === card.name && /^\d+\./.test(a.address));
  const there = own.some((a) => a.address === p.address);
  const asked = e.asked.addresses[0] ?? null;
  if (!there && asked && argument !== null && /^\d/.test(argument.address) && argument.address !== asked.value)
    return [likely(p, 'control.other-address-in-boot-args', asked.at, e.commandLine?.at ?? null)];
  if (own.length === 0) {
    const set = e.facts.ipConfig;
    if (set) return [likely(p, 'guest.net.address-removed', p.at(set), card.at)];
  }
  return there ? [...gateway(e, p), ...mtu(e, p, card.mtu, card.at)] : [];
}

function gateway(e: Evidence, p: Picture): Finding[] {
  const off = p.find(/linstock-initrd: ip \S+ dev \S+ set, no default route by \S+: .*unreachable/);
  if (off) return [{ ...likely(p, 'guest.net.gateway-not-on-link', off.line), degrades: true }];
  const way = e.routes.find((r) => r.place === 'guest' && r.to === 'default' && r.via !== null);
  const asked = e.asked.gateway;
  if (!way || !asked || way.via === asked.value) return [];
  return [{ ...likely(p, 'guest.net.gateway-wrong', way.at, asked.at), degrades: true }];
}

function mtu(e: Evidence, p: Picture, inside: number | null, at: Line): Finding[] {
  const narrow = e.links.find((l) => l.place !== 'guest' && l.name === p.tap?.name && l.mtu !== null && inside !== null && l.mtu < inside);
  return narrow ? [{ ...likely(p, 'host.net.mtu-mismatch', narrow.at, at), degrades: true }] : [];
}

function mounts(e: Evidence, p: Picture): Finding[] {
  const found: Finding[] = [];
  const root = of(e, 'guest', /^\S+ on \/ type \S+ \((?:[\w=,.-]*,)?ro(?:,|\))/);
  const args = e.commandLine?.args ?? [];
  if (root && args.includes('rw') && !args.includes('ro'))
    found.push({ ...likely(p, 'image.root-remounted-read-only', root), degrades: true });
  const line = e.lines.find((l) => l.kind === 'guest' && l.command === 'cat /proc/cmdline' && l.text !== '') ?? null;
  const mute = e.lines.every((l) => l.kind !== 'console' || l.text.trim() === '');
  if (mute && line && /(?:^|\s)console=ttyS0/.test(line.text))
    found.push({ ...likely(p, 'kernel.console-driver-missing', line), degrades: true });
  else if (mute && line) found.push({ ...likely(p, 'boot.console-arg-missing', line), degrades: true });
  return found;
}

/** The port is open, and what is behind it is not what was promised. */
function ports(e: Evidence, p: Picture): Finding[] {
  const found: Finding[] = [];
  const closed = of(e, 'host', /^\d+: HTTP 101, then .*closed with code 1011/);
  if (closed) found.push(likely(p, 'service.vnc-backend-down', closed));
  for (const open of e.lines.filter((l) => l.kind === 'host' && /^\d+ ms connected$/.test(l.text))) {
    const port = /:(\d{1,5})$/.exec(open.command ?? '')?.[1];
    const asked = (l: Line): boolean => l.kind === 'host' && new RegExp(`^curl .*:${port}/`).test(l.command ?? '');
    const silent = e.lines.find((l) => asked(l) && l.text.startsWith('curl: (28)'));
    const strange = e.lines.find((l) => asked(l) && l.text.startsWith('curl: (1) Received HTTP/0.9'));
    if (port === undefined) continue;
    if (silent) found.push(likely(p, `service.port-${port}-silent`, open, silent));
    if (strange) found.push(likely(p, `service.port-${port}-speaks-another-protocol`, open, strange));
  }
  return found;
}

/** PID 1 began and neither finished nor said why not, although the guest lives. */
function unfinished(e: Evidence, p: Picture): Finding[] {
  const proof = of(e, 'proof', /^init\.finished (?:unknown|refuted) \|/);
  const lives = of(e, 'guest', /^\d+\.\d\d$/);
  const { initStarted, initFinished, initProblem } = e.facts;
  return proof && lives && initStarted && !initFinished && !initProblem
    ? [likely(p, 'boot.init-never-finished', proof, p.at(initStarted))]
    : [];
}

/** Nothing makes the device files that PID 1 opens first. */
function devices(p: Picture): Finding[] {
  const none = p.find(/mounting \S+ on (?:\/newroot)?\/dev failed: No such device|devtmpfs: .*unknown filesystem/);
  return none ? [likely(p, 'kernel.devtmpfs-missing', none.line)] : [];
}

/** Who ended it. */
function ends(e: Evidence, p: Picture): Finding[] {
  const asked = of(e, 'controller', /^ended reason=wished-(?:stopped|absent)/);
  if (asked) return [likely(p, 'control.vm-stopped-on-request', asked)];
  const killed = of(e, 'vmm-log', /^exited rc=-9 signal=SIGKILL .*on_request=no/);
  if (killed) return [likely(p, 'vmm.killed-by-signal', killed)];
  const restart = e.facts.shutdown;
  const over = of(e, 'vmm-log', /^exited rc=0 /);
  return restart?.how === 'restart' && over && e.facts.panic === null && e.facts.initFinished !== null
    ? [likely(p, 'boot.guest-rebooted-itself', p.at(restart), over)]
    : [];
}

/** From the host to the guest. */
function way(e: Evidence, p: Picture): Finding[] {
  if (p.address === null || [...p.ports.values()].some((port) => port.answer === 'ok')) return [];
  const address = p.address;
  const none =
    e.lines.find((l) => l.kind === 'host' && l.command === `ip route get ${address}` && l.text.startsWith('RTNETLINK answers: ')) ?? null;
  const drop = e.firewall.find(
    (f) =>
      f.place !== 'guest' &&
      f.is === 'rule' &&
      f.hook === 'output' &&
      (f.verdict === 'drop' || f.verdict === 'reject') &&
      f.text.includes(address),
  );
  return [...(none ? [likely(p, 'host.net.route-diverted', none)] : []), ...hasDrop(p, drop?.at ?? null)];
}

const hasDrop = (p: Picture, at: Line | null): Finding[] => (at ? [likely(p, 'host.net.output-chain-drop', at)] : []);
