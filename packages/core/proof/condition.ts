import type { Condition, EvidenceLine } from '@linstock/contract';
import { cleanText } from '../clean.ts';
import type { ConsoleFacts, ConsoleLine } from '../console/console.ts';
import type { GuestFacts, Sight } from './sight.ts';

/** What was found about one condition. `proved` cannot be said without evidence: the type asks for a first line. */
export type Finding = Omit<Condition, 'id' | 'asked'>;

export function proved(expected: string, observed: string, evidence: readonly [EvidenceLine, ...EvidenceLine[]]): Finding {
  return { verdict: 'proved', expected, observed, evidence: [...evidence] };
}

export function refuted(expected: string, observed: string, evidence: readonly EvidenceLine[], next: string): Finding {
  return { verdict: 'refuted', expected, observed, evidence: [...evidence], next };
}

export function unknown(expected: string, observed: string, next: string, evidence: readonly EvidenceLine[] = []): Finding {
  return { verdict: 'unknown', expected, observed, evidence: [...evidence], next };
}

/** One of several things that must all hold. */
export type Part = { verdict: Condition['verdict']; says: string; evidence: readonly EvidenceLine[]; next?: string };

/** Refuted by one part, proved by all, else unknown. */
export function allOf(expected: string, parts: readonly Part[]): Finding {
  const refutedPart = parts.find((p) => p.verdict === 'refuted');
  const unknownPart = parts.find((p) => p.verdict === 'unknown');
  const observed = parts.map((p) => p.says).join('; ');
  const evidence = parts.flatMap((p) => p.evidence);
  if (refutedPart) return refuted(expected, observed, evidence, refutedPart.next ?? 'Look at the evidence.');
  const [first, ...rest] = evidence;
  if (unknownPart || first === undefined)
    return unknown(expected, observed, unknownPart?.next ?? 'Nothing was looked at: make the proof again.', evidence);
  return proved(expected, observed, [first, ...rest]);
}

export function consoleSays(line: ConsoleLine): EvidenceLine {
  return { source: 'console', line: line.line, text: line.text, guestControlled: line.afterUserspace };
}

export function agentSays(sight: Sight, text: string): EvidenceLine {
  return { source: 'agent', at: sight.at, text: cleanText(text, 600), guestControlled: true };
}

export function probeSays(sight: Sight, text: string): EvidenceLine {
  return { source: 'probe', at: sight.at, text: cleanText(text, 600) };
}

export function hostSays(sight: Sight, text: string): EvidenceLine {
  return { source: 'host', at: sight.at, text: cleanText(text, 600) };
}

export function goldenSays(text: string): EvidenceLine {
  return { source: 'golden', text };
}

export function guestFacts(sight: Sight): GuestFacts | null {
  return sight.agent.is === 'answers' ? sight.agent.facts : null;
}

/** A line that only the kernel or the image can have written; null for one that any process may have. */
export function byKernel<L extends ConsoleLine>(line: L | null): L | null {
  return line && !line.afterUserspace ? line : null;
}

/**
 * A console on which the kernel was told to be quiet shows none of its informational lines (KERN_INFO is level 6, and the default of `quiet` is
 * 4, include/linux/printk.h): such a line was written by somebody else, so none of them counts as the kernel's.
 */
export function asIfByProcesses(console: ConsoleFacts): ConsoleFacts {
  const marked = Object.entries(console).map(([key, value]): [string, unknown] => [
    key,
    value !== null && typeof value === 'object' && 'afterUserspace' in value ? { ...value, afterUserspace: true } : value,
  ]);
  return Object.fromEntries(marked) as ConsoleFacts;
}

/** Why there is nothing from the agent, as part of a sentence. */
export function whyNoAgent(sight: Sight): string {
  return sight.agent.is === 'answers' ? 'the agent did not tell' : `no agent: ${sight.agent.why}`;
}
