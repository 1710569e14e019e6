/**
 * What a guest says about itself. The guest is hostile: every text and list has a limit,
 * every number is checked, unknown fields are dropped, control characters never reach a
 * terminal. Each part is parsed on its own, and a part that does not fit is reported in
 * `errors` like one the agent could not collect. Nothing here throws.
 * The limits are those of guest/agent/facts.go.
 */
import { z } from 'zod';

export type Parsed<T> = { is: 'ok'; value: T } | { is: 'bad'; why: string };

/** Controls, line separators and the marks that turn the direction of text. */
const unprintable = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

export const text = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .transform((value) => value.replace(unprintable, '\uFFFD'));

const word = text(64);
const name = text(256);
const count = z.int().min(0);
const port = z.int().min(1).max(65_535);

const link = z.object({
  name: word,
  mac: word,
  /** the kernel's word: `up`, `down`, `unknown`, `lowerlayerdown`; empty when not readable */
  operstate: word,
  mtu: count,
  flags: z.array(word).max(32),
});

const address = z.object({
  link: word,
  address: word,
  prefixLen: z.int().min(0).max(128),
  family: z.enum(['ipv4', 'ipv6']),
  scope: word,
  /** such as `permanent`, `tentative`, `dadfailed` */
  flags: z.array(word).max(32),
});

const route = z.object({
  family: z.enum(['ipv4', 'ipv6']),
  /** `default`, or address/prefix */
  destination: word,
  gateway: word.optional(),
  link: word.optional(),
  source: word.optional(),
  metric: count,
  /** who made it: `kernel`, `boot` (ip= or a shell), `static`, `dhcp`, `ra`, or a number */
  protocol: word,
  scope: word,
});

const neighbour = z.object({ address: word, mac: word, link: word, complete: z.boolean() });

const listening = z.object({
  address: word,
  port,
  /** one process that holds the socket; absent when it cannot be seen */
  process: word.optional(),
});

const mount = z.object({ device: name, path: name, fsType: word, options: text(1024) });

const networkManager = z.object({ name: word, running: z.boolean(), enabled: z.boolean() });

const percent = z.number().min(0).max(100);

const parts = {
  cmdline: text(4096),
  kernel: z.object({
    release: name,
    banner: text(4096),
    /** whether the request `config` will find /proc/config.gz */
    configReadable: z.boolean(),
  }),
  bootId: word,
  uptimeMs: count,
  memory: z.object({ totalKiB: count, availableKiB: count }),
  cpusOnline: z.int().min(1).max(65_536),
  links: z.array(link).max(64),
  addresses: z.array(address).max(256),
  routes: z.array(route).max(256),
  neighbours: z.array(neighbour).max(256),
  listening: z.array(listening).max(256),
  resolvers: z.array(word).max(16),
  rootMount: mount,
  mounts: z.array(mount).max(64),
  init: z.object({
    pid1: word,
    /** the word of `systemctl is-system-running`; absent without systemd */
    systemState: word.optional(),
    failedUnits: z.array(name).max(64),
    /** those that run or are enabled */
    networkManagers: z.array(networkManager).max(32),
  }),
  clock: z.object({ unixMs: z.int() }),
  random: z.object({ seeded: z.boolean() }),
  tainted: z.int(),
  /** `some avg10` in percent */
  pressure: z.object({ cpu: percent, memory: percent, io: percent }),
} satisfies Record<string, z.ZodType>;

export type GuestFactName = keyof typeof parts;

/** A part is absent when it is unknown; `errors` then says why. An empty list is known to be empty. */
export type GuestFacts = {
  [Part in GuestFactName]?: z.output<(typeof parts)[Part]>;
} & { errors: Partial<Record<GuestFactName, string>> };

const errorText = text(400);

export function parseFacts(value: unknown): Parsed<GuestFacts> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { is: 'bad', why: 'facts that are not an object' };
  }
  const given = new Map<string, unknown>(Object.entries(value));
  const said = given.get('errors');
  const reasons = new Map<string, unknown>(typeof said === 'object' && said !== null ? Object.entries(said) : []);
  const errors: Partial<Record<GuestFactName, string>> = {};
  const known: Record<string, unknown> = {};
  // Over our names, not over the guest's: what it adds is dropped.
  for (const [part, schema] of Object.entries(parts)) {
    const reason = errorText.safeParse(reasons.get(part));
    if (reason.success) errors[part as GuestFactName] = reason.data;
    const raw = given.get(part);
    if (raw === undefined || raw === null) continue;
    const parsed = schema.safeParse(raw);
    if (parsed.success) known[part] = parsed.data;
    else errors[part as GuestFactName] = `the guest's answer does not fit: ${sayIssue(parsed.error)}`;
  }
  return { is: 'ok', value: { ...(known as GuestFacts), errors } };
}

/** The first issue, without the guest's own text in it. */
export function sayIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'no reason given';
  return `${issue.path.join('.').slice(0, 100) || 'value'}: ${issue.code}`;
}
