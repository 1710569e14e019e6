/** Does the VM answer, and how: each answer in the words of the tool that people would use. What each of them proves is in docs/proof.md. */
import type { PortLevel } from '@linstock/contract';
import { bridgeName, reachOfPort, type PortSight } from '@linstock/core';
import { parseHead } from '../probe/http-head.ts';
import { probePort, type PortTarget } from '../probe/port.ts';
import { Wire, type WireEnd } from '../probe/wire.ts';
import { lookBy, type Look } from './look.ts';
import type { HostOrder } from './order.ts';

/** Below 3.1 s "no route to host" cannot be told from "timed out": Linux asks three times by ARP, a second apart. */
const portMs = 4_500;
const toolMs = 6_000;

type Order = Pick<HostOrder, 'mark' | 'network' | 'wiring' | 'ports'>;

/** ARP and ping. `-b`: by default arping asks only the first answerer again, and a second owner stays unseen. */
export async function probeHost({ mark, network, wiring }: Order, signal: AbortSignal): Promise<Look[]> {
  const limits = { signal, timeoutMs: toolMs };
  const bridge = bridgeName(mark, network.index);
  return Promise.all([
    lookBy(['ping', '-n', '-c', '2', '-W', '1', wiring.address], limits, { exit: 'always' }),
    lookBy(['arping', '-b', '-c', '2', '-w', '3', '-I', bridge, wiring.address], limits, { exit: 'always' }),
  ]);
}

export async function probePorts({ wiring, ports }: Order, signal: AbortSignal): Promise<Look[]> {
  const looks = await Promise.all(
    ports.map(async ({ port, level, path }) => {
      const tcp = await connectTo(wiring.address, port, signal);
      if (!tcp.connected || level === 'tcp') return [tcp.look];
      return [tcp.look, ...(await further({ host: wiring.address, hostPort: port, port, level, path }, signal))];
    }),
  );
  return looks.flat();
}

/** Through a forward of the VMM, which accepts a connection itself: only bytes of the guest count. */
export async function probeForward({ wiring, ports }: Order, signal: AbortSignal): Promise<Look[]> {
  const looks = ports
    .filter(({ level }) => level !== 'tcp')
    .map(({ port, level, path }) => further({ ...reachOfPort(wiring, port), port, level, path }, signal));
  return (await Promise.all(looks)).flat();
}

async function further(target: PortTarget, signal: AbortSignal): Promise<Look[]> {
  const page = await get(target, signal);
  if (target.level !== 'websocket' && target.level !== 'rfb') return [page];
  const { steps } = await probePort(target, { signal, deadlineMs: portMs });
  const step = (wanted: PortLevel): PortSight['steps'][number] | undefined => steps.find((s) => s.level === wanted);
  const [upgrade, banner] = [step('websocket'), step('rfb')];
  const { host, hostPort, path } = target;
  const words = [upgrade?.ok === true ? 'HTTP 101' : (upgrade?.text ?? 'no answer in HTTP'), ...(banner ? [banner.text] : [])];
  return [page, { shown: `websocket ws://${host}:${hostPort}${path ?? '/websockify'}`, output: `${hostPort}: ${words.join(', then ')}` }];
}

async function get({ host, hostPort, level, path }: PortTarget, signal: AbortSignal): Promise<Look> {
  const url = `http://${host}:${hostPort}${(level === 'http' ? path : undefined) ?? '/'}`;
  const began = performance.now();
  const wire = new Wire(host, hostPort, { signal, deadlineMs: portMs });
  while (!wire.connected && wire.end === null) await wire.more();
  wire.send(`GET ${new URL(url).pathname} HTTP/1.0\r\nHost: ${host}:${hostPort}\r\nUser-Agent: linstock\r\n\r\n`);
  let head = parseHead(wire.bytes);
  while (head.is !== 'head' && head.is !== 'garbage' && wire.end === null) {
    await wire.more();
    head = parseHead(wire.bytes);
  }
  wire.hangUp();
  const total = ((performance.now() - began) / 1000).toFixed(6);
  const shown = `curl -sS -m 4 -o /dev/null -w "http=%{http_code} total=%{time_total}" ${url}`;
  if (head.is === 'head') return { shown, output: `http=${String(head.status).padStart(3, '0')} total=${total}`, exit: 'exit=0' };
  const why =
    head.is === 'garbage'
      ? { code: 1, text: 'Received HTTP/0.9 when not allowed' }
      : wire.end?.is === 'deadline' || wire.end?.is === 'timeout'
        ? {
            code: 28,
            text: `Operation timed out after ${Math.round(performance.now() - began)} milliseconds with ${wire.heard} bytes received`,
          }
        : wire.end?.is === 'reset'
          ? { code: 56, text: 'Recv failure: Connection reset by peer' }
          : { code: 52, text: 'Empty reply from server' };
  return { shown, output: `curl: (${why.code}) ${why.text}\nhttp=000 total=${total}`, exit: `exit=${why.code}` };
}

async function connectTo(host: string, port: number, signal: AbortSignal): Promise<{ look: Look; connected: boolean }> {
  const began = performance.now();
  const wire = new Wire(host, port, { signal, deadlineMs: portMs });
  while (!wire.connected && wire.end === null) await wire.more();
  const ms = Math.round(performance.now() - began);
  const end = wire.connected ? null : wire.end;
  wire.hangUp();
  const output = `${ms} ms ${end === null ? 'connected' : wordsOf(end)}`;
  return { look: { shown: `tcp connect ${host}:${port}`, output }, connected: end === null };
}

const errnos: Readonly<Record<string, string>> = {
  ECONNREFUSED: '[Errno 111] Connection refused',
  ECONNRESET: '[Errno 104] Connection reset by peer',
  EHOSTUNREACH: '[Errno 113] No route to host',
  EHOSTDOWN: '[Errno 112] Host is down',
  ENETUNREACH: '[Errno 101] Network is unreachable',
  ENETDOWN: '[Errno 100] Network is down',
  ETIMEDOUT: '[Errno 110] Connection timed out',
};

function wordsOf(end: WireEnd): string {
  switch (end.is) {
    case 'refused':
    case 'reset':
    case 'unreachable':
    case 'timeout':
    case 'local':
      return `${end.code} ${errnos[end.code] ?? ''}`.trimEnd();
    case 'deadline':
      return `ETIMEDOUT ${errnos['ETIMEDOUT']}`; // ours is shorter than the kernel's, and means the same
    case 'closed':
    case 'flood':
    case 'aborted':
      return `not looked to the end (${end.is})`;
  }
}
