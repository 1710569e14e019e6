import type { EvidenceDocument } from '@linstock/contract';
import { panicCauseOf, type ConsoleFacts, type PanicCause } from '@linstock/core';
import { diagnose } from '@linstock/core/diagnosis';
import type { ConsoleKeeper } from './vmm/console-log.ts';

/** Of a longer console: where a boot happens, and what was said last. Both are read and judged within milliseconds. */
const headBytes = 384 * 1024;
const tailBytes = 128 * 1024;

/** Why a kernel panicked, by what its console says; null when that does not tell. The lines are counted from the beginning of the console. */
export async function whyPanicked(keeper: ConsoleKeeper, facts: ConsoleFacts, requested: EvidenceDocument): Promise<PanicCause | null> {
  const { oldest, newest } = await keeper.bounds();
  const head = await keeper.read(oldest, newest - oldest <= headBytes + tailBytes ? newest - oldest : headBytes);
  const tail = head.from + head.bytes.length < newest ? await keeper.tail(tailBytes) : null;
  const texts = [head, ...(tail ? [tail] : [])].map(({ bytes }) => bytes.toString('utf8').split('\n'));
  const lines = texts.flat();
  const left = facts.lines - lines.length;
  const console: EvidenceDocument = {
    kind: 'console',
    name: 'console',
    text: lines.join('\n'),
    cut: null,
    ...(tail && left > 0 ? { gaps: [{ before: texts[0]?.length ?? 0, lines: left }] } : {}),
  };
  try {
    return panicCauseOf(diagnose([requested, console]));
  } catch {
    return null; // what a guest prints may not end the controller, even where a rule has a bug: the panic stands without a cause
  }
}
