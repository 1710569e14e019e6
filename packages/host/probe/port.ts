/**
 * Does a promised port answer, and how far: tcp → http → websocket → rfb, over one connection, up to the promised level.
 *
 * - The first step that is not ok ends the chain. A chain that ends early *without* such a step was not finished (aborted, or the host
 *   itself could not try): that is "unknown", never "no".
 * - Each answer keeps its own meaning; the text says what it proves. The peer is a hostile guest: bytes and time are bounded, what it wrote
 *   is quoted without control characters, and nothing is thrown.
 * - One connection, not one per level: a VNC proxy starts a process for each, and some VNC servers shut out an address after a few
 *   connections without a login.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { PortLevel } from '@linstock/contract';
import type { PortAnswer, PortSight } from '@linstock/core';
import { parseHead } from './http-head.ts';
import type { Head } from './http-head.ts';
import { quote, quoteBytes } from './quote.ts';
import { closeOf, goodbye, parseFrame } from './websocket-frame.ts';
import { MOST_BYTES, Wire } from './wire.ts';

export type PortTarget = {
  /** where it answers, seen from this host */
  host: string;
  hostPort: number;
  /** the promised port, in the guest */
  port: number;
  level: PortLevel;
  /** HTTP path; `/` for level http and `/websockify` beyond it when absent */
  path?: string | undefined;
};

/**
 * `deadlineMs` is for the whole chain. Below 3,100 ms "unreachable" cannot be told from "timeout": Linux gives up on ARP after three tries of
 * one second.
 */
export type ProbeOptions = { signal: AbortSignal; deadlineMs: number };

type Step = PortSight['steps'][number];
type HeadFound = Extract<Head, { is: 'head' }>;

export async function probePort(target: PortTarget, opts: ProbeOptions): Promise<PortSight> {
  const wire = new Wire(target.host, target.hostPort, opts);
  const steps: Step[] = [];
  try {
    await walk(wire, target, opts.deadlineMs, steps);
  } finally {
    wire.hangUp();
  }
  return { port: target.port, steps };
}

async function walk(wire: Wire, target: PortTarget, deadlineMs: number, steps: Step[]): Promise<void> {
  const fail = (level: PortLevel, answer: PortAnswer, text: string): void => {
    steps.push({ level, ok: false, answer, text });
  };
  /** The connection ended before the level was reached; an end that says nothing about the peer leaves the chain unfinished. */
  const failByEnd = (level: PortLevel, waitedFor: string): void => {
    const why = whyEnded(wire, target, level, waitedFor, deadlineMs);
    if (why !== null) fail(level, why.answer, why.text);
  };

  while (!wire.connected && wire.end === null) await wire.more();
  if (!wire.connected) return failByEnd('tcp', 'a connection');
  steps.push({ level: 'tcp', ok: true, answer: 'open', text: `${where(target)} accepted a TCP connection${forwardCaveat(target)}` });
  if (target.level === 'tcp') return;

  const key = randomBytes(16).toString('base64');
  wire.send(target.level === 'http' ? plainGet(target) : upgradeGet(target, key));
  const head = await readHead(wire, target.level === 'rfb');
  if (head === 'ended') return failByEnd('http', 'an HTTP answer');
  // A VNC server without a proxy speaks first: the promise is kept, only without WebSocket in between.
  if (head === 'rfb') return judgeBanner(wire, steps, 'raw', await readRaw(wire), failByEnd);
  if (head.is === 'garbage') {
    return fail(
      'http',
      'garbage',
      `${where(target)} did not answer in HTTP: ${head.why}; it began with "${quoteBytes(wire.bytes)}"${guess(wire.bytes)}`,
    );
  }
  const line = `"${quote(head.line)}"`;
  if (target.level === 'http') {
    const fine = head.status < 400;
    const hint = fine
      ? head.status >= 300
        ? ' (redirects are not followed)'
        : ''
      : ': an HTTP server runs, but it does not serve this path';
    steps.push({ level: 'http', ok: fine, answer: 'status', text: `GET ${pathOf(target)} was answered with ${line}${hint}` });
    return;
  }
  steps.push({ level: 'http', ok: true, answer: 'status', text: `an HTTP server answered with ${line}` });

  wire.take(head.bytes);
  if (head.status !== 101) {
    return fail(
      'websocket',
      'status',
      `the upgrade of ${pathOf(target)} to WebSocket was answered with ${line} instead of 101: no WebSocket proxy serves that path`,
    );
  }
  const wrong = whatIsWrong(head, key);
  if (wrong !== null) return fail('websocket', 'garbage', `the answer 101 is not a WebSocket handshake: ${wrong}`);
  const chosen = head.headers.has('sec-websocket-protocol') ? 'subprotocol binary' : 'no subprotocol';
  steps.push({ level: 'websocket', ok: true, answer: 'upgraded', text: `upgraded to WebSocket at ${pathOf(target)} with ${chosen}` });
  if (target.level === 'websocket') return wire.hangUp(goodbye);

  judgeBanner(wire, steps, 'websocket', await readMessages(wire), failByEnd);
  wire.hangUp(goodbye);
}

