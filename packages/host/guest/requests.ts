/**
 * The agent's requests with one answer each: what each needs, and how its answer is read.
 * A new request is a line in both tables here and one in guest/agent/requests.go.
 */
import { z } from 'zod';

import { parseFacts, sayIssue, text, type GuestFacts, type Parsed } from './facts.ts';

export type GuestRequestBodies = {
  ping: Record<string, never>;
  facts: Record<string, never>;
  /** the kernel's configuration, from /proc/config.gz */
  config: Record<string, never>;
  'clock.set': { unixMs: number };
  /** `entropy`: base64 of 16 to 1024 bytes */
  reseed: { entropy: string };
  poweroff: { mode: 'poweroff' | 'reboot' };
  'file.read': { path: string; maxBytes: number };
  'tcp.connect': { host: string; port: number; timeoutMs: number };
  'icmp.ping': { address: string; timeoutMs: number };
};
export type GuestRequestName = keyof GuestRequestBodies;

/** Nothing a guest answers may be larger; the config is about 200 KiB. */
const maxTextLength = 1_048_576;

const detail = text(400).optional();
const ms = z.int().min(0);

const replies = {
  ping: z.object({ unixMs: z.int(), uptimeMs: ms, syncs: ms }),
  config: z.object({ text: z.string().max(maxTextLength) }),
  'clock.set': z.object({ beforeUnixMs: z.int(), unixMs: z.int() }),
  reseed: z.object({ immediate: z.boolean() }),
  poweroff: z.object({ by: z.enum(['systemctl', 'init', 'reboot']) }),
  'file.read': z
    .object({ base64: z.base64().max(2 * maxTextLength), truncated: z.boolean() })
    .transform(({ base64, truncated }) => ({ bytes: Buffer.from(base64, 'base64'), truncated })),
  'tcp.connect': z.object({
    /** `failed`: none of the others; `detail` has the words of the guest's kernel */
    outcome: z.enum(['connected', 'refused', 'timeout', 'unreachable', 'dns-failed', 'failed']),
    ms,
    detail,
  }),
  'icmp.ping': z.object({ outcome: z.enum(['answered', 'timeout', 'unreachable']), ms, detail }),
} satisfies Record<Exclude<GuestRequestName, 'facts'>, z.ZodType>;

export type GuestReplies = {
  [Name in keyof typeof replies]: z.output<(typeof replies)[Name]>;
} & { facts: GuestFacts };

export function parseReply<Name extends GuestRequestName>(name: Name, value: unknown): Parsed<GuestReplies[Name]> {
  // The two tables are joined here; the cast is what a type per name costs.
  if (name === 'facts') return parseFacts(value) as Parsed<GuestReplies[Name]>;
  const schema: z.ZodType = replies[name as Exclude<GuestRequestName, 'facts'>];
  const parsed = schema.safeParse(value);
  if (!parsed.success) return { is: 'bad', why: sayIssue(parsed.error) };
  return { is: 'ok', value: parsed.data as GuestReplies[Name] };
}
