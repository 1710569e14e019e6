/**
 * The event log as an async iterable, without holes and without doubles: pages of the list, or the stream, which is taken
 * up again after its last sequence number (`Last-Event-ID`) when the connection is lost. Patience is bounded by `BackOff`;
 * nothing is buffered beyond one chunk, so a slow reader slows the connection and not the memory.
 */
import { FaultError, type LinstockEvent } from '@linstock/contract';
import { pause, type BackOff } from './back-off.ts';
import { signalOf, type Calls, type EventOptions } from './calls.ts';
import { EventCutter, LineCutter } from './frames.ts';

/** The controller sends a heartbeat every 15 s: three missed ones mean that the connection is dead. */
const QUIET_MS = 45_000;
const PAGE = 500;

export async function* readEvents(calls: Calls, backOff: BackOff, options: EventOptions): AsyncGenerator<LinstockEvent> {
  yield* options.follow === true ? followed(calls, backOff, options) : listed(calls, options);
}

async function* listed(calls: Calls, options: EventOptions): AsyncGenerator<LinstockEvent> {
  let after = options.after ?? 0;
  for (;;) {
    const { items } = await calls.json('event.list', { query: { after, limit: PAGE, ...subjectOf(options) } }, signalOf(options));
    yield* items;
    const last = items.at(-1);
    if (items.length < PAGE || last === undefined || last.seq <= after) return;
    after = last.seq;
  }
}

async function* followed(calls: Calls, backOff: BackOff, options: EventOptions): AsyncGenerator<LinstockEvent> {
  const signal = calls.transport.signalFor(options.signal);
  let seq = options.after ?? 0;
  let failures = 0;
  for (;;) {
    let lost: unknown = new FaultError('daemon-unreachable', { url: 'the event stream', hint: 'the controller ended the stream' });
    try {
      const answer = await calls.stream(
        'event.list',
        { query: { after: seq, ...subjectOf(options) } },
        {
          ...signalOf({ signal }),
          headers: { accept: 'text/event-stream, application/problem+json', 'last-event-id': String(seq) },
          quietMs: QUIET_MS,
        },
      );
      const lines = new LineCutter();
      const events = new EventCutter();
      try {
        for await (const chunk of answer.body) {
          failures = 0; // anything that came, a heartbeat too, shows that the controller is there
          for (const line of lines.push(chunk)) {
            const block = events.line(line);
            const event = block === null ? null : eventOf(block.data);
            if (event !== null && event.seq > seq) {
              seq = event.seq;
              yield event;
            }
            if (line === '') seq = Math.max(seq, seqOf(events.lastId));
          }
        }
      } finally {
        answer.body.destroy();
      }
    } catch (error) {
      if (!FaultError.is(error, 'daemon-unreachable') && !FaultError.is(error, 'shutting-down')) throw error;
      lost = error;
    }
    failures += 1;
    if (failures >= backOff.attempts) throw lost;
    await pause(backOff, failures, signal);
  }
}

function eventOf(data: string): LinstockEvent | null {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null; // a heartbeat may carry anything
  }
  return typeof value === 'object' && value !== null && 'seq' in value && typeof value.seq === 'number' && 'type' in value
    ? (value as LinstockEvent)
    : null;
}

function seqOf(id: string | null): number {
  return id !== null && /^\d{1,15}$/.test(id) ? Number(id) : 0;
}

function subjectOf(options: EventOptions): { subject?: string } {
  return options.subject === undefined ? {} : { subject: options.subject };
}