/** Reads one head; `1xx` before the final answer are skipped. `rfb`: the peer speaks RFB itself, which is looked for only on wish. */
async function readHead(wire: Wire, orRfb: boolean): Promise<HeadFound | Extract<Head, { is: 'garbage' }> | 'rfb' | 'ended'> {
  for (;;) {
    if (orRfb && startsLike(wire.bytes, 'RFB ')) {
      if (wire.bytes.length >= 4) return 'rfb';
    } else {
      const head = parseHead(wire.bytes);
      if (head.is === 'garbage') return head;
      if (head.is === 'head') {
        if (head.status >= 200 || head.status === 101) return head;
        wire.take(head.bytes);
        continue;
      }
    }
    if (wire.end !== null) return 'ended';
    await wire.more();
  }
}

/** What came where an RFB banner was expected. */
type Heard =
  | { is: 'bytes'; bytes: Uint8Array }
  | { is: 'ended' }
  | { is: 'close'; code: number; reason: string }
  | { is: 'broken'; why: string };

const BANNER_BYTES = 12;

async function readRaw(wire: Wire): Promise<Heard> {
  while (!settled(wire.bytes) && wire.end === null) await wire.more();
  return settled(wire.bytes) ? { is: 'bytes', bytes: wire.bytes } : { is: 'ended' };
}

/** Binary messages are a stream: a proxy may cut the banner anywhere. */
async function readMessages(wire: Wire): Promise<Heard> {
  let stream = Buffer.alloc(0);
  for (;;) {
    const frame = parseFrame(wire.bytes);
    if (frame.is === 'broken') return frame;
    if (frame.is === 'incomplete') {
      if (wire.end !== null) return { is: 'ended' };
      await wire.more();
      continue;
    }
    wire.take(frame.bytes);
    if (frame.kind === 'close') return { is: 'close', ...closeOf(frame.payload) };
    if (frame.kind === 'text')
      return { is: 'broken', why: `a text message "${quoteBytes(frame.payload)}" came where binary was agreed on` };
    if (frame.kind !== 'binary' && frame.kind !== 'continuation') continue;
    stream = Buffer.concat([stream, frame.payload]);
    if (settled(stream)) return { is: 'bytes', bytes: stream };
  }
}

/** Enough to judge: a whole banner, or bytes that cannot become one. */
function settled(bytes: Uint8Array): boolean {
  return bytes.length >= BANNER_BYTES || !startsLike(bytes, 'RFB 003.00');
}

function startsLike(bytes: Uint8Array, start: string): boolean {
  const length = Math.min(bytes.length, start.length);
  return Buffer.from(bytes.subarray(0, length)).toString('latin1') === start.slice(0, length);
}

function judgeBanner(
  wire: Wire,
  steps: Step[],
  carrier: 'raw' | 'websocket',
  heard: Heard,
  failByEnd: (level: PortLevel, waitedFor: string) => void,
): void {
  const over = carrier === 'raw' ? 'without HTTP or WebSocket' : 'over WebSocket';
  const add = (ok: boolean, answer: PortAnswer, text: string): void => {
    steps.push({ level: 'rfb', ok, answer, text });
  };
  if (heard.is === 'ended') return failByEnd('rfb', 'the RFB banner of a VNC server');
  if (heard.is === 'broken') return add(false, 'garbage', `no RFB banner ${over}: ${heard.why}`);
  if (heard.is === 'close') {
    const reason = heard.reason === '' ? '' : ` "${quote(heard.reason)}"`;
    const meaning = heard.code === 1011 ? ': the proxy runs, the VNC server behind it does not answer' : '';
    return add(false, 'closed', `the WebSocket was closed with code ${heard.code}${reason} before an RFB banner${meaning}`);
  }
  const banner = Buffer.from(heard.bytes).toString('latin1');
  if (!/^RFB 003\.00\d\n/.test(banner)) return add(false, 'garbage', `no RFB banner ${over}: it began with "${quoteBytes(heard.bytes)}"`);
  const refusal = refusalAfter(heard.bytes.subarray(BANNER_BYTES));
  if (refusal !== null) return add(false, 'banner', `a VNC server answered ${over} and refused at once: "${quote(refusal)}"`);
  add(true, 'banner', `a VNC server answered ${over} with "${banner.slice(0, BANNER_BYTES - 1)}"`);
}

/** RFB 3.3: after the banner, security type 0 and a text mean that the server will not have us (TigerVNC: too many security failures). */
function refusalAfter(rest: Uint8Array): string | null {
  if (rest.length < 8) return null;
  const view = new DataView(rest.buffer, rest.byteOffset, rest.length);
  return view.getUint32(0) === 0 ? Buffer.from(rest.subarray(8, 8 + Math.min(view.getUint32(4), 200))).toString('latin1') : null;
}

