/**
 * Starts programs from a small process of our own. A fork copies the page tables of whoever forks: 1 ms for an empty Node, 6 to 8 ms for a
 * controller with 150 MB, during which it does nothing else; and then each page that it touches costs a fault. The helper holds no state: when
 * it is not there yet, or not any more, programs are started from here as they were before.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startDetached, type DetachedOptions, type Start } from './detached.ts';

export type StartOrder = { id: number; argv: readonly [string, ...string[]]; env: Readonly<Record<string, string>>; timeoutMs: number };
/** `id` 0: the helper is ready. */
export type StartReply = { id: number; start: Start };

const helper = fileURLToPath(new URL('starter-process.ts', import.meta.url));

export class Starter {
  #child: ChildProcess | null = null;
  #ready = false;
  #last = 0;
  readonly #waiting = new Map<number, (start: Start) => void>();

  /** Makes the helper; not waited for. */
  open(): void {
    if (this.#child !== null) return;
    const child = fork(helper, [], { cwd: '/', env: {}, execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    this.#child = child;
    const gone = (): void => {
      if (this.#child !== child) return;
      this.#child = null;
      this.#ready = false;
      // what it was told may have been started or not: the owner of the step looks
      for (const settle of this.#waiting.values()) settle({ is: 'late' });
    };
    child.on('message', (reply: StartReply) => {
      if (reply.id === 0) this.#ready = true;
      else this.#waiting.get(reply.id)?.(reply.start);
    });
    child.on('error', gone);
    child.on('exit', gone);
    child.on('disconnect', gone);
    // it must not keep us alive; it ends when the channel closes
    child.unref();
    child.channel?.unref();
  }

  close(): void {
    this.#child?.disconnect();
  }

  async start(argv: readonly [string, ...string[]], options: DetachedOptions): Promise<Start> {
    const child = this.#child;
    if (child === null || !this.#ready || !child.connected) return startDetached(argv, options);
    this.#last += 1;
    const id = this.#last;
    const { promise, resolve } = Promise.withResolvers<Start>();
    const late = (): void => resolve({ is: 'late' });
    this.#waiting.set(id, resolve);
    child.channel?.ref(); // whoever waits for an answer is not done
    options.signal.addEventListener('abort', late, { once: true });
    try {
      child.send({ id, argv, env: options.env, timeoutMs: options.timeoutMs } satisfies StartOrder, (error) => {
        if (error !== null) late();
      });
      return await promise;
    } finally {
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) child.channel?.unref();
      options.signal.removeEventListener('abort', late);
    }
  }
}
