import type { Evidence } from '../evidence.ts';
import type { Picture } from '../picture.ts';
import type { Line } from '../text.ts';
import type { Finding, Rule } from './rule.ts';
import { bySignature, type Signature } from './signatures.ts';

/** What runs in the guest: ports, units, programs; and what the image lacks for them. */
const table: readonly Signature[] = [
  {
    code: 'kernel.devtmpfs-missing',
    says: /Warning: unable to open an initial console|can't open \/dev\/(?:null|console)|devtmpfs: error mounting/,
    where: 'guest',
    unlessReached: true,
  },
  { code: 'guest.net.interface-name-mismatch', says: /Not all expected physical devices present/, where: 'guest' },
  {
    code: 'kernel.container-options-missing',
    says: /(?:can't initialize ip6?tables table|[Tt]able does not exist \(do you need to insmod|No chain\/target\/match by that name|iptables.{0,60}(?:not supported|Operation not supported|Protocol not supported)|nft.{0,40}(?:Operation not supported|Protocol not supported|Unable to initialize Netlink)|Failed to initialize nft|unknown file ?system type '?overlay|overlay(?:fs)?.{0,60}(?:not supported|no such device|unsupported)|(?:Devices cgroup isn't mounted|cgroup mountpoint does not exist|cgroups: .*not found)|(?:veth|bridge|docker0).{0,80}[Oo]peration not supported|could not add bridge|unshare\(?.{0,30}(?:Invalid argument|No space left)|CLONE_NEW\w+.{0,60}Invalid argument|failed to create (?:NAT|nat) chain|failed to register "?bridge"? driver|Error initializing network controller|graphdriver.{0,60}(?:prior storage|not supported|failed))/i,
    where: 'guest',
  },
  {
    code: 'image.kernel-modules-missing',
    says: /modprobe: (?:FATAL: [Mm]odule \S+ not found in directory|ERROR: could not)|can't change directory to '\/lib\/modules|Failed to find module '|(?:version magic|disagrees about version of symbol)|depmod: ERROR: could not open directory \/lib\/modules/,
    where: 'inside',
    but: /virtio_net|virtio_blk|autofs4/,
    degrades: true,
  },
  {
    code: 'image.root-filesystem-full',
    says: /No space left on device|\b100%\s+\/$|disk (?:is )?full|write error.{0,20}ENOSPC/,
    where: 'inside',
    but: /unshare|inotify|namespace/,
  },
  {
    code: 'image.root-remounted-read-only',
    says: /Remounting filesystem read-only|EXT4-fs error.*remount|re-mounted.*ro.*error/,
    where: 'guest',
  },
  {
    code: 'image.filesystem-corrupt',
    says: /EXT4-fs error \(device|EXT4-fs \(vd\w+\): (?:warning: mounting fs with errors|initial error)|JBD2: .*(?:checksum|corrupt)|XFS .*[Cc]orruption|bread failed|structure needs cleaning/i,
    where: 'guest',
  },
  {
    code: 'service.killed-by-oom',
    says: /Out of memory: Kill(?:ed)? process \d+|oom-kill:constraint|Memory cgroup out of memory: Killed process|A process of this unit has been killed by the OOM killer|oom_reaper: reaped process/,
    where: 'guest',
    but: /firecracker|qemu|fc_vcpu/,
  },
  {
    code: 'service.port-conflict',
    says: /(?:bind|listen)\w*.{0,60}(?:[Aa]ddress already in use|EADDRINUSE)|EADDRINUSE|\[emerg\] bind\(\)/,
    where: 'guest',
    but: /\.sock\b|vsock|api/,
  },
  {
    code: 'service.vnc-backend-down',
    says: /(?:websockify|novnc).{0,80}(?:cannot|could not|failed to) connect to \S*:?59\d\d|(?:connect\w*|connection).{0,40}(?:localhost|127\.0\.0\.1):59\d\d.{0,40}refused|(?:localhost|127\.0\.0\.1):59\d\d.{0,30}Connection refused/i,
    where: 'any',
  },
  {
    code: 'service.supervisor-ends-all',
    says: /^wait -n\b|[Oo]ne (?:service|process|child) exited.{0,40}(?:shut|stop|exit)|exiting because a child exited/,
    where: 'any',
  },
  {
    code: 'kernel.option-missing',
    says: /Failed to mount API filesystems|Failed to mount (?:cgroup2?|tmpfs|proc|sysfs|devtmpfs) at .{0,60}(?:No such|not supported)|systemd\[1\]: Freezing execution|This kernel lacks support for|required kernel (?:option|config)/,
    where: 'guest',
  },
  {
    code: 'service.start-script-fails',
    says: /(?:\.sh|\/init|\/bin\/\w*sh|bash|sh): (?:line \d+|\d+): .{0,120}(?:not a valid identifier|syntax error|unexpected|command not found|No such file or directory|not found|unbound variable|[Pp]ermission denied|bad substitution|ambiguous redirect)|\$'\\r': command not found|bad interpreter|\/usr\/bin\/env: .{0,40}No such file/,
    where: 'guest',
  },
  {
    code: 'service.program-missing',
    says: /status=203\/EXEC|Failed at step EXEC|Failed to (?:execute|locate executable)|Unable to locate executable|status=200\/CHDIR|Failed at step CHDIR|status=217\/USER|Failed to determine user credentials/,
    where: 'guest',
    but: /modprobe@|\/sbin\/modprobe/,
  },
  {
    code: 'image.unit-missing',
    says: /Unit \S+\.(?:service|socket|target) (?:could not be found|not found)|Failed to (?:start|enable|get unit).{0,60}(?:not found|No such file)|Loaded: not-found/,
    where: 'guest',
    unlessReached: true,
  },
  {
    code: 'service.wrong-runtime-version',
    says: /SyntaxError: (?:Unexpected token|Invalid or unexpected|missing)|requires? (?:a )?(?:[Nn]ode|[Pp]ython|Java)\W.{0,30}(?:version|>=|or (?:newer|later|higher))|Unsupported engine|UnsupportedClassVersionError|ERR_REQUIRE_ESM|fetch is not defined/,
    where: 'guest',
  },
  {
    code: 'service.dependency-missing',
    says: /error while loading shared libraries|Error: Cannot find module|ModuleNotFoundError|ImportError: |cannot open shared object file|version `GLIBC_\d/,
    where: 'guest',
  },
  {
    code: 'service.sandbox-not-permitted',
    says: /No usable sandbox|Failed to move to new namespace|The SUID sandbox helper binary|zygote_host_impl_linux|Running as root without --no-sandbox/,
    where: 'guest',
  },
  {
    code: 'service.sshd-not-ready',
    says: /kex_exchange_identification|Missing privilege separation directory|sshd: no hostkeys available|ssh_exchange_identification|no hostkeys available/,
    where: 'any',
  },
  {
    code: 'service.authentication-failed',
    says: /Permission denied \((?:publickey|password|keyboard)|Authentication failed|Too many authentication failures|Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/,
    where: 'any',
  },
  {
    code: 'service.tls-failed',
    says: /SSL routines|certificate (?:verify failed|has expired)|tls: (?:failed|handshake|bad)|x509: /,
    where: 'any',
    but: /not yet valid/,
    confidence: 'possible',
  },
  {
    code: 'boot.clock-wrong',
    says: /certificate is not yet valid|not valid yet|not yet valid|clock skew detected|[Ss]ystem (?:time|clock) (?:is |was )?(?:wrong|far|behind)|Time has been changed|RTC time.{0,30}1970|(?:Release file|InRelease).{0,80}not valid yet/,
    where: 'guest',
    degrades: true,
  },
  {
    code: 'boot.entropy-starved',
    says: /(?:blocked|waiting|hangs?).{0,30}(?:entropy|getrandom)|not enough (?:random|entropy)|entropy_avail\W{0,4}(?:\d|[1-9]\d)\b(?!\d)/i,
    where: 'guest',
    unlessReached: true,
  },
  {
    code: 'boot.cpu-feature-missing',
    says: /[Ii]llegal instruction|traps?: .* invalid opcode|SIGILL|CPU does not support x86-64-v[234]|Fatal glibc error: CPU does not support/,
    where: 'guest',
  },
  {
    code: 'image.identity-baked-in',
    says: /(?:same|identical|duplicate) (?:machine-id|host keys?|SSH host keys|DUID|client.?id)|machine-id.{0,60}(?:same|identical|duplicate|baked)/i,
    where: 'any',
    degrades: true,
  },
  {
    code: 'service.desktop-session-missing',
    says: /(?:black|grey|gray|blank|empty) (?:desktop|screen)|cannot open display|Can't open display|unable to open (?:X )?display|xstartup.{0,60}(?:not (?:run|found|executable)|fail)|Server is already active for display|Session startup via '.*xstartup' cleanly exited too early/i,
    where: 'any',
    confidence: 'likely',
  },
];

export const services: Rule = (e, p) => {
  const found = bySignature(table, e, p);
  return [...found, ...crashLoop(e, p), ...vnc(e, p), ...ports(e, p), ...failedUnits(e, p)];
};

function crashLoop(e: Evidence, p: Picture): Finding[] {
  const died = e.lines.filter(
    (l) =>
      /\b(?:died|exited|crashed|terminated)\b.{0,80}\b(?:restart|respawn)/i.test(l.body) ||
      /Scheduled restart job, restart counter is at (?:[3-9]|\d\d)/.test(l.body),
  );
  const poll = p.findAny(/\bpolls?\b.{0,60}every (\d+) ?s|sleep \d+.{0,40}kill -0|kill -0/);
  const times = died.map((l) => l.kernelTime).filter((t): t is number => t !== null);
  const steps = times
    .slice(1)
    .map((t, i) => t - (times[i] ?? 0))
    .filter((d) => d > 1);
  const even = steps.length >= 2 && Math.max(...steps) - Math.min(...steps) < 0.5 * (steps[0] ?? 1);
  if (died.length >= 2 && (even || poll)) {
    return [
      {
        code: 'service.exits-immediately-observed-by-poller',
        confidence: 'likely',
        because: [...died.slice(0, 3).map((l) => p.citeLine(l)), ...(poll ? [p.citeLine(poll)] : [])],
      },
    ];
  }
  const limit = p.findAny(/Start request repeated too quickly|start-limit-hit/);
  if (limit || died.length >= 2)
    return [
      {
        code: 'service.crashed',
        confidence: 'likely',
        because: [...(limit ? [p.citeLine(limit)] : []), ...died.slice(0, 2).map((l) => p.citeLine(l))],
      },
    ];
  return [];
}

function vnc(e: Evidence, p: Picture): Finding[] {
  const closed = e.probes.find((x) => x.kind === 'websocket' && (x.status === 1011 || x.status === 1006));
  const refused = e.probes.find((x) => x.port !== null && x.port >= 5900 && x.port <= 5999 && x.answer === 'refused');
  const upgraded = e.probes.some(
    (x) => (x.kind === 'websocket' || x.kind === 'http') && x.answer !== 'refused' && x.port !== refused?.port,
  );
  if (refused && (upgraded || closed))
    return [
      {
        code: 'service.vnc-backend-down',
        confidence: 'likely',
        because: [p.citeLine(refused.at), ...(closed ? [p.citeLine(closed.at)] : [])],
      },
    ];
  const down = e.units.find((u) => u.state === 'failed' && /vnc/i.test(u.unit) && !/novnc|websockify/i.test(u.unit));
  if (closed?.status === 1011) {
    return [
      {
        code: 'service.vnc-backend-down',
        confidence: down ? 'likely' : 'possible',
        because: [p.citeLine(closed.at), ...(down ? [p.citeLine(down.at)] : [])],
      },
    ];
  }
  const upgrade = e.probes.find(
    (x) =>
      x.kind === 'http' &&
      x.status !== null &&
      [400, 404, 405, 426, 501].includes(x.status) &&
      /[Uu]pgrade|websocket/.test(x.at.command ?? ''),
  );
  return upgrade ? [{ code: 'service.websocket-not-offered', confidence: 'likely', because: [p.citeLine(upgrade.at)] }] : [];
}

function ports(e: Evidence, p: Picture): Finding[] {
  const findings: Finding[] = [];
  for (const [port, { answer, probe, all }] of p.ports) {
    if (answer === 'ok') {
      const failed = all.find((x) => x.status !== null && x.status >= 500 && x.status < 600);
      if (failed && !all.some((x) => x.status !== null && x.status < 400))
        findings.push({ code: 'service.http-error', confidence: 'likely', because: [p.citeLine(failed.at)] });
      continue;
    }
    const own = e.listening.filter((l) => l.port === port && l.place !== 'host');
    const loopback = own.find((l) => /^(?:127\.|::1$|localhost)/.test(l.address));
    const open = own.find((l) => /^(?:0\.0\.0\.0|\*|::)$/.test(l.address) || l.address === p.address);
    const prose = e.lines.find(
      (l) =>
        !l.console &&
        new RegExp(
          `(?:127\\.0\\.0\\.1|localhost|loopback)\\D{0,20}${port}\\b|\\b${port}\\b.{0,40}(?:bound|listen\\w*|only).{0,30}(?:127\\.0\\.0\\.1|localhost|loopback)`,
        ).test(l.body) &&
        !/curl|Connection refused|ECONNREFUSED/.test(l.body),
    );
    if ((answer === 'refused' || (answer === 'unclear' && loopback)) && !open && (loopback || prose)) {
      const at = loopback?.at ?? prose;
      findings.push({
        code: `service.port-${port}-bound-to-loopback`,
        confidence: 'likely',
        because: [p.citeLine(probe.at), ...(at ? [p.citeLine(at)] : [])],
      });
    } else if (answer === 'refused' && !open) {
      const culprit = culpritOf(e, port);
      const seen =
        p.ping === 'yes' ||
        p.arp === 'yes' ||
        e.listening.some((l) => l.place === 'guest') ||
        [...p.ports].some(([, v]) => v.answer === 'ok');
      findings.push({
        code: `service.port-${port}-not-listening`,
        confidence: seen ? 'likely' : 'possible',
        because: [p.citeLine(probe.at), ...(culprit ? [p.citeLine(culprit)] : [])],
      });
    } else if (answer === 'reset')
      findings.push({ code: `service.port-${port}-not-listening`, confidence: 'possible', because: [p.citeLine(probe.at)] });
  }
  return findings;
}

const portWords: Record<number, RegExp> = {
  6080: /novnc|websockify|vnc/i,
  22: /ssh|dropbear/i,
  80: /nginx|apache|httpd|caddy/i,
  443: /nginx|apache|httpd|caddy/i,
  8080: /agent|http|web|api/i,
  5900: /vnc/i,
  5901: /vnc/i,
};

/** The failed unit that would have listened there. */
function culpritOf(e: Evidence, port: number): Line | null {
  const pattern = portWords[port] ?? new RegExp(String(port));
  return e.units.find((u) => u.state === 'failed' && pattern.test(u.unit))?.at ?? null;
}

/** Units that fail in microVMs without anybody missing them. */
const harmless =
  /systemd-(?:modules-load|remount-fs|udev|random-seed|timesyncd|resolved|binfmt|vconsole)|console-setup|keyboard-setup|apparmor|e2scrub|fstrim|apt-daily|unattended|snapd|ModemManager|multipathd|lvm2|plymouth|getty@tty|rngd|dev-hugepages|sys-kernel-|fwupd|motd|logrotate|kdump|smartd|acpid|irqbalance|cloud-(?:init|config|final)|networkd-wait-online|Wait for Network|User Login Management|systemd-logind|proc-sys-fs-binfmt/i;

function failedUnits(e: Evidence, p: Picture): Finding[] {
  const failed = e.units.filter((u) => u.state === 'failed' && u.detail !== 'dependency' && !harmless.test(u.unit));
  if (failed.length === 0) return [];
  const exit = failed.find((u) => u.detail !== null && /code=(?:exited|killed|dumped)/.test(u.detail)) ?? failed[0];
  if (exit === undefined) return [];
  const code = /code=dumped|status=(?:11|6)\/(?:SEGV|ABRT)/.test(exit.detail ?? '') ? 'service.crashed' : 'service.unit-failed';
  return [
    {
      code,
      confidence: 'likely',
      because: failed.slice(0, 3).map((u) => p.citeLine(u.at)),
      title: `${exit.unit.slice(0, 80)} failed`,
      ...(p.reached ? { degrades: true as const } : {}),
    },
  ];
}