function whatIsWrong(head: HeadFound, key: string): string | null {
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const words = (name: string): string[] =>
    (head.headers.get(name) ?? '')
      .toLowerCase()
      .split(',')
      .map((word) => word.trim());
  if (!words('upgrade').includes('websocket')) return 'no "Upgrade: websocket"';
  if (!words('connection').includes('upgrade')) return 'no "Connection: Upgrade"';
  if (head.headers.get('sec-websocket-accept') !== accept) return 'Sec-WebSocket-Accept does not fit the key';
  if (head.headers.has('sec-websocket-extensions')) return 'it chose extensions that were not offered';
  const protocol = head.headers.get('sec-websocket-protocol');
  return protocol === undefined || protocol === 'binary' ? null : `it chose the subprotocol "${quote(protocol, 40)}" instead of "binary"`;
}

function whyEnded(
  wire: Wire,
  target: PortTarget,
  level: PortLevel,
  waitedFor: string,
  deadlineMs: number,
): { answer: PortAnswer; text: string } | null {
  const end = wire.end;
  const to = where(target);
  const soFar = level === 'tcp' ? '' : ` after ${wire.heard} bytes`;
  if (end === null || end.is === 'aborted' || end.is === 'local') return null;
  switch (end.is) {
    case 'refused':
      return {
        answer: 'refused',
        text: `${to} refused the connection (${end.code}): an IP stack owns the address and nothing listens on the port`,
      };
    case 'unreachable':
      return { answer: 'unreachable', text: `${to} cannot be reached: ${unreachable[end.code] ?? end.code}` };
    case 'timeout':
    case 'deadline':
      return level === 'tcp'
        ? {
            answer: 'timeout',
            text: `${to} did not answer the connection attempt within ${deadlineMs} ms: packets are dropped, the guest is stuck, or replies take another way back`,
          }
        : {
            answer: 'timeout',
            text: `${to} accepted the connection, but ${waitedFor} did not come within ${deadlineMs} ms (${wire.heard} bytes heard)`,
          };
    case 'reset':
      return { answer: 'reset', text: `${to} reset the connection (${end.code}) before ${waitedFor}${soFar}${forwardHint(target, wire)}` };
    case 'closed':
      return { answer: 'closed', text: `${to} closed the connection before ${waitedFor}${soFar}${forwardHint(target, wire)}` };
    case 'flood':
      return { answer: 'garbage', text: `${to} sent ${MOST_BYTES} bytes without ${waitedFor}` };
  }
}

const unreachable: Readonly<Record<string, string>> = {
  EHOSTUNREACH: 'no route to host (EHOSTUNREACH): nobody answers ARP for it on the outgoing interface; this says nothing about the service',
  ENETUNREACH: 'network is unreachable (ENETUNREACH): this host has no route to it; this says nothing about the guest',
};

/** A forwarded port is accepted by the forwarder (QEMU's user-mode network) before a guest exists. */
function isForwarded(target: PortTarget): boolean {
  return target.host.startsWith('127.') || target.host === '::1' || target.host === 'localhost';
}
function forwardCaveat(target: PortTarget): string {
  return isForwarded(target)
    ? '; a forwarded port is accepted by the VMM even before its guest is up, so this alone proves nothing about the guest'
    : '';
}
function forwardHint(target: PortTarget, wire: Wire): string {
  return isForwarded(target) && wire.heard === 0 ? '; behind a forwarded port this is how a guest looks that refuses or is not up yet' : '';
}

function guess(bytes: Uint8Array): string {
  if (startsLike(bytes, 'RFB 003.00') && bytes.length >= 4) return ' (a VNC server without a WebSocket proxy)';
  if (startsLike(bytes, 'SSH-') && bytes.length >= 4) return ' (an SSH server)';
  // A TLS alert record: what a TLS server says to plain text.
  if (bytes[0] === 0x15 && bytes[1] === 0x03) return ' (a TLS server: the port wants https)';
  return '';
}

function where(target: PortTarget): string {
  const at = `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.hostPort}`;
  return target.hostPort === target.port ? at : `${at} (guest port ${target.port})`;
}

/** The path as it may stand in a request line: what is not visible ASCII is percent-encoded, so that no path can write a header. */
function pathOf(target: PortTarget): string {
  const path = target.path ?? (target.level === 'http' ? '/' : '/websockify');
  const safe = [...Buffer.from(path, 'utf8')]
    .map((byte) => (byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`))
    .join('');
  return safe.startsWith('/') ? safe : `/${safe}`;
}

function hostHeader(target: PortTarget): string {
  return `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.hostPort}`;
}

function plainGet(target: PortTarget): string {
  return `GET ${pathOf(target)} HTTP/1.1\r\nHost: ${hostHeader(target)}\r\nUser-Agent: linstock\r\nAccept: */*\r\nConnection: close\r\n\r\n`;
}

function upgradeGet(target: PortTarget, key: string): string {
  const lines = [
    `GET ${pathOf(target)} HTTP/1.1`,
    `Host: ${hostHeader(target)}`,
    'User-Agent: linstock',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Protocol: binary',
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}
