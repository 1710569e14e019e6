import { z } from 'zod';
import { bootViewSchema } from './boot.ts';
import { buildOrderSchema, buildViewSchema } from './build.ts';
import { caseSchema, caseViewSchema } from './case.ts';
import { diagnosisSchema, evidenceBundleSchema } from './diagnosis.ts';
import { eventSchema } from './event.ts';
import type { FaultCode } from './faults.ts';
import { goldenRoutes } from './golden-routes.ts';
import { hostViewSchema } from './host.ts';
import { networkViewSchema } from './network.ts';
import { operationSchema } from './operation.ts';
import { proofSchema } from './proof.ts';
import { byId, found, none, read, type Route } from './route.ts';
import { goalSchema, vmSpecSchema, vmViewSchema } from './vm.ts';

/** `Prefer: wait=SECONDS` asks the server to hold the answer until the goal is reached or cannot be reached any more. */
const waiting = z.strictObject({ until: goalSchema.optional() });
const vmReply = z.object({
  vm: vmViewSchema,
  operation: operationSchema.nullable(),
  goal: z
    .object({ is: z.enum(['reached', 'not-yet', 'unreachable']), why: z.string().nullable() })
    .meta({ description: 'how the wait for `until` ended' }),
});
const action = {
  method: 'POST',
  params: byId,
  query: waiting,
  body: none,
  reply: vmReply,
  status: 202,
  shape: 'json',
  faults: ['not-found', 'name-ambiguous', 'vm-state-forbids', 'goal-unreachable', 'version-stale', 'idempotency-key-reused'],
} as const satisfies Partial<Route>;
const onWish =
  'The wish is recorded and the operation that follows it is named; with `Prefer: wait` the answer comes when the goal is reached.';

const healthSchema = z.object({
  version: z.string(),
  commit: z.string().nullable(),
  startedAt: z.number(),
  pid: z.int(),
  stateFolder: z.string(),
  /** digest of the sources this process was started from, and of those on disk now */
  running: z.string(),
  onDisk: z.string(),
  current: z.boolean().meta({ description: 'false when the process is older than the code on disk: restart it' }),
  vms: z.int(),
  cases: z.record(z.string(), z.int()).meta({ description: 'how many cases are open, by code' }),
});
export type Health = z.infer<typeof healthSchema>;

export const execRequestSchema = z.strictObject({
  argv: z.array(z.string().max(32_768)).min(1).max(256),
  timeoutMs: z.int().min(1).max(3_600_000).default(60_000),
  cwd: z.string().max(4096).optional(),
  env: z.record(z.string(), z.string().max(32_768)).optional(),
});
/** What an exec answers, a JSON document per line; `data` is base64. */
export const execFrameSchema = z.union([
  z.object({ stream: z.enum(['stdout', 'stderr']), data: z.string() }),
  z.object({ exit: z.object({ code: z.int().nullable(), signal: z.string().nullable(), timedOut: z.boolean() }) }),
  z.object({ fault: z.object({ code: z.string(), data: z.record(z.string(), z.union([z.string(), z.number()])) }) }),
]);
export type ExecFrame = z.infer<typeof execFrameSchema>;

/**
 * Every route of the public API, once. The server's handlers, the SDK's client, the OpenAPI document and the docs
 * are made from this table; a route without a handler does not compile, neither does the opposite.
 */
