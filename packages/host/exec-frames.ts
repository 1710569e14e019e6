import type { ExecFrame } from '@linstock/contract';
import type { GuestExec } from './guest/exec.ts';

/**
 * Both outputs of a process in the guest as one stream of frames, in the order in which they arrive, then its exit.
 * A reader that goes away kills the process: nobody is left to want it.
 */
export async function* execFrames(vm: string, exec: GuestExec, signal: AbortSignal): AsyncGenerator<ExecFrame> {
  const stop = (): void => exec.kill('KILL');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const outputs = { stdout: exec.stdout[Symbol.asyncIterator](), stderr: exec.stderr[Symbol.asyncIterator]() };
    const pending = new Map<'stdout' | 'stderr', Promise<{ of: 'stdout' | 'stderr'; result: IteratorResult<Uint8Array, void> }>>();
    const ask = (of: 'stdout' | 'stderr'): void => {
      pending.set(
        of,
        outputs[of].next().then((result) => ({ of, result })),
      );
    };
    ask('stdout');
    ask('stderr');
    while (pending.size > 0) {
      const { of, result } = await Promise.race(pending.values());
      pending.delete(of);
      if (result.done) continue;
      yield { stream: of, data: Buffer.from(result.value).toString('base64') };
      ask(of);
    }
    const end = await exec.exit;
    if (end.is === 'lost') yield { fault: { code: 'agent-absent', data: { id: vm, why: end.detail } } };
    else
      yield {
        exit: { code: end.is === 'exited' ? end.code : null, signal: end.is === 'signalled' ? end.signal : null, timedOut: end.timedOut },
      };
  } finally {
    signal.removeEventListener('abort', stop);
    exec.stdout.discard();
    exec.stderr.discard();
  }
}
