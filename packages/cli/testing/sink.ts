import type { Sink } from '../out.ts';

/** A stream that remembers, for tests in this process. */
export function memorySink(terminal = false, width = 0): Sink & { text(): string } {
  let text = '';
  return {
    terminal,
    width: () => width,
    text: () => text,
    write: (data) => {
      text += typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
      return Promise.resolve();
    },
  };
}
