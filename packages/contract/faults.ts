/**
 * Every refusal or failure the product can name. The key is the public code, forever.
 * `say` is one sentence or two: what, why, what to do; `{name}` is filled from the fault's data, `{name?}` when it is there.
 * docs/errors.md has a heading per code, and a test compares the two.
 */
export type Family = 'validation' | 'auth' | 'capacity' | 'conflict' | 'host' | 'guest' | 'image' | 'internal';
export type FaultKind = {
  http: number;
  family: Family;
  retry: 'never' | 'later' | 'after-change';
  say: string;
};

export const faults = {
  // what the caller sent
  'request-invalid': { http: 422, family: 'validation', retry: 'after-change', say: 'The request does not fit: {problems}.' },
  'request-not-json': { http: 400, family: 'validation', retry: 'after-change', say: 'The body is not JSON: {hint}.' },
  'request-too-large': { http: 413, family: 'validation', retry: 'after-change', say: 'The body has more than {limit} bytes; send less.' },
  'route-unknown': {
    http: 404,
    family: 'validation',
    retry: 'never',
    say: 'There is no {method} {path}; /openapi.json lists what there is.',
  },
  'not-authorised': {
    http: 401,
    family: 'auth',
    retry: 'after-change',
    say: 'The call carries no valid token; send the header line in the file `authorization` of the state folder.',
  },
  'not-found': { http: 404, family: 'validation', retry: 'never', say: 'There is no {noun} {id}.' },
  'name-ambiguous': { http: 409, family: 'conflict', retry: 'after-change', say: 'More than one {noun} fits {name}; use the id.' },
  'boot-args-invalid': { http: 422, family: 'validation', retry: 'after-change', say: 'The boot arguments cannot be used: {problems}.' },
  'idempotency-key-reused': {
    http: 422,
    family: 'conflict',
    retry: 'never',
    say: 'Idempotency-Key {key} was used for another request; take a new key.',
  },
  'version-stale': {
    http: 412,
    family: 'conflict',
    retry: 'after-change',
    say: 'If-Match names version {given}, the resource is at {current}; read it again.',
  },
  'events-compacted': {
    http: 410,
    family: 'conflict',
    retry: 'after-change',
    say: 'Events before {oldest} are gone; list the resources again and follow from there.',
  },
  // names, states and claims
  'vm-name-taken': {
    http: 409,
    family: 'conflict',
    retry: 'after-change',
    say: 'A VM called {name} already exists ({id}); choose another name or delete that one.',
  },
  'vm-state-forbids': {
    http: 409,
    family: 'conflict',
    retry: 'after-change',
    say: '{action} needs a VM that is {allowed}; {id} is {state}.',
  },
  'goal-unreachable': { http: 409, family: 'guest', retry: 'after-change', say: '{id} cannot become {goal} any more: {why}' },
  'golden-unknown': {
    http: 404,
    family: 'validation',
    retry: 'after-change',
    say: 'There is no golden image {golden}; there are: {known}.',
  },
  'golden-tag-unknown': {
    http: 404,
    family: 'validation',
    retry: 'after-change',
    say: 'The golden image {golden} has no tag {tag}; it has: {known}.',
  },
  'golden-tag-moved': {
    http: 409,
    family: 'conflict',
    retry: 'after-change',
    say: 'The tag {tag} of {golden} is at revision {current}, not {given}: somebody moved it. Look at it, then decide again.',
  },
  'golden-faulty': {
    http: 409,
    family: 'image',
    retry: 'after-change',
    say: 'A static look at {golden} found {count}: {first}. `linstock golden lint {golden}` says all. Mend the image, or verify it with a reason (--waive).',
  },
  'golden-in-use': {
    http: 409,
    family: 'conflict',
    retry: 'after-change',
    say: '{golden} is in use by {by}. Delete the VMs, move the tags, then try again.',
  },
  'golden-building': {
    http: 409,
    family: 'conflict',
    retry: 'after-change',
    say: '{golden} is being built by {by}. Wait for the end of that, or end it.',
  },
  'build-under-way': {
    http: 409,
    family: 'conflict',
    retry: 'later',
    say: '{subject} is being built already, by {id}. Wait for that one, or end it.',
  },
  'build-cancelled': { http: 409, family: 'conflict', retry: 'after-change', say: 'The build of {subject} was ended by {by}.' },
  'build-interrupted': {
    http: 500,
    family: 'internal',
    retry: 'after-change',
    say: 'The build of {subject} was begun {tries} times, and each time the controller ended before it did. It is not begun again.',
  },
  'golden-not-proved': {
    http: 409,
    family: 'conflict',
    retry: 'after-change',
    say: '{golden} is {state}: {why}. Prove it with `linstock golden verify {golden}`, or promote it with a reason (--waive).',
  },
  'network-unknown': { http: 404, family: 'validation', retry: 'after-change', say: 'There is no network {network}; there are: {known}.' },
  'network-full': {
    http: 507,
    family: 'capacity',
    retry: 'later',
    say: 'Network {network} has no free address: all {slots} are leased. Delete a VM or use a larger subnet.',
  },
  'network-clash': {
    http: 409,
    family: 'conflict',
    retry: 'after-change',
    say: 'Subnet {subnet} overlaps {other} on interface {device}; choose another subnet.',
  },
  'network-too-large': {
    http: 422,
    family: 'validation',
    retry: 'after-change',
    say: 'Subnet {subnet} has more addresses than a bridge has ports for guests ({ports}); {largest} is the largest. Choose a smaller subnet.',
  },
  'guest-too-small': {
    http: 422,
    family: 'validation',
    retry: 'after-change',
    say: '{asked} MiB of memory cannot boot {golden}: its kernel and initrd need at least {least} MiB. Ask for more.',
  },
  // the image
  'config-refused': { http: 422, family: 'image', retry: 'after-change', say: '{file} cannot be imported: {problems}' },
  'image-refused': { http: 422, family: 'image', retry: 'after-change', say: '{say}' },
  'artifact-corrupt': { http: 500, family: 'image', retry: 'after-change', say: '{say}' },
  // the host
  'setting-invalid': {
    http: 500,
    family: 'host',
    retry: 'after-change',
    say: 'The settings cannot be used: {problems}.',
  },
  'host-lacks-tool': { http: 500, family: 'host', retry: 'after-change', say: '{tool} is missing on the host; install {package}.' },
  'host-lacks-permission': { http: 500, family: 'host', retry: 'after-change', say: '{what} is not permitted: {hint}.' },
  'host-disk-full': {
    http: 507,
    family: 'host',
    retry: 'later',
    say: 'No space is left under {path} ({freeMiB} MiB free); free some, then start the VM again.',
  },
  'host-full': { http: 507, family: 'capacity', retry: 'later', say: 'The host has no room for {need}: {why}.' },
  'daemon-already-running': {
    http: 409,
    family: 'conflict',
    retry: 'never',
    say: 'A controller (pid {pid}) already serves {folder}; use it, or stop it with `linstock down`.',
  },
  'database-newer': {
    http: 500,
    family: 'internal',
    retry: 'never',
    say: 'The database in {folder} was written by a newer Linstock (schema {found}, this one knows {known}); run the newer release.',
  },
  'database-corrupt': {
    http: 500,
    family: 'internal',
    retry: 'never',
    say: 'The database {path} cannot be read: {hint}. Restore the backup; nothing was changed.',
  },
  'daemon-unreachable': {
    http: 503,
    family: 'host',
    retry: 'later',
    say: 'No controller answers at {url}: {hint}. Start one with `linstock up`.',
  },
  // one boot
  'vmm-exited-early': { http: 500, family: 'guest', retry: 'later', say: 'The VMM ended before the guest answered: {hint}' },
  'vmm-ended': { http: 500, family: 'guest', retry: 'later', say: 'The VMM ended by itself: {hint}' },
  'vmm-unable': { http: 409, family: 'host', retry: 'after-change', say: '{vmm} cannot {what}: {why}' },
  'vmm-refused': { http: 500, family: 'host', retry: 'after-change', say: 'The VMM would not start: {hint}' },
  'guest-panicked': { http: 500, family: 'guest', retry: 'after-change', say: 'The guest kernel panicked: {line}{because?}' },
  'took-too-long': {
    http: 500,
    family: 'guest',
    retry: 'later',
    say: 'The VM was still {phase} when its time ({seconds} s) was up; the furthest condition proved was {furthest}, the next one needs: {needs}.',
  },
  'tool-failed': { http: 500, family: 'host', retry: 'later', say: 'Step {step} failed: {hint}' },
  // ourselves
  'exec-failed': { http: 502, family: 'guest', retry: 'later', say: 'The guest agent could not run that: {hint}.' },
  'agent-absent': { http: 409, family: 'guest', retry: 'later', say: 'The guest agent of {id} does not answer: {why}.' },
  'shutting-down': { http: 503, family: 'internal', retry: 'later', say: 'The controller is stopping; try again in a moment.' },
  bug: {
    http: 500,
    family: 'internal',
    retry: 'never',
    say: 'Linstock has a bug (request {requestId}); the controller log has the details.',
  },
} as const satisfies Record<string, FaultKind>;

