import type { Asked } from './asked.ts';
import { agentSays, byKernel, consoleSays, guestFacts, hostSays, proved, refuted, unknown, whyNoAgent, type Finding } from './condition.ts';
import type { Sight } from './sight.ts';

/**
 * A guest takes its time from an RTC that counts whole seconds (drivers/rtc/rtc-mc146818-lib.c), so 1 s of error is there from the start;
 * twice that leaves room for a slow answer and is far below what certificates and tokens mind (a restored snapshot is off by minutes).
 * Under TCG the TSC frequency is a measured number given as tsc_early_khz, so the clock may also drift.
 */
const boundMs = (accelerator: string): number => (accelerator === 'kvm' ? 2_000 : 5_000);

/** clock.offset: the guest's clock is the host's, within the bound. */
export function clockOffset(asked: Asked, sight: Sight): Finding {
  const bound = boundMs(asked.accelerator);
  const expected = `at most ${bound} ms off the host's clock`;
  const guest = guestFacts(sight)?.clockUnixMs ?? null;
  if (guest === null || sight.agent.is !== 'answers')
    return unknown(expected, `not seen: ${whyNoAgent(sight)}`, 'date in the guest, through the agent.');
  // the guest read its clock some time between question and answer
  const doubt = Math.max(0, sight.agent.ms);
  const offset = Math.round(guest - sight.agent.at);
  const evidence = [
    agentSays(sight, `clock ${guest} ms`),
    hostSays(sight, `clock ${sight.agent.at} ms when the answer arrived, ${Math.round(doubt)} ms after the question`),
  ] as const;
  const observed = `${offset} ms, known to ${Math.round(doubt)} ms`;
  // between these two lies the true offset
  const [low, high] = [offset, offset + doubt];
  if (low >= -bound && high <= bound) return proved(expected, observed, evidence);
  if (high < -bound || low > bound)
    return refuted(
      expected,
      observed,
      evidence,
      'Whether the VM was restored from a snapshot (its clock stood still), then the clock source of the guest and tsc_early_khz.',
    );
  return unknown(expected, observed, 'Ask again: the answer took too long to tell.', evidence);
}

/** random.seeded: the guest's random number generator is seeded. */
export function randomSeeded(sight: Sight): Finding {
  const expected = "the kernel's random number generator is seeded";
  const seeded = guestFacts(sight)?.randomSeeded ?? null;
  const line = byKernel(sight.console.randomReady) ?? sight.console.randomReady;
  if (seeded === false)
    return refuted(
      expected,
      'not seeded',
      [agentSays(sight, 'getrandom would block')],
      'Whether the VM has a virtio-rng device and the kernel its driver, or random.trust_cpu=on.',
    );
  if (seeded === true)
    return proved(expected, 'seeded', [agentSays(sight, 'getrandom does not block'), ...(line ? [consoleSays(line)] : [])]);
  if (line && !line.afterUserspace) return proved(expected, `seeded at console line ${line.line}`, [consoleSays(line)]);
  return unknown(
    expected,
    `not seen: ${whyNoAgent(sight)}`,
    'Console line "random: crng init done", or getrandom in the guest through the agent.',
    line ? [consoleSays(line)] : [],
  );
}
