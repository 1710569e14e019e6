import type { BootId } from '@linstock/contract';
import { absent } from './guest/connect.ts';
import { connectGuest, type GuestChannel, type GuestTarget } from './guest/channel.ts';

/** One try of a handshake, `ms`. A guest that still boots answers none; the next try follows at once. */
const tryMs = 2_000;
/** Between tries that failed at once, as when the VMM has not made its socket yet. */
const pauseMs = 20;

type Line = { channel: GuestChannel | null; why: string; stop: AbortController };
/** Where the agent is to be reached, asked anew at each try; null when there is no place yet. */
export type FindAgent = () => Promise<GuestTarget | null>;
export type AgentLine = { is: 'open'; channel: GuestChannel } | { is: 'absent'; why: string };

/**
 * One channel per live boot, shared by proof and exec. Opened in the background, since a guest answers when it is
 * ready; whoever asks gets the channel or the reason why there is none yet. Losing one costs a new handshake.
 */
export class AgentLines {
  readonly #lines = new Map<BootId, Line>();
  readonly #waiters = new Set<() => void>();
  readonly #changed: (boot: BootId) => void;
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>;

  /** set by closeAll: a look that was under way then must not open a line that nobody would ever close */
  #over = false;

  constructor(parts: { changed: (boot: BootId) => void; sleep: (ms: number, signal: AbortSignal) => Promise<void> }) {
    this.#changed = parts.changed;
    this.#sleep = parts.sleep;
  }

  /** The channel when it is open; from the first question on it is being opened. */
  get(boot: BootId, where: FindAgent): AgentLine {
    let line = this.#lines.get(boot);
    if (!line && this.#over) return { is: 'absent', why: 'the controller is stopping' };
    if (!line) {
      line = { channel: null, why: 'it has not answered yet', stop: new AbortController() };
      this.#lines.set(boot, line);
      void this.#keepOpen(boot, where, line);
    }
    return line.channel ? { is: 'open', channel: line.channel } : { is: 'absent', why: line.why };
  }

  /** Waits for the channel, at most until the signal fires. */
  async wait(boot: BootId, where: FindAgent, signal: AbortSignal): Promise<AgentLine> {
    this.get(boot, where);
    const mine = this.#lines.get(boot);
    for (;;) {
      // closed while it was waited for: asking again would open a line to a boot that is over
      if (mine === undefined || this.#lines.get(boot) !== mine) return { is: 'absent', why: 'its VMM was ended' };
      const line = this.get(boot, where);
      if (line.is === 'open' || signal.aborted) return line;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#waiters.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.#waiters.add(done);
        signal.addEventListener('abort', done, { once: true });
      });
    }
  }

  close(boot: BootId): void {
    const line = this.#lines.get(boot);
    if (!line) return;
    this.#lines.delete(boot);
    line.stop.abort();
    line.channel?.close();
    for (const waiter of this.#waiters) waiter();
  }

  closeAll(): void {
    this.#over = true;
    for (const boot of this.#lines.keys()) this.close(boot);
  }

  async #keepOpen(boot: BootId, where: FindAgent, line: Line): Promise<void> {
    while (!line.stop.signal.aborted) {
      const target = await where();
      const answer =
        target === null
          ? absent('no-socket', 'its VMM has made no socket yet')
          : await connectGuest(target, { signal: line.stop.signal, deadlineMs: tryMs });
      if (answer.is === 'absent') {
        line.why = `${answer.why}: ${answer.detail}`;
        await this.#sleep(pauseMs, line.stop.signal);
        continue;
      }
      if (line.stop.signal.aborted) return answer.channel.close();
      line.channel = answer.channel;
      this.#changed(boot);
      for (const waiter of this.#waiters) waiter();
      const lost = await answer.channel.ended;
      line.channel = null;
      line.why = `the line was lost: ${lost.detail}`;
      this.#changed(boot); // with its VMM perhaps: worth a look
    }
  }
}
