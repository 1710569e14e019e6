/** Runs a script against a binary, whoever made it. */
import { setTimeout as wait } from 'node:timers/promises';
import { requestOf } from './client.ts';
import { Bench, closed, inItsOwnNetwork } from './run.ts';
import { classOf, nameOf, type Script, type Seen } from './scripts.ts';

export type ScriptOptions = {
  /** in a network namespace of its own: an interface that one makes is none of another's */
  alone?: boolean;
};

export async function runScript(script: Script, binary: (bench: Bench) => string, options: ScriptOptions = {}): Promise<Seen[]> {
  const bench = new Bench();
  try {
    for (const [name, content] of Object.entries(script.files ?? {})) bench.write(name, content);
    const words = [binary(bench), '--api-sock', 'api', ...(script.args ?? [])] as const;
    const [program, ...args] = options.alone === true ? inItsOwnNetwork(words) : words;
    const running = bench.run(program, args);
    await running.listens();
    const seen: Seen[] = [];
    for (const [, step] of script.steps) {
      const answer = await Promise.race([
        'raw' in step ? running.raw(step.raw) : running.raw(requestOf(step.method, step.path, step.body)),
        // A binary that does not answer at all must not hold up the comparison: it is a difference.
        wait(10_000, { ...closed, line: 'no answer' }, { ref: false }),
      ]);
      seen.push({ step: nameOf(step), class: classOf(answer), answer });
    }
    return seen;
  } finally {
    await bench.done();
  }
}
