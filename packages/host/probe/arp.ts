/**
 * Who answers ARP for an address on a device: all of them, for two answers are the proof of a duplicate address. Uses arping of iputils,
 * whose exit code also counts two answers to one question as a failure; so its own words are read: what it sent and who replied.
 */
import type { Sight } from '@linstock/core';
import { quote } from './quote.ts';
import { isAddress, runTool, secondsWithin } from './tool.ts';
import type { LookOptions, Vantage } from './tool.ts';

/** Answers to a broadcast on a bridge of this host come within a millisecond or two, from a busy guest within some. Who is heard in this time is heard. */
const WINDOW_MS = 40;
/** After silence there are two questions, a second apart: the second one finds whoever missed the first. */
const PROBES = 2;

export async function lookArp(target: { address: string } & Vantage & { device: string }, opts: LookOptions): Promise<Sight['arp']> {
  if (!isAddress(target.address)) return null;
  // -b: keep asking by broadcast; by default arping asks only the first answerer again, and a second owner stays unseen.
  const ask = (seconds: number): string[] => [
    'arping',
    '-b',
    '-c',
    String(PROBES),
    '-w',
    String(seconds),
    '-I',
    target.device,
    target.address,
  ];
  // arping waits a second between two questions. SIGINT makes it say what it has heard so far.
  const quick = await runTool(['timeout', '-s', 'INT', String(WINDOW_MS / 1000), ...ask(1)], { netns: target.netns }, opts);
  const result =
    parseArping(quick.stdout, target.address).macs.length > 0
      ? quick
      : await runTool(ask(Math.min(PROBES, secondsWithin(opts.deadlineMs))), { netns: target.netns }, opts);
  if (result.spawnError !== null || result.timedOut || result.aborted) return null;
  const seen = parseArping(result.stdout, target.address);
  // Nothing sent: no such device, no permission. That is not silence.
  if (seen.sent === 0) return null;
  const asked = `${seen.sent} ARP ${seen.sent === 1 ? 'question' : 'questions'} for ${target.address} on ${quote(target.device, 15)}`;
  if (seen.macs.length === 0) return { is: 'silent', text: `${asked}: nobody answered` };
  return { is: 'answered', macs: seen.macs, text: `${asked}: answered by ${seen.macs.join(' and ')}` };
}

/** MACs in lower case, each once, in the order of their first answer. Never throws. */
export function parseArping(output: string, address: string): { sent: number; macs: string[] } {
  const macs = new Set<string>();
  let sent = 0;
  for (const line of output.split('\n')) {
    const reply = /^(?:Unicast|Broadcast) (?:reply|request) from (\S{1,45}) \[((?:[0-9A-F]{2}:){5}[0-9A-F]{2})\]/i.exec(line);
    if (reply?.[1] === address && reply[2] !== undefined) macs.add(reply[2].toLowerCase());
    const count = /^Sent (\d{1,6}) probes?\b/.exec(line)?.[1];
    if (count !== undefined) sent = Number(count);
  }
  return { sent, macs: [...macs] };
}
