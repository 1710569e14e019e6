import type { FrameFact } from '../evidence.ts';
import type { Line } from '../text.ts';
import { add, type Gather } from './gather.ts';
import { ipv4, macOf, macPattern } from './ipv4.ts';

/** Lines of tcpdump, with and without `-e`. */
export function readFrames(at: Line, g: Gather): boolean {
  const text = at.body;
  const device = at.command === null ? null : (/\btcpdump\b.{0,200}?-\w*i\s?(\S{1,32})/.exec(at.command)?.[1] ?? null);
  if (/^(?:\d+ packets captured|0 packets captured)/.test(text)) {
    g.shown.add(text.startsWith('0 ') ? 'capture-empty' : 'capture');
    return true;
  }
  if (/^\d+ packets (?:received by filter|dropped by kernel)|^tcpdump: |^listening on \S+, link-type/.test(text)) return true;
  const timed = /^(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{3,6} (.*)$/.exec(text);
  if (!timed?.[1]) return false;
  const rest = timed[1];
  const ether = new RegExp(`^(?:\\S+\\s+(?:In|Out|B|M|P)\\s+)?(${macPattern}) (?:\\([^)]*\\) )?> (${macPattern}|Broadcast)`).exec(rest);
  const what = frameOf(rest);
  if (what === null) return false;
  const ip = new RegExp(`(${ipv4})(?:\\.(\\d{1,5}|[a-z]\\w*))? > (${ipv4})(?:\\.(\\d{1,5}|[a-z]\\w*))?`).exec(rest);
  const arp = new RegExp(
    `(?:Request who-has|who-has) (${ipv4})(?: \\([^)]*\\))? tell (${ipv4})|Reply (${ipv4}) is-at (${macPattern})`,
  ).exec(rest);
  const frame: FrameFact = {
    at,
    what,
    sourceMac: ether?.[1] ? macOf(ether[1]) : arp?.[4] ? macOf(arp[4]) : (dhcpMac(rest) ?? null),
    destinationMac: ether?.[2] && ether[2] !== 'Broadcast' ? macOf(ether[2]) : null,
    from: arp ? (arp[2] ?? arp[3] ?? null) : (ip?.[1] ?? null),
    to: arp ? (arp[1] ?? null) : (ip?.[3] ?? null),
    device,
  };
  add(g.frames, frame);
  g.shown.add('capture');
  return true;
}

const dhcpMac = (text: string): string | undefined => new RegExp(`Request from (${macPattern})`).exec(text)?.[1]?.toLowerCase();

function frameOf(text: string): FrameFact['what'] | null {
  if (/Request who-has|ARP.*who-has/.test(text)) return 'arp-request';
  if (/Reply \S+ is-at/.test(text)) return 'arp-reply';
  if (/BOOTP\/DHCP, Request|\.68 > \S+\.67/.test(text)) return 'dhcp-request';
  if (/BOOTP\/DHCP, Reply/.test(text)) return 'dhcp-reply';
  if (/ICMP echo request/.test(text)) return 'echo-request';
  if (/ICMP echo reply/.test(text)) return 'echo-reply';
  if (/ICMP .*(?:unreachable|prohibited)/.test(text)) return 'icmp-unreachable';
  if (/Flags \[S\.\]/.test(text)) return 'syn-ack';
  if (/Flags \[S\]/.test(text)) return 'syn';
  if (/Flags \[R\.?\]/.test(text)) return 'rst';
  return /\bIP6? |ethertype|Flags \[|UDP|ICMP/.test(text) ? 'other' : null;
}
