/** Does an address answer ICMP echo, by ping of iputils: exit code 0 = answered, 1 = silent, else it could not be asked. */
import type { Sight } from '@linstock/core';
import { quote } from './quote.ts';
import { isAddress, runTool, secondsWithin } from './tool.ts';
import type { LookOptions, Vantage } from './tool.ts';

/** One lost packet proves nothing; three do. `-A`: the next one goes as soon as the last was answered. */
const PACKETS = 3;

export async function lookPing(target: { address: string } & Vantage, opts: LookOptions): Promise<Sight['ping']> {
  if (!isAddress(target.address)) return null;
  const seconds = String(secondsWithin(opts.deadlineMs));
  const from = target.device === undefined ? [] : ['-I', target.device];
  const argv = ['ping', '-n', '-c', String(PACKETS), '-A', '-W', seconds, '-w', seconds, ...from, target.address];
  const result = await runTool(argv, { netns: target.netns }, opts);
  if (result.spawnError !== null || result.timedOut || result.aborted) return null;
  const seen = parsePing(result.stdout);
  if (result.code === 0 && seen.ms !== null) return { is: 'answered', ms: seen.ms, text: `ping ${target.address}: ${seen.summary}` };
  // The summary shows that ping itself ran: `ip netns exec` has exit codes of its own.
  if (result.code === 1 && seen.summary !== '')
    return { is: 'silent', text: `ping ${target.address}: ${[seen.complaint, seen.summary].filter((part) => part !== '').join('; ')}` };
  return null;
}

/** The time of the fastest answer (the first one includes ARP), the summary line, and what a router or this host said instead. Never throws. */
export function parsePing(output: string): { ms: number | null; summary: string; complaint: string } {
  let ms: number | null = null;
  let summary = '';
  let complaint = '';
  for (const line of output.split('\n')) {
    const time = /^\d+ bytes from \S+ icmp_seq=\d+ .*\btime[=<](\d{1,7}(?:\.\d{1,6})?) ms/.exec(line)?.[1];
    if (time !== undefined) ms = Math.min(ms ?? Infinity, Number(time));
    if (/^\d+ packets transmitted, /.test(line)) summary = quote(line);
    if (complaint === '' && /^From \S+ icmp_seq=\d+ /.test(line)) complaint = quote(line);
  }
  return { ms, summary, complaint };
}
