/** The inside of a guest, over its agent's own channel. Only looks; the guest is hostile, so everything has a bound. */
import type { EvidenceDocument } from '@linstock/contract';
import { guestPage, silentGuestPage } from '@linstock/core';
import type { AgentLine } from '../agent-lines.ts';
import type { GuestChannel } from '../guest/channel.ts';

const factsMs = 4_000;
const programMs = 3_000;
const mostBytes = 16 * 1024;

/** What the agent does not tell by itself. One that the image lacks is an answer, too. */
const programs: readonly (readonly string[])[] = [
  ['df', '-P'],
  ['ip', 'rule'],
  ['nft', 'list', 'ruleset'],
  ['iptables-save'],
  ['cat', '/proc/net/dev'],
];

export async function lookAtGuest(line: AgentLine, gateway: string, now: () => number): Promise<EvidenceDocument> {
  if (line.is === 'absent') return silentGuestPage(line.why);
  const asked = now();
  const answer = await line.channel.request('facts', {}, { deadlineMs: factsMs });
  const answered = now();
  if (answer.is !== 'ok')
    return silentGuestPage(answer.is === 'late' ? `it did not tell its facts within ${answer.afterMs} ms` : answer.is);
  const ran = await Promise.all([...programs.map((argv) => look(line.channel, argv)), ping(line.channel, gateway)]);
  return guestPage({ told: answer.value, at: (asked + answered) / 2, programs: ran });
}

type Program = Parameters<typeof guestPage>[0]['programs'][number];

async function look(channel: GuestChannel, argv: readonly string[]): Promise<Program> {
  const command = argv.join(' ');
  const ran = await channel.run(argv, { deadlineMs: programMs, timeoutMs: programMs, tailBytes: mostBytes });
  if (ran.is === 'refused') return { command, output: null, exit: `not looked: ${ran.code}` };
  if (ran.is !== 'ok') return { command, output: null, exit: `not looked: ${ran.is}` };
  const { end, stdout, stderr } = ran.value;
  const output = [stdout, stderr].filter((part) => part.trim() !== '').join('\n');
  const exit = end.is === 'exited' ? `exit=${end.code}` : end.is === 'signalled' ? `ended by ${end.signal}` : 'the line was lost meanwhile';
  return { command, output, exit };
}

async function ping(channel: GuestChannel, gateway: string): Promise<Program> {
  const answer = await channel.request('icmp.ping', { address: gateway, timeoutMs: 1_500 }, { deadlineMs: programMs });
  const command = `ping -c 1 ${gateway}`;
  if (answer.is !== 'ok') return { command, output: null, exit: `not looked: ${answer.is}` };
  const { outcome, ms, detail } = answer.value;
  const words = {
    answered: `64 bytes from ${gateway}: icmp_seq=1 time=${ms} ms\n1 packets transmitted, 1 received, 0% packet loss`,
    timeout: '1 packets transmitted, 0 received, 100% packet loss',
    unreachable: `${detail ?? 'Network is unreachable'}\n1 packets transmitted, 0 received, +1 errors, 100% packet loss`,
  };
  return { command, output: words[outcome], exit: outcome === 'answered' ? 'exit=0' : 'exit=1' };
}
