import type { ProbeAnswer, ProbeFact } from '../evidence.ts';
import type { Line } from '../text.ts';
import { add, type Gather } from './gather.ts';
import { ipv4, macOf, macPattern } from './ipv4.ts';

/**
 * What came back when somebody asked the guest: ping, arping, curl, wget, nc, telnet, ssh, browsers' WebSockets and programs' errors.
 * Each answer keeps its own meaning; the words are those of Linux (errno), curl, netcat, busybox, Node, Go, Python and OpenSSH.
 */

export type ProbeState = {
  pinging: string | null;
  arping: string | null;
  macs: string[];
  url: { host: string; port: number } | null;
  block: number;
};
export const emptyProbeState = (): ProbeState => ({ pinging: null, arping: null, macs: [], url: null, block: -1 });

const words: readonly [RegExp, ProbeAnswer][] = [
  [/\bEHOSTUNREACH\b|[Nn]o route to host|[Hh]ost [Uu]nreachable|host is unreachable|Host is down/, 'no-answer-arp'],
  [/\bECONNREFUSED\b|[Cc]onnection ?refused|\brefused\b/, 'refused'],
  [/\bENETUNREACH\b|[Nn]etwork is unreachable|[Nn]et(?:work)? [Uu]nreachable/, 'net-unreachable'],
  [/\bETIMEDOUT\b|[Cc]onnection timed out|[Oo]peration timed out|\btimed out\b|i\/o timeout|\btimeout\b/, 'timeout'],
  [
    /\bECONNRESET\b|[Cc]onnection reset|Empty reply from server|socket hang up|[Cc]onnection closed by remote|kex_exchange_identification/,
    'reset',
  ],
  [
    /\bENOTFOUND\b|\bEAI_AGAIN\b|[Cc]ould not resolve|Temporary failure in name resolution|Name or service not known|bad address '|no such host/,
    'no-name',
  ],
  [/\bEMSGSIZE\b|[Mm]essage too long|Frag(?:mentation)? needed|mtu ?= ?\d+/, 'too-long'],
  [/\bconnected\b|[Cc]onnection to \S+ \d+ port .{0,20}succeeded|\bsucceeded!|\bopen$/, 'ok'],
];

export function answerIn(text: string): ProbeAnswer | null {
  return words.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}

function probe(g: Gather, at: Line, p: Partial<ProbeFact> & Pick<ProbeFact, 'kind' | 'answer'>): void {
  add(g.probes, { place: at.place, target: null, port: null, status: null, macs: [], ...p, at });
  g.shown.add(`probe-${p.kind}`);
}

