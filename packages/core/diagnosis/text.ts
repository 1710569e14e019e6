import type { Because, DocumentKind, EvidenceDocument } from '@linstock/contract';
import { cleanText } from '../clean.ts';

/**
 * Texts that people paste, as lines: cleaned, without secrets, with what stands around a message taken off. Nothing here throws,
 * whatever the bytes; a line is read up to `mostLineLength`, a document up to `mostLines`.
 */

export type Place = 'host' | 'guest' | 'unknown';

export type Line = {
  source: string;
  kind: DocumentKind;
  /** from 1, in its source */
  line: number;
  /** the whole line, cleaned */
  text: string;
  /** without timestamps, prefixes of loggers and colours */
  body: string;
  /** the heading it stands under, lower case; empty when there is none */
  section: string;
  /** the command whose output it is, when one was pasted with it */
  command: string | null;
  /** number of its command in the document: lines of one output share it */
  block: number;
  place: Place;
  /** seconds since the guest's kernel began, where the line says */
  kernelTime: number | null;
  /** looks like the console of a guest */
  console: boolean;
  /** a line that no reader needs to understand: blank, a heading, a command, prose */
  furniture: boolean;
};

export const mostLines = 40_000;
const mostLineLength = 4_096;
const mostShown = 400;

/** What nobody needs to see to find a cause. */
const secrets: readonly [RegExp, string][] = [
  [/\b(authorization|proxy-authorization)\b(["']?\s*[:=]\s*["']?)(?:(bearer|basic|token)\s+)?[^\s"',]+/gi, '$1$2$3 ***'],
  [
    /\b([\w-]{0,40}(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)\w{0,20})(["']?\s{0,4}[:=]\s{0,4}["']?)([^\s"',;&]{3,})/gi,
    '$1$2***',
  ],
  [/\b(?:ghp|gho|ghs|github_pat|glpat|xox[abp]|sk|pk|rk|lsk)[_-][A-Za-z0-9_-]{16,}/g, '***'],
  [/\bAKIA[0-9A-Z]{16}\b/g, '***'],
  [/\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}/g, '***'],
  [/(:\/\/[^\s:/@]{1,64}:)[^\s@/]{1,128}@/g, '$1***@'],
];

export function maskSecrets(text: string): string {
  let masked = text;
  for (const [pattern, by] of secrets) masked = masked.replace(pattern, by);
  return masked;
}