export type FaultCode = keyof typeof faults;

/** A fault at rest: what a row, a reply body and a log line hold. */
export type Fault = { code: FaultCode; data: Record<string, string | number> };

export function isFaultCode(code: string): code is FaultCode {
  return Object.hasOwn(faults, code);
}

/** The sentence of a fault, for people. A value that is missing shows as `?`, never as `undefined`; one that need not be there, `{name?}`, as nothing. */
export function sentenceOf(fault: Fault): string {
  return faults[fault.code].say.replaceAll(/\{(\w+)(\??)\}/g, (_, name: string, may: string) =>
    String(fault.data[name] ?? (may === '' ? '?' : '')),
  );
}

/** The one way to throw a fault; `cause` is private and never leaves the process. */
export class FaultError extends Error {
  readonly fault: Fault;
  /** the id under which the controller's log has this request, when it came over the API */
  readonly requestId: string | undefined;
  constructor(code: FaultCode, data: Fault['data'] = {}, options: { cause?: unknown; requestId?: string } = {}) {
    const fault: Fault = { code, data };
    super(sentenceOf(fault), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'FaultError';
    this.fault = fault;
    this.requestId = options.requestId;
  }
  static is(error: unknown, code?: FaultCode): error is FaultError {
    return error instanceof FaultError && (code === undefined || error.fault.code === code);
  }
}

/** RFC 9457 problem details, as every 4xx and 5xx reply carries them. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: FaultCode;
  family: Family;
  retry: FaultKind['retry'];
  requestId: string;
  data: Fault['data'];
  errors?: readonly { pointer: string; message: string }[];
};