/** `shape`: another reader has the line; only the state of the block is kept. */
export function readProbes(at: Line, g: Gather, s: ProbeState, shape: boolean): boolean {
  if (s.block !== at.block) {
    s.block = at.block;
    s.pinging = null;
    s.arping = null;
    s.macs = [];
    s.url = at.command === null ? null : urlOf(at.command);
    const pinged = at.command === null ? null : new RegExp(`\\bping6?\\b.{0,80}?(${ipv4}|[a-z][\\w-]*(?:\\.[\\w-]+)+)`).exec(at.command);
    s.pinging = pinged?.[1] ?? null;
  }
  // a stored proof is of another moment; only what is never asked from outside is taken from it
  if (shape || (at.kind === 'proof' && !at.body.startsWith('net.egress refuted'))) return false;
  // programs that name the peer in one line and the error in another
  const called =
    /(?:connect|create_connection)\(\(?["']([\w.-]{3,100})["'],\s*(\d{1,5})/.exec(at.body) ??
    /(?:connect|create_connection)\(\(?["']([\w.-]{3,100})["'],\s*(\d{1,5})/.exec(at.command ?? '');
  if (called?.[1]) s.url = { host: called[1], port: Number(called[2]) };
  return readForms(at, g) || readArping(at, g, s) || readPing(at, g, s) || readHttp(at, g, s) || readConnect(at, g, s);
}

/** nmap, traceroute, PowerShell. */
function readForms(at: Line, g: Gather): boolean {
  const text = at.body;
  const report = new RegExp(`^Nmap scan report for (?:\\S+ \\()?(${ipv4})`).exec(text);
  if (report?.[1]) {
    g.asked.set('nmap', [{ value: report[1], at }]);
    return true;
  }
  const port = /^(\d{1,5})\/tcp\s+(open|closed|filtered)\b/.exec(text);
  if (port) {
    const target = g.asked.get('nmap')?.[0]?.value ?? null;
    probe(g, at, {
      kind: 'tcp',
      answer: port[2] === 'open' ? 'ok' : port[2] === 'closed' ? 'refused' : 'timeout',
      port: Number(port[1]),
      target,
    });
    return true;
  }
  const trace = new RegExp(`^traceroute to \\S+ \\((${ipv4})\\)`).exec(text);
  if (trace?.[1]) {
    g.asked.set('traceroute', [{ value: trace[1], at }]);
    return true;
  }
  if (/^1\s+\*\s+\*\s+\*$/.test(text) && g.asked.has('traceroute')) {
    probe(g, at, { kind: 'ping', answer: 'timeout', target: g.asked.get('traceroute')?.[0]?.value ?? null });
    return true;
  }
  const powershell = new RegExp(`TCP connect to \\((${ipv4}) : (\\d{1,5})\\) failed`).exec(text);
  if (powershell?.[1]) {
    g.asked.set('nmap', [{ value: powershell[1], at }]);
    probe(g, at, { kind: 'tcp', answer: 'timeout', target: powershell[1], port: Number(powershell[2]) });
    return true;
  }
  const pinged = /^PingSucceeded\s+:\s+(True|False)/.exec(text);
  if (!pinged) return /^(?:Starting Nmap|Nmap done|PORT\s+STATE|\d{1,2}\s+(?:\*|\d{1,3}\.))/.test(text);
  probe(g, at, { kind: 'ping', answer: pinged[1] === 'True' ? 'ok' : 'timeout', target: g.asked.get('nmap')?.[0]?.value ?? null });
  return true;
}

function urlOf(text: string): { host: string; port: number } | null {
  const m = /\b(https?|wss?):\/\/([\w.-]{1,200}|\[[\w:]+\])(?::(\d{1,5}))?/.exec(text);
  if (m?.[2]) return { host: m[2], port: m[3] ? Number(m[3]) : (m[1] ?? '').endsWith('s') ? 443 : 80 };
  const bare = new RegExp(`\\b(?:curl|wget|nc|ncat|telnet|connect|websocat)\\b.{0,120}?(${ipv4}|localhost)[ :](\\d{1,5})\\b`).exec(text);
  return bare?.[1] && bare[2] ? { host: bare[1], port: Number(bare[2]) } : null;
}

function readArping(at: Line, g: Gather, s: ProbeState): boolean {
  const text = at.body;
  const begin = new RegExp(`^ARPING (${ipv4})(?: from (\\S+))?`).exec(text);
  if (begin?.[1]) {
    s.arping = begin[1];
    s.macs = [];
    return true;
  }
  const reply = new RegExp(
    `(?:Unicast|Broadcast) reply from (${ipv4}) \\[(${macPattern})\\]|^(?:\\d+ bytes from )(${macPattern}) \\((${ipv4})\\)`,
    'i',
  ).exec(text);
  if (reply) {
    const mac = macOf(reply[2] ?? reply[3] ?? '');
    const target = reply[1] ?? reply[4] ?? null;
    if (!s.macs.includes(mac)) s.macs.push(mac);
    const known = g.probes.findLast((p) => p.kind === 'arp' && p.target === target && p.answer === 'ok');
    if (known && known.at.block === at.block) (known as { macs: readonly string[] }).macs = [...s.macs];
    else probe(g, at, { kind: 'arp', answer: 'ok', target, macs: [...s.macs] });
    return true;
  }
  const none = /^Received 0 (?:response|reply)|^\d+ packets transmitted, 0 packets received, 100% unanswered/.exec(text);
  if (none) {
    probe(g, at, { kind: 'arp', answer: 'no-answer-arp', target: s.arping });
    return true;
  }
  return /^(?:Sent \d+ probes?|Received \d+ response)/.test(text);
}

function readPing(at: Line, g: Gather, s: ProbeState): boolean {
  const text = at.body;
  const begin = new RegExp(`^PING (\\S+?)(?: \\((${ipv4})\\))?[:( ]`).exec(text);
  if (begin) {
    s.pinging = begin[2] ?? begin[1] ?? null;
    return true;
  }
  const reply = new RegExp(`(?:^|\\s)\\d+ bytes from (?:\\S+ \\()?(${ipv4})\\)?:? (?:icmp_)?seq=\\d+`).exec(text);
  if (reply?.[1]) {
    if (!g.probes.some((p) => p.kind === 'ping' && p.answer === 'ok' && p.target === reply[1] && p.at.block === at.block)) {
      probe(g, at, { kind: 'ping', answer: 'ok', target: reply[1] });
    }
    return true;
  }
  const unreachable = new RegExp(
    `[Ff]rom (\\S+)(?: \\(\\S+\\))?:? (?:icmp_seq=\\d+ )?(Destination )?(Host|Net|Port|Protocol) (?:Unreachable|Prohibited)`,
    'i',
  ).exec(text);
  if (unreachable) {
    const what = (unreachable[3] ?? '').toLowerCase();
    probe(g, at, {
      kind: 'ping',
      answer: what === 'host' ? 'no-answer-arp' : what === 'net' ? 'net-unreachable' : 'refused',
      target: s.pinging,
    });
    return true;
  }
  if (/^Destination Host Unreachable|\bDestination Host Unreachable\b/.test(text)) {
    probe(g, at, { kind: 'ping', answer: 'no-answer-arp', target: new RegExp(ipv4).exec(text.replace(/From \S+/i, ''))?.[0] ?? s.pinging });
    return true;
  }
  const statistics = /(\d+) packets transmitted, (\d+)(?: packets)? received.*?(\d{1,3}(?:\.\d+)?)% packet loss/.exec(text);
  if (statistics) {
    const received = Number(statistics[2]);
    const silent = g.probes.some((p) => p.kind === 'ping' && p.at.block === at.block && p.answer !== 'ok' && p.target === s.pinging);
    if (
      received > 0 &&
      !g.probes.some((p) => p.kind === 'ping' && p.answer === 'ok' && p.at.block === at.block && p.target === s.pinging)
    ) {
      probe(g, at, { kind: 'ping', answer: 'ok', target: s.pinging });
    } else if (received === 0 && !silent) probe(g, at, { kind: 'ping', answer: 'timeout', target: s.pinging });
    return true;
  }
  const prose = new RegExp(
    `\\bping\\b(?:s|ing)?(?: (?:to )?(${ipv4}))?[^\\n]{0,30}?(?:\\b(0 ?%) (?:packet )?loss|(\\b100 ?% (?:packet )?loss)|\\b(works?|ok|replies|answered|succeeds)\\b|\\b(fails?|no (?:reply|answer|response)|lost|dead|times? out)\\b)`,
    'i',
  ).exec(text);
  if (prose && !/^\$|^#|expect|should|must|want|would/i.test(text)) {
    probe(g, at, { kind: 'ping', answer: prose[2] || prose[4] ? 'ok' : 'timeout', target: prose[1] ?? s.pinging });
    return /^\W{0,3}ping\b/i.test(text) ? readConnect(at, g, s) || true : true;
  }
  const lossAlone = new RegExp(`(?:^|(${ipv4})\\s+|\\s)(0|100)% packet loss`).exec(text);
  if (lossAlone) {
    probe(g, at, { kind: 'ping', answer: lossAlone[2] === '0' ? 'ok' : 'timeout', target: lossAlone[1] ?? s.pinging });
    return true;
  }
  if (/^ping: (?:connect|sendmsg|sendto|bad address)/.test(text)) {
    probe(g, at, { kind: 'ping', answer: answerIn(text) ?? 'unclear', target: s.pinging });
    return true;
  }
  return /^--- .* ping statistics ---|^rtt min|^round-trip min|^exit=\d+$/.test(text);
}

function readHttp(at: Line, g: Gather, s: ProbeState): boolean {
  const text = at.body;
  // an answer of the VMM, not of the guest
  if (at.command !== null && /--unix-socket|\.sock\b/.test(at.command)) return false;
  const line =
    /^(?:[<*]\s*)?HTTP\/\d(?:\.\d)? (\d{3})\b/.exec(text) ??
    /^http=(\d{3})\b/.exec(text) ??
    /^HTTP request sent, awaiting response\.\.\. (\d{3})/.exec(text);
  if (line?.[1]) {
    const status = Number(line[1]);
    if (status === 0) return true;
    probe(g, at, {
      kind: status === 101 ? 'websocket' : 'http',
      answer: 'ok',
      status,
      target: s.url?.host ?? null,
      port: s.url?.port ?? null,
    });
    return true;
  }
  const ports =
    /(?:^|\s)(?:port )?(\d{2,5})(?::| →| ->|\/tcp)? (?:is )?(?:HTTP(?:\/\d\.\d)? )?(\d{3})\b(?: then (?:close(?:d)? )?(?:code )?(\d{4}))?/.exec(
      text,
    );
  if (ports?.[1] && ports[2] && /HTTP|→|->|status|close/.test(text) && Number(ports[2]) < 600) {
    probe(g, at, {
      kind: ports[2] === '101' ? 'websocket' : 'http',
      answer: 'ok',
      status: Number(ports[3] ?? ports[2]),
      port: Number(ports[1]),
    });
    return true;
  }
  const prose = /(?:\bHTTP(?:\/\d\.\d)?[ :=]{1,2}|\bstatus[ :=]{1,2}|^)([1-5]\d\d)(?:\s+OK)?$/.exec(text);
  if (prose?.[1] && (/HTTP|status/.test(text) || /%\{http_code\}/.test(at.command ?? ''))) {
    const status = Number(prose[1]);
    const said = new RegExp(`(${ipv4}|localhost):(\\d{1,5})`).exec(text);
    const before = g.probes.findLast((p) => p.at.block === at.block && p.port !== null);
    probe(g, at, {
      kind: status === 101 ? 'websocket' : 'http',
      answer: 'ok',
      status,
      target: said?.[1] ?? s.url?.host ?? before?.target ?? null,
      port: said?.[2] ? Number(said[2]) : (s.url?.port ?? before?.port ?? null),
    });
    return true;
  }
  const close = /(?:close[d]?(?: with)?(?: code)?|code|CloseEvent\D{0,20}) ?[:=]? ?(10[01]\d)\b/.exec(text);
  if (close?.[1] && /web ?socket|ws|close|noVNC|websockify/i.test(text)) {
    probe(g, at, {
      kind: 'websocket',
      answer: close[1] === '1000' ? 'ok' : 'unclear',
      status: Number(close[1]),
      target: s.url?.host ?? null,
      port: s.url?.port ?? null,
    });
    return true;
  }
  if (/^RFB \d{3}\.\d{3}/.test(text)) {
    probe(g, at, { kind: 'rfb', answer: 'ok', target: s.url?.host ?? null, port: s.url?.port ?? null });
    return true;
  }
  if (/^\{"status":\s?"(?:ok|healthy|up)"/i.test(text) && s.url && /curl|wget/.test(at.command ?? '')) {
    probe(g, at, { kind: 'http', answer: 'ok', status: 200, target: s.url.host, port: s.url.port });
    return true;
  }
  return /^[<>*{}]\s|^\{"status":"(?:ok|healthy)"/.test(text) && at.command !== null && /curl/.test(at.command);
}

const target = `((?:${ipv4})|localhost|\\[?::1\\]?|[a-z][\\w-]{0,40}(?:\\.[\\w-]{1,40}){1,6})`;
/** where the address and port stand in a sentence that tells how a connection went */
const places: readonly RegExp[] = [
  new RegExp(`connect(?:ion)? to ${target} (?:port )?\\(?(\\d{1,5})\\)?`, 'i'),
  new RegExp(`connect to address ${target}()`, 'i'),
  new RegExp(`connect to host ${target} port (\\d{1,5})`, 'i'),
  new RegExp(`(?:dial tcp|connect|connecting to|tcp connect|via|to|at|for|on) ${target}:(\\d{1,5})`, 'i'),
  new RegExp(`(?:ECONNREFUSED|EHOSTUNREACH|ETIMEDOUT|ENETUNREACH|ECONNRESET) ${target}:(\\d{1,5})`),
  new RegExp(`\\b${target}[: ](\\d{1,5})\\b`, 'i'),
  new RegExp(`https?://${target}:?(\\d{1,5})?`, 'i'),
];
const subject =
  /\b(?:OSError|Error|curl|nc|ncat|telnet|ssh|wget|connect|connection|dial|ECONN\w+|EHOSTUNREACH|ETIMEDOUT|ENETUNREACH|probe|port \d|Trying|Connecting|http|requests|urllib|socket|health|unreachable|tcp)\b/i;

function readConnect(at: Line, g: Gather, s: ProbeState): boolean {
  const text = at.body;
  if (/^\W{0,6}(?:Trying|Connecting to) [\d.[\]:a-z-]+/.test(text) && answerIn(text) === null) return true;
  if (
    /^Couldn't connect to server|^curl: \(\d+\)/.test(text) === false &&
    !subject.test(text) &&
    !/^\d{2,5}(?::|\/tcp)? /.test(text) &&
    !new RegExp(`^\\W{0,3}${ipv4}:\\d`).test(text)
  )
    return false;
  let answer = answerIn(text);
  const curl = /^curl: \((\d+)\)/.exec(text);
  if (curl) {
    // curl(1) EXIT CODES: 6 no name, 7 no connection, 28 too slow, 52 empty, 56 reset
    const after = /after (\d+) ms/.exec(text);
    if (curl[1] === '6') answer = 'no-name';
    else if (curl[1] === '28') answer = 'timeout';
    else if (curl[1] === '52' || curl[1] === '56') answer = 'reset';
    // "Couldn't connect to server" hides the errno: three ARP tries take 3.0 s, an RST a few ms
    else if (curl[1] === '7' && answer === null)
      answer = after && Number(after[1]) >= 2_900 && Number(after[1]) < 3_600 ? 'no-answer-arp' : 'unclear';
  }
  // what the guest's kernel or a unit prints about something else
  if (answer === null || at.console || /\b(?:failed to start|unit|service)\b/i.test(text)) return false;
  let host: string | null = null;
  let port: number | null = null;
  for (const place of places) {
    const m = place.exec(text);
    if (!m) continue;
    host = m[1] ?? null;
    port = m[2] ? Number(m[2]) : null;
    break;
  }
  host ??= new RegExp(`\\b${ipv4}\\b`).exec(text)?.[0] ?? null;
  const portFirst = /^\W{0,3}(?:port )?(\d{2,5})(?::(?!\d\d)|\/tcp| (?!ms\b|x ))/.exec(text);
  if (port === null && portFirst?.[1]) port = Number(portFirst[1]);
  host ??= s.url?.host ?? null;
  port ??= s.url?.port ?? null;
  // a traceback of a program in the guest names no peer that matters here
  if (host === null && port === null && !(at.place === 'guest' && /Errno \d+|ENETUNREACH|exceptions\./.test(text))) return false;
  probe(g, at, { kind: answer === 'no-name' ? 'dns' : 'tcp', answer, target: host, port });
  return true;
}