const colourRests = /\[(?:\d{1,3}(?:;\d{1,3}){0,4})?m/g;
const stampPattern = /^\[ {0,11}(\d{1,9}\.\d{3,9})\]\s?(?:\[ {0,6}[TC]\d{1,7}\]\s?)?/;
/** syslog and journal: `Nov 24 06:42:11 host unit[12]: ` */
const syslogPattern =
  /^(?:\w{3} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?) ([\w.-]{1,64}) ([\w@.\\/:()-]{1,80}?)(?:\[(\d{1,8})\])?: /;

const known =
  /^(?:sudo\s+)?(?:[\w/.-]*\/)?(?:ip|bridge|brctl|arp|arping|ping6?|curl|wget|nc|ncat|telnet|ssh|tcpdump|ss|netstat|nft|iptables(?:-save|-legacy|-nft)?|ip6tables|systemctl|journalctl|systemd-analyze|networkctl|resolvectl|dmesg|cat|ls|file|stat|mount|df|du|free|uname|ps|pgrep|pidof|lsof|fuser|sysctl|ethtool|ifconfig|route|nslookup|dig|host|getent|zcat|zgrep|grep|strings|modprobe|lsmod|modinfo|insmod|docker|kata-runtime|ctr|crictl|nerdctl|firectl|firecracker|jailer|qemu-system-\w+|qemu-img|fsck\S*|e2fsck|dumpe2fs|tune2fs|debugfs|blkid|lsblk|mke2fs|mkfs\S*|losetup|id|whoami|getfacl|ulimit|uptime|date|timedatectl|hwclock|hostname|hostnamectl|cpuid|lscpu|kvm-ok|virt-host-validate|conntrack|tc|ufw|firewall-cmd|socat|websocat|python3?|node|echo|findmnt|readelf|objdump|tail|head|less|kubectl|nmap|traceroute|mtr|systemd-detect-virt|last|loginctl|getenforce|ausearch|aa-status|unshare|nsenter|tcp|http|ws|rfb|show|list|linstock)\b/;

/** Commands that stand without a prompt, as in a chat: only where nothing else can be meant. */
const bareCommand =
  /^(?:sudo )?(?:ip (?:-[\w]+ )*(?:a|addr|address|l|link|r|route|n|neigh|neighbor|rule)(?: [\w./:-]+)*|bridge (?:-\w )?(?:fdb|link)(?: .+)?|arping -.+|ping -.+|ping (?:\d{1,3}\.){3}\d{1,3}|curl (?:-|http).+|nc -.+|brctl show.*|nft list .+|iptables(?:-save)?(?: -.+)?|ss -\w+.*|netstat -\w+.*|sysctl [\w.-]+.*|route -n|arp -\w+.*|tcpdump -.+)$/;

/** `$ ip addr`, `# ip addr`, `root@web-1:~# ip addr`, `[root@host ~]# …`, `/ # …` */
export function commandOf(line: string): { command: string; who: string | null; inGuest: boolean } | null {
  const prompt =
    /^(?:\(\w[\w.-]{0,30}\) )?\[?([\w.-]{1,32}@[\w.-]{1,64})[: ][^#$%\]]{0,120}\]?\s?[#$%]\s+(.{1,400})$/.exec(line) ??
    /^([\w.-]{1,40}):[~/][\w/.-]{0,60} ?[#$%]\s+(.{1,400})$/.exec(line) ??
    /^()(?:\/|~|bash-[\d.]+|sh-[\d.]+|(?:guest|host|vm|hypervisor|inside|micro-?vm)[\w -]{0,20}|\(?[a-z][\w-]{0,20}\)?(?=#))?\s?[#$%❯➜>]\s+(.{1,400})$/i.exec(
      line,
    );
  if (prompt?.[2] === undefined) {
    const bare = bareCommand.test(line) ? line : null;
    return bare === null ? null : { command: bare, who: null, inGuest: false };
  }
  const command = prompt[2].trim();
  const sign = /^[$❯➜]/.test(line);
  if (!prompt[1] && !sign && !known.test(command)) return null;
  return {
    command,
    who: prompt[1] || (/^\(?([a-z][\w-]{0,20})\)?\s?[#$]/i.exec(line)?.[1] ?? null),
    inGuest: /^(?:guest|vm|inside|micro-?vm)\b|^[/~] # /i.test(line),
  };
}

const guestWords =
  /\b(?:guest|inside (?:the |of )?(?:\w+ )?(?:vm|guest|micro-?vm|container)|in[- ](?:the )?(?:vm|guest)|from (?:the )?(?:guest|vm)|within the (?:vm|guest)|serial console|vm side)\b/i;
const hostWords = /\b(?:host|hypervisor|bridge|from outside|outside|controller|vmm|links|neigh|fdb|routes?|firewall|sysctl|probes?)\b/i;

function placeOf(words: string): Place {
  if (guestWords.test(words)) return 'guest';
  return hostWords.test(words) ? 'host' : 'unknown';
}

/** What stands before a message: kernel and syslog stamps, levels, Firecracker's own prefix, the wrapping of container logs. */
function bodyOf(text: string): { body: string; kernelTime: number | null; stamped: boolean; dated: boolean } {
  let body = text.replace(/^(?:>\s?){1,3}/, '');
  let kernelTime: number | null = null;
  let stamped = false;
  /** `dmesg -T` and the journal: the kernel's, without its seconds */
  let dated = false;
  let logger: string | null = null;
  const json = /^\{"log":"((?:[^"\\]|\\.){0,3000})"/.exec(body);
  if (json?.[1] !== undefined)
    body = json[1]
      .replaceAll('\\"', '"')
      .replaceAll(/\\[nrt]/g, ' ')
      .replaceAll(/\\u001b/gi, '');
  const syslog = syslogPattern.exec(body);
  if (syslog) {
    logger = syslog[2] ?? null;
    body = body.slice(syslog[0].length);
    stamped = logger === 'kernel';
    dated = stamped;
  }
  // Firecracker's own log, with and without levels
  body = body.replace(/^\d{4}-\d\d-\d\dT[\d:.]{8,20}Z? \[[\w.-]{1,64}(?::[\w .-]{1,32}){0,3}(?::[\w/.-]{1,80}:\d{1,6})?\] /, '');
  body = body.replace(/^<\d{1,3}>/, '');
  const human = /^\[(?:\w{3} )?\w{3} {1,2}\d{1,2} \d\d:\d\d:\d\d \d{4}\]\s/.exec(body);
  if (human) {
    body = body.slice(human[0].length);
    stamped = true;
    dated = true;
  }
  const stamp = stampPattern.exec(body);
  if (stamp?.[1] !== undefined) {
    kernelTime = Number(stamp[1]);
    stamped = true;
    body = body.slice(stamp[0].length);
  } else {
    // behind a shell prompt that a kernel message ran into
    const late = / \[ {0,6}(\d{1,6}\.\d{6})\] /.exec(body);
    if (late && late.index < 120) {
      kernelTime = Number(late[1]);
      stamped = true;
      body = body.slice(late.index + late[0].length);
    }
  }
  return { body: body.trim(), kernelTime, stamped, dated };
}

const consoleBody =
  /^(?:\[\s{0,4}(?:OK|FAILED|DEPEND|WARN|INFO)\s{0,4}\]\s|Linux version |(?:Kernel )?[Cc]ommand line: |Kernel panic - not syncing|linstock-init(?:rd)?: |Run \/\S+ as init process|systemd\[1\]: |Starting \S.{0,120}\.\.\.$|Welcome to .{1,60}!$)/;

export function linesOf(document: EvidenceDocument): Line[] {
  const lines: Line[] = [];
  let section = '';
  let sectionPlace: Place = 'unknown';
  let command: string | null = null;
  let commandPlace: Place = 'unknown';
  let block = 0;
  // whoever is called a VM in the text, its prompt is a guest's
  const vms = new Set(
    [...document.text.slice(0, 20_000).matchAll(/\b(?:vm|guest|clone)s?[ :]{1,2}["'“]?([a-z][\w-]{1,24})\b/gi)].map(
      (m) => m[1]?.toLowerCase() ?? '',
    ),
  );
  const gaps = document.gaps ?? [];
  let gap = 0;
  let skipped = 0;
  let at = 0;
  const text = document.text;
  for (let n = 0; n < mostLines && at <= text.length; n++) {
    const end = text.indexOf('\n', at);
    const raw = text.slice(at, Math.min(end === -1 ? text.length : end, at + mostLineLength));
    at = end === -1 ? text.length + 1 : end + 1;
    for (let g = gaps[gap]; g !== undefined && g.before <= n; g = gaps[++gap]) skipped += g.lines;
    const clean = maskSecrets(cleanText(raw, mostLineLength)).replaceAll(colourRests, '');
    const number = n + 1 + skipped;
    const parsed = bodyOf(clean);
    const heading = /^(?:==+|#{2,5}|\*\*|---+)\s{0,3}([^=*#`]{2,120}?)\s{0,3}(?:==+|\*\*:?|---+)?:?$/.exec(
      clean.includes('ping statistics') ? '' : clean,
    );
    const typed =
      heading || (document.kind === 'console' && (parsed.stamped || !/[#$] /.test(clean)))
        ? null
        : commandOf(clean.replace(/^(?:>\s|\s{1,8})/, ''));
    if (document.kind === 'console' && parsed.stamped) command = null;
    if (heading?.[1] !== undefined && document.kind !== 'console') {
      section = heading[1].toLowerCase();
      sectionPlace = placeOf(section);
      command = null;
      commandPlace = 'unknown';
      block++;
    } else if (typed) {
      command = typed.command;
      block++;
      commandPlace = /^(?:host|hypervisor)$/i.test(typed.who ?? '')
        ? 'host'
        : typed.inGuest ||
            vms.has((typed.who ?? '').toLowerCase()) ||
            (typed.who && /guest|vm|alpine|ubuntu-fc|localhost|debian@|tiny|(?:^|@)(?:fc|micro|vm|sandbox)/i.test(typed.who))
          ? 'guest'
          : 'unknown';
      // `# ip addr` below a heading of the guest; `ip netns exec`, `nsenter` are the host's
      if (/\b(?:ssh|vsock|exec)\b.{0,80}\b(?:ip|ss|cat|systemctl|ping|netstat)\b/.test(command) && !/netns exec|nsenter/.test(command))
        commandPlace = 'guest';
    } else if (clean.startsWith('```')) {
      command = null;
      block++;
    } else if (document.kind === 'host' && command === null && clean.endsWith(':') && clean.length < 160) {
      const words = placeOf(clean);
      if (words !== 'unknown') sectionPlace = words;
      block++;
    }
    const spoken = /^(guest|host|vm|hypervisor)\b\s?(?:[#$:>]|->|→)/i.exec(clean.trimStart())?.[1]?.toLowerCase();
    const place: Place =
      spoken !== undefined && document.kind !== 'console'
        ? spoken === 'guest' || spoken === 'vm'
          ? 'guest'
          : 'host'
        : document.kind === 'guest' || document.kind === 'console'
          ? 'guest'
          : commandPlace !== 'unknown'
            ? commandPlace
            : sectionPlace !== 'unknown'
              ? sectionPlace
              : 'unknown';
    // what another document cites of a console is no console
    const fromGuestLog = document.kind === 'host' || document.kind === 'guest';
    const isConsole =
      document.kind === 'console' ||
      (fromGuestLog && !typed && ((parsed.stamped && (parsed.kernelTime !== null || parsed.dated)) || consoleBody.test(parsed.body)));
    lines.push({
      source: document.name,
      kind: document.kind,
      line: number,
      text: clean.length > mostShown ? `${clean.slice(0, mostShown - 1)}…` : clean,
      body: spoken === undefined ? parsed.body : parsed.body.replace(/^(?:guest|host|vm|hypervisor)\s?(?:[:>]|->|→)\s*/i, ''),
      section,
      command: typed ? null : command,
      block,
      place,
      kernelTime: parsed.kernelTime,
      console: isConsole,
      furniture: clean.trim() === '' || heading !== null || typed !== null || clean.startsWith('```'),
    });
  }
  return lines;
}

export function cite(line: Line, guestControlled = false): Because {
  const because: Because = { source: line.source, line: line.line, text: line.text };
  return guestControlled ? { ...because, guestControlled: true } : because;
}
