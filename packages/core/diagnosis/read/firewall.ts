import type { FirewallFact } from '../evidence.ts';
import type { Line } from '../text.ts';
import { add, type Gather } from './gather.ts';

/** `nft list ruleset`, `iptables -S`, `iptables-save`, `iptables -L [-v] [-n]`, ufw's status. */

export type FirewallState = { table: string; chain: string; hook: string; block: number; listing: boolean };
export const emptyFirewallState = (): FirewallState => ({ table: '', chain: '', hook: '', block: -1, listing: false });

const hooks = new Set(['INPUT', 'FORWARD', 'OUTPUT', 'PREROUTING', 'POSTROUTING']);
const hookOf = (chain: string): string => (hooks.has(chain) ? chain.toLowerCase() : '');

export function readFirewall(at: Line, g: Gather, s: FirewallState): boolean {
  if (s.block !== at.block) Object.assign(s, emptyFirewallState(), { block: at.block });
  const text = at.body;
  const put = (fact: FirewallFact): true => {
    add(g.firewall, fact);
    g.shown.add(`firewall-${at.place}`);
    return true;
  };
  const rule = (verdict: Extract<FirewallFact, { is: 'rule' }>['verdict']): true =>
    put({ at, place: at.place, is: 'rule', chain: s.chain, hook: s.hook, verdict, text });

  if (at.command !== null && /\b(?:nft|iptables)/.test(at.command)) g.shown.add(`firewall-${at.place}`);
  // nft
  const table = /^table (\w+) ([\w.-]{1,40}) \{/.exec(text);
  if (table) {
    s.table = `${table[1]} ${table[2]}`;
    g.shown.add(`firewall-${at.place}`);
    return true;
  }
  const chain = /^chain ([\w.-]{1,60}) \{/.exec(text);
  if (chain?.[1]) {
    s.chain = chain[1];
    s.hook = hookOf(chain[1]);
    return true;
  }
  const type = /^type (\w+) hook (\w+) (?:device \S+ )?priority [^;]{1,30};(?: policy (\w+);)?/.exec(text);
  if (type?.[2]) {
    s.hook = type[2];
    if (type[1] === 'filter' && type[3])
      put({
        at,
        place: at.place,
        is: 'policy',
        chain: s.chain,
        hook: type[2],
        policy: type[3],
      });
    return true;
  }
  // iptables -S and -save
  const policy = /^(?:-P|:)\s?(INPUT|FORWARD|OUTPUT) (ACCEPT|DROP|REJECT)\b(?:\s\[(\d+):)?/.exec(text);
  if (policy?.[1] && policy[2]) {
    return put({
      at,
      place: at.place,
      is: 'policy',
      chain: policy[1],
      hook: policy[1].toLowerCase(),
      policy: policy[2].toLowerCase(),
    });
  }
  const appended = /^(?:\[\d+:\d+\] )?(?:-t \w+ )?-A (\S{1,60}) /.exec(text);
  if (appended?.[1]) {
    s.chain = appended[1];
    s.hook = hookOf(appended[1]);
    return rule(verdictOf(text));
  }
  // iptables -L
  const listed = /^Chain (\S{1,60}) \((?:policy (\w+)(?: (\d+[KMG]?) packets)?.*|\d+ references?)\)/.exec(text);
  if (listed?.[1]) {
    s.chain = listed[1];
    s.hook = hookOf(listed[1]);
    s.listing = true;
    if (listed[2])
      return put({
        at,
        place: at.place,
        is: 'policy',
        chain: listed[1],
        hook: s.hook,
        policy: listed[2].toLowerCase(),
      });
    return true;
  }
  if (s.listing && /^(?:pkts\s+bytes\s+)?target\s+prot/.test(text)) return true;
  if (
    s.listing &&
    /^(?:\d+[KMG]?\s+\d+[KMG]?\s+)?(?:ACCEPT|DROP|REJECT|MASQUERADE|DOCKER\S*|LOG|RETURN|ufw\S*|\S+)\s+(?:all|tcp|udp|icmp|\d+)\s+/.test(
      text,
    )
  )
    return rule(verdictOf(text));
  if (s.hook !== '' && /\b(?:accept|drop|reject|masquerade|snat|counter|jump|goto|return)\b/.test(text) && s.table !== '')
    return rule(verdictOf(text));
  if (/^\}$/.test(text) && (s.table !== '' || s.chain !== '')) return true;
  // ufw: what it does with forwarded packets, and what it dropped
  const ufw = /^Default: .*\b(deny|reject|disabled|allow) \(routed\)/.exec(text);
  if (ufw?.[1]) {
    return put({
      at,
      place: at.place,
      is: 'policy',
      chain: 'FORWARD',
      hook: 'forward',
      policy: ufw[1] === 'allow' ? 'accept' : 'drop',
    });
  }
  const blocked = /\[UFW (?:BLOCK|AUDIT INVALID)\] IN=(\S*) OUT=(\S*) /.exec(text);
  if (blocked) {
    s.chain = 'ufw';
    s.hook = (blocked[2] ?? '') === '' ? 'input' : (blocked[1] ?? '') === '' ? 'output' : 'forward';
    return rule('drop');
  }
  // sentences
  const prose = /\b(FORWARD|INPUT)\b(?: chain)?(?: has)?(?: the)? policy(?: is|:)? (DROP|ACCEPT|REJECT)\b/i.exec(text);
  if (prose?.[1] && prose[2]) {
    return put({
      at,
      place: at.place,
      is: 'policy',
      chain: prose[1].toUpperCase(),
      hook: prose[1].toLowerCase(),
      policy: prose[2].toLowerCase(),
    });
  }
  return false;
}

function verdictOf(text: string): Extract<FirewallFact, { is: 'rule' }>['verdict'] {
  if (/\bMASQUERADE\b|\bmasquerade\b|\bSNAT\b|\bsnat\b/.test(text)) return 'masquerade';
  if (/\breject\b/i.test(text)) return 'reject';
  if (/\bdrop\b/i.test(text)) return 'drop';
  return /\baccept\b/i.test(text) ? 'accept' : 'other';
}
