/**
 * A real HTTP server that speaks the contract in small, for tests of clients: routes come from the route table, each
 * test brings only the handlers it needs. A handler returns the reply, throws a FaultError, or writes the response itself.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  FaultError,
  faults,
  routes,
  sentenceOf,
  type BootView,
  type Condition,
  type Problem,
  type Route,
  type RouteName,
  type VmView,
} from '@linstock/contract';

export type SmallCall = {
  name: RouteName;
  params: Record<string, string>;
  query: Record<string, string>;
  headers: IncomingHttpHeaders;
  body: unknown;
  response: ServerResponse;
  /** how often this route was called before */
  turn: number;
};
export type SmallHandler = (call: SmallCall) => unknown;
export type SmallServer = { url: string; seen: SmallCall[]; cutAll(): void; close(): Promise<void> };

export async function smallServer(
  handlers: Partial<Record<RouteName, SmallHandler>>,
  listen: { socketPath?: string } = {},
): Promise<SmallServer> {
  const seen: SmallCall[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url ?? '/', 'http://small');
      let text = '';
      for await (const chunk of request) text += String(chunk);
      const found = routeFor(request.method ?? 'GET', url.pathname);
      const handler = found === null ? undefined : handlers[found.name];
      const requestId = `req_${seen.length}`;
      try {
        if (found === null || handler === undefined)
          throw new FaultError('route-unknown', { method: request.method ?? '?', path: url.pathname });
        const turn = seen.filter((one) => one.name === found.name).length;
        const call: SmallCall = {
          ...found,
          query: Object.fromEntries(url.searchParams),
          headers: request.headers,
          body: text === '' ? undefined : JSON.parse(text),
          response,
          turn,
        };
        seen.push(call);
        const reply = await handler(call);
        if (response.headersSent || response.writableEnded || response.destroyed || reply === undefined) return;
        response.writeHead(routes[found.name].status, { 'content-type': 'application/json' }).end(JSON.stringify(reply));
      } catch (error) {
        const fault = FaultError.is(error) ? error : new FaultError('bug', { requestId }, { cause: error });
        response
          .writeHead(faults[fault.fault.code].http, { 'content-type': 'application/problem+json' })
          .end(JSON.stringify(problem(fault, url.pathname, requestId)));
      }
    })();
  });
  if (listen.socketPath === undefined) server.listen(0, '127.0.0.1');
  else server.listen(listen.socketPath);
  await once(server, 'listening');
  const port = listen.socketPath === undefined ? (server.address() as AddressInfo).port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    cutAll: () => server.closeAllConnections(),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function routeFor(method: string, path: string): { name: RouteName; params: Record<string, string> } | null {
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    if (route.method !== method) continue;
    const pattern = new RegExp(`^${route.path.replaceAll(/:(\w+)/g, '(?<$1>[^/]+)')}$`);
    const match = pattern.exec(path);
    if (match !== null)
      return {
        name,
        params: Object.fromEntries(Object.entries(match.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)])),
      };
  }
  return null;
}

function problem(error: FaultError, instance: string, requestId: string): Problem {
  const { code, data } = error.fault;
  const { http, family, retry } = faults[code];
  return {
    type: `docs/errors.md#${code}`,
    title: code,
    status: http,
    detail: sentenceOf(error.fault),
    instance,
    code,
    family,
    retry,
    requestId,
    data,
  };
}

export function aVm(some: Partial<VmView> = {}): VmView {
  return {
    id: 'vm_01',
    name: 'first',
    state: 'running',
    verified: 'proved',
    allowed: ['stop', 'pause', 'verify', 'exec', 'delete'],
    wish: 'running',
    phase: 'up',
    golden: { name: 'tiny', version: 1, digest: 'a'.repeat(64) },
    vmm: 'qemu',
    vmmVersion: null,
    memoryMiB: 128,
    vcpus: 1,
    network: 'default',
    address: '192.168.100.2',
    mac: '02:00:00:00:00:02',
    reach: [{ port: 8080, host: '192.168.100.2', hostPort: 8080 }],
    boot: 'boot_01',
    fault: null,
    says: null,
    stumble: null,
    operation: null,
    createdAt: 1_760_000_000_000,
    version: 3,
    ...some,
  };
}

export function aCondition(id: string, some: Partial<Condition> = {}): Condition {
  return { id, verdict: 'proved', asked: true, expected: 'as asked', observed: 'as asked', evidence: [], ...some };
}

export function aBoot(some: Partial<BootView> = {}): BootView {
  return {
    id: 'boot_01',
    vm: 'vm_01',
    vmName: 'first',
    kind: 'cold',
    startedAt: 1_760_000_000_000,
    endedAt: null,
    end: null,
    golden: { name: 'tiny', version: 1, digest: 'a'.repeat(64) },
    vmm: 'qemu',
    vmmVersion: '7.2.19',
    accelerator: 'tcg',
    slot: 2,
    address: '192.168.100.2',
    mac: '02:00:00:00:00:02',
    requestedArgs: ['quiet'],
    addedArgs: ['console=ttyS0'],
    effectiveArgs: 'quiet console=ttyS0',
    timeline: [
      { what: 'vmm.started', at: 1_760_000_000_120, ms: 120 },
      { what: 'kernel.started', at: 1_760_000_000_900, ms: 900 },
      { what: 'init.finished', at: 1_760_000_002_400, ms: 2400 },
      { what: 'verified', at: 1_760_000_002_900, ms: 2900 },
    ],
    proof: {
      verified: 'proved',
      at: 1_760_000_002_900,
      furthest: 'net.path',
      conditions: [
        aCondition('vmm.started', { expected: 'qemu 7.2.19 answers', observed: 'qemu 7.2.19 answers' }),
        aCondition('memory.size', {
          expected: 'at least 100 MiB of 128 MiB',
          observed: '112984 KiB',
          evidence: [{ source: 'console', line: 41, text: 'Memory: 112984K/130680K available', guestControlled: true }],
        }),
      ],
    },
    fault: null,
    consoleBytes: 9000,
    ...some,
  };
}