export const routes = {
  'health.show': {
    ...read,
    path: '/v1/health',
    params: none,
    query: none,
    reply: healthSchema,
    faults: [],
    doc: {
      needs: 'Nothing.',
      onSuccess: 'Says which build serves since when, and whether it is the one on disk.',
      onFailure: 'No answer means no controller.',
    },
  },
  'vm.create': {
    method: 'POST',
    path: '/v1/vms',
    params: none,
    query: waiting,
    body: vmSpecSchema,
    reply: vmReply,
    status: 201,
    shape: 'json',
    faults: [
      'vm-name-taken',
      'golden-unknown',
      'network-unknown',
      'network-full',
      'boot-args-invalid',
      'guest-too-small',
      'goal-unreachable',
      'idempotency-key-reused',
    ],
    doc: {
      needs: 'A golden image.',
      onSuccess: onWish,
      onFailure: 'A wrong request changes nothing. A VM that fails to boot is no HTTP error: its fault and proof are in the VM.',
    },
  },
  'vm.list': {
    ...read,
    path: '/v1/vms',
    params: none,
    query: z.strictObject({
      after: z.string().max(80).optional(),
      limit: z.coerce.number().int().min(1).max(500).default(100),
      name: z.string().max(64).optional(),
      deleted: z.enum(['true', 'false']).optional(),
    }),
    reply: z.object({
      items: z.array(vmViewSchema),
      next: z.string().nullable(),
      seq: z.int().meta({ description: 'event sequence of this list: follow from here' }),
    }),
    faults: [],
    doc: { needs: 'Nothing.', onSuccess: 'VMs, oldest first; `next` continues the list.', onFailure: 'An unknown query field is refused.' },
  },
  'vm.show': {
    ...read,
    path: '/v1/vms/:id',
    params: byId,
    query: none,
    reply: vmViewSchema,
    faults: found,
    doc: {
      needs: 'An id or a unique name.',
      onSuccess: 'The VM as it stands.',
      onFailure: 'A VM deleted more than a week ago is not found.',
    },
  },
  'vm.wait': {
    ...read,
    path: '/v1/vms/:id/wait',
    params: byId,
    query: z.strictObject({ until: goalSchema, timeout: z.coerce.number().min(0).max(600).default(60).meta({ description: 'seconds' }) }),
    reply: z.object({ reached: z.boolean(), vm: vmViewSchema }),
    faults: [...found, 'goal-unreachable'],
    doc: {
      needs: 'A VM.',
      onSuccess: '`reached` tells whether the goal was reached within the timeout; ask again to wait longer.',
      onFailure: 'goal-unreachable at once when it cannot be reached any more, with the reason.',
    },
  },
  'vm.proof': {
    ...read,
    path: '/v1/vms/:id/proof',
    params: byId,
    query: none,
    reply: z.object({ vm: vmViewSchema, boot: z.string().nullable(), proof: proofSchema.nullable() }),
    faults: found,
    doc: {
      needs: 'A VM.',
      onSuccess: 'Each condition of its newest boot with expected, observed and evidence; null before it was examined.',
      onFailure: 'Only an unknown VM fails.',
    },
  },
  'vm.evidence': {
    ...read,
    path: '/v1/vms/:id/evidence',
    params: byId,
    query: none,
    reply: evidenceBundleSchema,
    faults: found,
    doc: {
      needs: 'A VM; it may run, have failed or be stopped.',
      onSuccess:
        'What can be told of its newest boot, taken now and in one piece: text documents in the shapes that people paste, without secrets. A look that could not be made says why in its own place.',
      onFailure: 'Only an unknown VM fails.',
    },
  },
  'vm.diagnosis': {
    ...read,
    path: '/v1/vms/:id/diagnosis',
    params: byId,
    query: none,
    reply: diagnosisSchema,
    faults: found,
    doc: {
      needs: 'A VM; it may run, have failed or be stopped.',
      onSuccess:
        'The likely causes of what is wrong with its newest boot, each with the lines that show it and what to do, by evidence that is taken now.',
      onFailure: 'Only an unknown VM fails; evidence that does not tell is the outcome `unknown`, with what to look at next.',
    },
  },
  'vm.start': {
    ...action,
    faults: [...action.faults, 'network-full'],
    path: '/v1/vms/:id/actions/start',
    doc: { needs: 'A VM that is stopped or failed.', onSuccess: onWish, onFailure: 'A state that forbids it changes nothing.' },
  },
  'vm.stop': {
    ...action,
    path: '/v1/vms/:id/actions/stop',
    doc: { needs: 'A VM that is starting, running or paused.', onSuccess: onWish, onFailure: 'A state that forbids it changes nothing.' },
  },
  'vm.pause': {
    ...action,
    path: '/v1/vms/:id/actions/pause',
    doc: { needs: 'A running VM.', onSuccess: onWish, onFailure: 'A state that forbids it changes nothing.' },
  },
  'vm.resume': {
    ...action,
    path: '/v1/vms/:id/actions/resume',
    doc: { needs: 'A paused VM.', onSuccess: onWish, onFailure: 'A state that forbids it changes nothing.' },
  },
  'vm.verify': {
    ...action,
    path: '/v1/vms/:id/actions/verify',
    doc: {
      needs: 'A running VM.',
      onSuccess: 'Its conditions are examined again; the newest proof replaces the older one of this boot.',
      onFailure: 'A state that forbids it changes nothing.',
    },
  },
  'vm.delete': {
    ...action,
    method: 'DELETE',
    path: '/v1/vms/:id',
    doc: {
      needs: 'A VM in any state.',
      onSuccess: 'Everything of it goes but its boot records; repeating is harmless.',
      onFailure: 'The way down is retried until it succeeds.',
    },
  },
  'vm.exec': {
    method: 'POST',
    path: '/v1/vms/:id/actions/exec',
    params: byId,
    query: none,
    body: execRequestSchema,
    reply: execFrameSchema,
    status: 200,
    shape: 'frames',
    faults: [...found, 'vm-state-forbids', 'agent-absent'],
    doc: {
      needs: 'A running VM whose image has the agent.',
      onSuccess: 'Output as it comes, a JSON document per line, the last one with the exit code.',
      onFailure: 'agent-absent when the agent does not answer over its own channel.',
    },
  },
  'vm.console': {
    ...read,
    path: '/v1/vms/:id/console',
    params: byId,
    query: z.strictObject({
      boot: z.string().max(80).optional(),
      from: z.coerce.number().int().min(0).optional().meta({ description: 'byte offset; the kept tail when absent' }),
      follow: z.enum(['true', 'false']).optional(),
    }),
    reply: z.string(),
    shape: 'bytes',
    faults: found,
    doc: {
      needs: 'A VM that booted at least once.',
      onSuccess: 'The raw serial output, as the guest wrote it: clean it before it reaches a terminal.',
      onFailure: 'Only an unknown VM or boot fails.',
    },
  },
  'boot.list': {
    ...read,
    path: '/v1/boots',
    params: none,
    query: z.strictObject({ vm: z.string().max(80).optional(), limit: z.coerce.number().int().min(1).max(500).default(100) }),
    reply: z.object({ items: z.array(bootViewSchema) }),
    faults: found,
    doc: { needs: 'Nothing.', onSuccess: 'Boots, newest first; those of deleted VMs too.', onFailure: 'An unknown VM is not found.' },
  },
  'boot.show': {
    ...read,
    path: '/v1/boots/:id',
    params: byId,
    query: none,
    reply: bootViewSchema,
    faults: found,
    doc: {
      needs: 'A boot id.',
      onSuccess: 'Requested and effective settings, timeline, proof and end of one boot.',
      onFailure: 'Only an unknown boot fails.',
    },
  },
  'case.list': {
    ...read,
    path: '/v1/cases',
    params: none,
    query: z.strictObject({
      state: z.enum(['open', 'closed', 'all']).default('open'),
      vm: z.string().max(80).optional(),
      after: z.string().max(80).optional(),
      limit: z.coerce.number().int().min(1).max(500).default(100),
    }),
    reply: z.object({ items: z.array(caseViewSchema), next: z.string().nullable() }),
    faults: found,
    doc: {
      needs: 'Nothing.',
      onSuccess: 'What is wrong with VMs, oldest first; `next` continues the list.',
      onFailure: 'An unknown VM is not found.',
    },
  },
  'case.show': {
    ...read,
    path: '/v1/cases/:id',
    params: byId,
    query: none,
    reply: caseSchema,
    faults: ['not-found'],
    doc: {
      needs: 'A case id.',
      onSuccess: 'The case with the whole diagnosis of the newest boot that shows it.',
      onFailure: 'A case that was closed more than a week ago is not found.',
    },
  },
  'metrics.show': {
    ...read,
    path: '/metrics',
    params: none,
    query: none,
    reply: z.string(),
    shape: 'bytes',
    faults: [],
    doc: {
      needs: 'Nothing; the token like every call.',
      onSuccess: "Open cases by code, VMs by state and boots by outcome, in Prometheus' text format.",
      onFailure: 'Does not fail.',
    },
  },
  ...goldenRoutes,
  'network.list': {
    ...read,
    path: '/v1/networks',
    params: none,
    query: none,
    reply: z.object({ items: z.array(networkViewSchema) }),
    faults: [],
    doc: { needs: 'Nothing.', onSuccess: 'Networks with their leases.', onFailure: 'Does not fail.' },
  },
  'network.show': {
    ...read,
    path: '/v1/networks/:id',
    params: byId,
    query: none,
    reply: networkViewSchema,
    faults: ['network-unknown'],
    doc: { needs: 'A network name.', onSuccess: 'Bridge, subnet, leases and rules as one.', onFailure: 'Lists what there is.' },
  },
  'host.list': {
    ...read,
    path: '/v1/hosts',
    params: none,
    query: none,
    reply: z.object({ items: z.array(hostViewSchema) }),
    faults: [],
    doc: { needs: 'Nothing.', onSuccess: 'What each host can do, by probe boots.', onFailure: 'Does not fail.' },
  },
  'operation.show': {
    ...read,
    path: '/v1/operations/:id',
    params: byId,
    query: none,
    reply: operationSchema,
    faults: found,
    doc: {
      needs: 'An operation id.',
      onSuccess: 'Where the change stands; ended operations stay.',
      onFailure: 'Only an unknown operation fails.',
    },
  },
  'build.start': {
    method: 'POST',
    path: '/v1/builds',
    params: none,
    query: none,
    body: buildOrderSchema,
    reply: buildViewSchema,
    status: 202,
    shape: 'json',
    faults: ['build-under-way', 'idempotency-key-reused'],
    doc: {
      needs: 'What to build: a golden image, a root file system or a kernel. Paths are those of the host of the controller.',
      onSuccess: 'The build is an operation that goes on whoever waits for it; with `Prefer: wait` the answer comes when it is over.',
      onFailure: 'A build that fails is no HTTP error: its `fault` says why.',
    },
  },
  'build.list': {
    ...read,
    path: '/v1/builds',
    params: none,
    query: z.strictObject({ limit: z.coerce.number().int().min(1).max(1000).default(50) }),
    reply: z.object({ items: z.array(buildViewSchema) }),
    faults: [],
    doc: { needs: 'Nothing.', onSuccess: 'Builds under way and over, newest first.', onFailure: 'Does not fail.' },
  },
  'build.show': {
    ...read,
    path: '/v1/builds/:id',
    params: byId,
    query: none,
    reply: buildViewSchema,
    faults: ['not-found'],
    doc: {
      needs: 'The id of its operation.',
      onSuccess: 'Its steps and how far it is; with `Prefer: wait` the answer comes when it is over.',
      onFailure: 'Only an unknown build fails.',
    },
  },
  'build.cancel': {
    method: 'POST',
    path: '/v1/builds/:id/actions/cancel',
    params: byId,
    query: none,
    body: none,
    reply: buildViewSchema,
    status: 202,
    shape: 'json',
    faults: ['not-found', 'idempotency-key-reused'],
    doc: {
      needs: 'The id of its operation.',
      onSuccess: 'It ends as soon as what it is doing lets go; with `Prefer: wait` the answer comes when it has.',
      onFailure: 'One that is over is answered as it is.',
    },
  },
  'event.list': {
    ...read,
    path: '/v1/events',
    params: none,
    shape: 'events',
    query: z.strictObject({
      after: z.coerce.number().int().min(0).default(0),
      subject: z.string().max(80).optional(),
      limit: z.coerce.number().int().min(1).max(1000).default(100),
    }),
    reply: z.object({ items: z.array(eventSchema), lastSeq: z.int() }),
    faults: ['events-compacted'],
    doc: {
      needs: 'Nothing.',
      onSuccess: 'Events after a sequence number; with `Accept: text/event-stream` the stream goes on and resumes by Last-Event-ID.',
      onFailure: 'events-compacted when the asked ones are gone: list again.',
    },
  },
} as const satisfies Record<string, Route>;

export type { Route } from './route.ts';
export type Routes = typeof routes;
export type RouteName = keyof Routes;
/** What a caller gives. Query and body with defaults may be left out. */
export type CallInput<N extends RouteName> = {
  params: z.input<Routes[N]['params']>;
  query: z.input<Routes[N]['query']>;
  body: z.input<Routes[N]['body']>;
};
/** What a handler gets: parsed, defaults filled. */
export type Call<N extends RouteName> = {
  params: z.output<Routes[N]['params']>;
  query: z.output<Routes[N]['query']>;
  body: z.output<Routes[N]['body']>;
};
export type Reply<N extends RouteName> = z.output<Routes[N]['reply']>;

/** Faults that any route may answer. */
export const commonFaults: readonly FaultCode[] = ['request-invalid', 'request-not-json', 'request-too-large', 'shutting-down', 'bug'];
