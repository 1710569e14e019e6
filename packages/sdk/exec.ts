import { FaultError, isFaultCode, type ExecFrame } from '@linstock/contract';
import { LineCutter } from './frames.ts';
import type { Answer } from './transport.ts';

export type ExecOutput = { stream: 'stdout' | 'stderr'; data: Uint8Array };
export type ExecEnd = { code: number | null; signal: string | null; timedOut: boolean };

/**
 * A command running in a guest. Iterate it for output as it comes, then ask for `result()`; `result()` alone lets the
 * output go by. A stream that ends without saying how the command ended is a fault, never a success.
 */
export class Exec implements AsyncIterable<ExecOutput> {
  readonly #body: Answer['body'];
  readonly #frames: AsyncGenerator<ExecOutput>;
  #end: ExecEnd | null = null;

  constructor(body: Answer['body']) {
    this.#body = body;
    this.#frames = this.#read();
  }

  [Symbol.asyncIterator](): AsyncIterator<ExecOutput> {
    // no return(): leaving the loop early must not lose the result
    return { next: () => this.#frames.next() };
  }

  async result(): Promise<ExecEnd> {
    while (this.#end === null) {
      const { done } = await this.#frames.next();
      if (done && this.#end === null) throw new FaultError('exec-failed', { hint: 'the connection ended before the command did' });
    }
    return this.#end;
  }

  /** Stops listening; the guest command is ended by the controller or by its own time limit. */
  close(): void {
    this.#body.destroy();
  }

  async *#read(): AsyncGenerator<ExecOutput> {
    const cutter = new LineCutter();
    for await (const chunk of this.#body) {
      for (const line of cutter.push(chunk)) {
        const output = this.#take(line);
        if (output !== null) yield output;
      }
    }
    const output = this.#take(cutter.rest());
    if (output !== null) yield output;
  }

  #take(line: string): ExecOutput | null {
    if (line.trim() === '') return null; // a heartbeat between frames
    const frame = frameOf(line);
    if (frame === null) throw new FaultError('exec-failed', { hint: 'the controller sent a frame that is not JSON' });
    if ('exit' in frame) this.#end = frame.exit;
    if ('fault' in frame) {
      const { code, data } = frame.fault;
      throw isFaultCode(code) ? new FaultError(code, data) : new FaultError('exec-failed', { hint: code });
    }
    return 'stream' in frame ? { stream: frame.stream, data: Buffer.from(frame.data, 'base64') } : null;
  }
}

function frameOf(line: string): ExecFrame | Record<never, never> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as ExecFrame) : null;
  } catch {
    return null; // named by the caller
  }
}
