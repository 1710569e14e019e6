import { untilEvent } from '../until-event.ts';
import type { Parts } from './parts.ts';

/** A heartbeat with the newest sequence number: proxies keep the connection, clients see how far they are. */
const heartbeatMs = 15_000;
const page = 200;

/**
 * Server-sent events from the log: `id:` is the sequence number, so a client resumes without a hole.
 * Reads pages from the table as the client takes them: a slow reader costs no memory here.
 */
export async function* eventStream(
  parts: Pick<Parts, 'store' | 'sleep' | 'now'>,
  from: { after: number; subject?: string; signal: AbortSignal },
): AsyncGenerator<string> {
  let after = from.after;
  let quietSince = parts.now();
  yield `retry: 1000\n\n`;
  while (!from.signal.aborted) {
    using changed = untilEvent(parts.store, from.signal);
    const { events, oldest } = await parts.store.read(async (tx) => ({
      events: await tx.events({ after, limit: page, ...(from.subject === undefined ? {} : { subject: from.subject }) }),
      oldest: (await tx.eventBounds()).oldest,
    }));
    // compacted past a reader that was too slow: ended, so that it comes again and is told (410) instead of getting a hole
    if (after > 0 && oldest > after + 1) return;
    for (const event of events) {
      after = event.seq;
      quietSince = parts.now();
      yield `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
    }
    if (events.length === page) continue;
    await parts.sleep(Math.max(0, quietSince + heartbeatMs - parts.now()), changed.signal);
    if (parts.now() - quietSince >= heartbeatMs) {
      quietSince = parts.now();
      yield `: seq ${after}\n\n`;
    }
  }
}
