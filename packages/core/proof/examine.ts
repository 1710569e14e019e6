import type { Condition, Proof, Verdict } from '@linstock/contract';
import { cleanText } from '../clean.ts';
import { askedConditions, askedValue, conditionIds, type Asked } from './asked.ts';
import { clockOffset, randomSeeded } from './clock.ts';
import { cmdlineEffective, cmdlineUnderstood } from './cmdline.ts';
import { asIfByProcesses, unknown, type Finding } from './condition.ts';
import { agentReady, believedEnd, initFinished } from './init.ts';
import { cpuCount, kernelConfig, kernelStarted, memorySize } from './kernel.ts';
import { netAddress, netEgress, netLayer2, netPath } from './network.ts';
import { portAnswers } from './ports.ts';
import { rootMounted } from './root.ts';
import type { Sight } from './sight.ts';
import { vmmStarted } from './vmm.ts';

/**
 * The proof of a boot: what was asked, what is seen, and for each condition proved, refuted or unknown. Pure; never throws on anything a
 * guest says; never rounds unknown up or down; never takes a timeout for a cause.
 */
export function examine(asked: Asked, seen: Sight): Proof {
  const sight = isQuiet(asked) ? { ...seen, console: asIfByProcesses(seen.console) } : seen;
  const counted = new Set(askedConditions(asked));
  const started = kernelStarted(asked, sight);
  const conditions = conditionIds(asked).map((id) => {
    const finding = id === 'kernel.started' ? started : find(id, asked, sight, started);
    return conditionOf(id, counted.has(id) && !isNeverTold(id, asked, finding), withFirstCause(id, finding, sight));
  });
  return { verified: verifiedBy(conditions), at: sight.at, furthest: furthestOf(conditions), conditions };
}

/**
 * An init that is not systemd's, in an image without agent, may never say that it has finished. What it says counts, and that it says nothing
 * does not: such a boot could otherwise never be verified.
 */
function isNeverTold(id: string, { golden }: Asked, finding: Finding): boolean {
  return id === 'init.finished' && finding.verdict === 'unknown' && !golden.agent && golden.init === 'other';
}

/** Whether the kernel was told to keep its informational lines from the console. */
function isQuiet(asked: Asked): boolean {
  const level = askedValue(asked, 'loglevel');
  return askedValue(asked, 'quiet') !== null || (level !== null && Number(level) < 7);
}

function find(id: string, asked: Asked, sight: Sight, started: Finding): Finding {
  const port = /^port\.(\d{1,5})$/.exec(id);
  const promised = port ? asked.ports.find((p) => p.port === Number(port[1])) : undefined;
  if (promised) return portAnswers(asked, sight, promised);
  return conditions[id]?.(asked, sight, started) ?? unknown(id, 'nobody knows how to look at this condition', 'A newer controller.');
}

const conditions: Record<string, (asked: Asked, sight: Sight, started: Finding) => Finding> = {
  'vmm.started': (_, sight) => vmmStarted(sight),
  'cmdline.effective': cmdlineEffective,
  'cmdline.understood': cmdlineUnderstood,
  'kernel.config': kernelConfig,
  'memory.size': memorySize,
  'cpu.count': cpuCount,
  'root.mounted': rootMounted,
  'init.finished': (_, sight) => initFinished(sight),
  'agent.ready': agentReady,
  'net.address': netAddress,
  'net.layer2': netLayer2,
  'net.path': netPath,
  'net.egress': (_, sight) => netEgress(sight),
  'clock.offset': clockOffset,
  'random.seeded': (_, sight) => randomSeeded(sight),
};

/** A dead VMM or a panic explains what could not happen after it: that is the cheapest thing to look at, so it comes first. */
function withFirstCause(id: string, finding: Finding, sight: Sight): Finding {
  if (finding.verdict === 'proved' || id === 'vmm.started' || finding.next === undefined) return finding;
  const panic = believedEnd(sight) === sight.console.panic ? sight.console.panic : null;
  if (panic && id !== 'kernel.started')
    return {
      ...finding,
      next: `Console line ${panic.line}, "${cleanText(panic.text, 160)}", and what stands before it. Then: ${finding.next}`,
    };
  if (!sight.vmm.alive) return { ...finding, next: `vmm.started: there is no VMM process. Then: ${finding.next}` };
  return finding;
}

/** What people will read is cleaned here once more: parts of it are a guest's words. */
function conditionOf(id: string, asked: boolean, finding: Finding): Condition {
  return {
    id,
    verdict: finding.verdict,
    asked,
    expected: cleanText(finding.expected),
    observed: cleanText(finding.observed),
    evidence: finding.evidence.map((e) => ({ ...e, text: cleanText(e.text) })),
    ...(finding.next === undefined ? {} : { next: cleanText(finding.next, 800) }),
  };
}

function verifiedBy(all: readonly Condition[]): Verdict {
  const counted = all.filter((c) => c.asked);
  if (counted.some((c) => c.verdict === 'refuted')) return 'refuted';
  return counted.length > 0 && counted.every((c) => c.verdict === 'proved') ? 'proved' : 'unknown';
}

function furthestOf(all: readonly Condition[]): string | null {
  const counted = all.filter((c) => c.asked);
  const gap = counted.findIndex((c) => c.verdict !== 'proved');
  return (gap === -1 ? counted.at(-1) : counted[gap - 1])?.id ?? null;
}
