import type { EvidenceLine } from '@linstock/contract';
import type { Asked } from './asked.ts';
import { agentSays, consoleSays, guestFacts, proved, refuted, unknown, type Finding } from './condition.ts';
import type { ConsoleLine } from '../console/console.ts';
import type { Sight } from './sight.ts';

/** Answers of `systemctl is-system-running` that are not an end. */
const underWay = new Set(['initializing', 'starting']);

/** The line that says that the guest went down. Any process can write one: while the agent answers it is not believed. */
export function believedEnd({ console, agent }: Sight): ConsoleLine | null {
  const end = console.panic ?? console.shutdown;
  return end?.afterUserspace && agent.is === 'answers' ? null : end;
}

/** init.finished: PID 1 reached its goal; failed units by name. */
export function initFinished(sight: Sight): Finding {
  const expected = 'PID 1 reached its goal and no unit failed';
  const { console } = sight;
  const init = guestFacts(sight)?.init ?? null;
  const evidence: EvidenceLine[] = [];
  if (init)
    evidence.push(
      agentSays(
        sight,
        `${init.name}: ${init.state ?? 'says no state'}${init.failedUnits.length > 0 ? `, failed: ${init.failedUnits.join(' ')}` : ''}`,
      ),
    );

  const end = believedEnd(sight);
  if (end) {
    return refuted(
      expected,
      `${console.panic ? 'the kernel panicked' : 'the guest went down'} at console line ${end.line}${console.initFinished ? `, after PID 1 had finished at line ${console.initFinished.line}` : ''}`,
      [consoleSays(end), ...evidence],
      `Console lines before ${end.line}.`,
    );
  }
  if (init && init.failedUnits.length > 0) {
    return refuted(
      expected,
      `failed: ${init.failedUnits.join(', ')}`,
      [...evidence, ...console.failedUnits.map(consoleSays)],
      `systemctl status ${init.failedUnits[0] ?? ''} and its journal in the guest.`,
    );
  }
  if (init?.state === 'running') {
    const [first] = evidence;
    const recovered = console.failedUnits.map((u) => u.unit);
    if (first)
      return proved(
        expected,
        `running${recovered.length > 0 ? `; the console tells of failures that are over now: ${recovered.join(', ')}` : ''}`,
        [first, ...(console.initFinished ? [consoleSays(console.initFinished)] : [])],
      );
  }
  if (init && init.state !== null && init.state !== 'running') {
    if (underWay.has(init.state))
      return unknown(
        expected,
        `${init.name} is still ${init.state}`,
        'Which jobs it waits for: systemctl list-jobs in the guest.',
        evidence,
      );
    // nothing but a state: degraded, maintenance, stopping, offline
    if (init.state === 'degraded' || init.state === 'maintenance' || init.state === 'stopping' || init.state === 'offline') {
      return refuted(
        expected,
        `${init.name} is ${init.state}`,
        [...evidence, ...console.failedUnits.map(consoleSays)],
        'systemctl --failed in the guest.',
      );
    }
  }
  if (console.failedUnits.length > 0) {
    return refuted(
      expected,
      `failed by the console: ${console.failedUnits.map((u) => u.unit).join(', ')}`,
      [...console.failedUnits.map(consoleSays), ...evidence],
      'Console lines around each failed unit, then its journal in the guest.',
    );
  }
  if (console.initProblem && (console.initFinished === null || console.initProblem.line > console.initFinished.line)) {
    return refuted(
      expected,
      console.initProblem.text,
      [consoleSays(console.initProblem), ...evidence],
      'That console line says what the image could not do.',
    );
  }
  if (console.initFinished)
    return proved(expected, `finished at console line ${console.initFinished.line}`, [consoleSays(console.initFinished), ...evidence]);
  const started = console.initStarted;
  return unknown(
    expected,
    started
      ? `${started.path} was started at console line ${started.line}; nobody says that it finished`
      : 'nobody says that PID 1 was started',
    started ? 'The last console lines: what the image does now, or what it waits for.' : 'root.mounted first; then the last console lines.',
    [...(started ? [consoleSays(started)] : []), ...evidence],
  );
}

/** agent.ready: the guest agent answered over its own channel. */
export function agentReady(asked: Asked, sight: Sight): Finding {
  const expected = 'the agent in the guest answers over its own channel';
  if (sight.agent.is === 'answers')
    return proved(expected, `answered in ${Math.round(sight.agent.ms)} ms`, [
      agentSays(sight, `answered in ${Math.round(sight.agent.ms)} ms`),
    ]);
  if (sight.agent.is === 'silent') {
    return refuted(
      expected,
      `no answer: ${sight.agent.why}`,
      [{ source: 'probe', at: sight.at, text: sight.agent.why }],
      'Console lines of the agent and of init; then whether the kernel has the driver of its channel (virtio-serial or vsock).',
    );
  }
  if (!asked.golden.agent) return unknown(expected, 'this golden image has no agent', 'Nothing: its manifest says agent: false.');
  return unknown(expected, sight.agent.why, 'Whether the VMM of this boot has a channel for the agent.');
}
