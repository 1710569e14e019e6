import type { Diagnosis } from '@linstock/contract';
import type { Evidence } from './evidence.ts';
import type { Picture } from './picture.ts';

/** What was not seen and would tell more, the cheapest first. */
export function missingOf(e: Evidence, p: Picture, settled: boolean): Diagnosis['missing'] {
  const missing: Diagnosis['missing'][number][] = [];
  const put = (when: boolean, what: string, how: string): void => {
    if (when) missing.push({ what, how });
  };
  const tap = p.tap?.name ?? e.asked.tap?.value ?? 'TAP';
  const bridge = p.bridgeName ?? 'BRIDGE';
  const address = p.address ?? 'ADDRESS';
  if (!settled) {
    put(!e.consoleGiven, 'the console of the guest', 'keep the standard output of the VMM, and give it with --console');
    put(
      e.consoleGiven && e.facts.banner === null && !e.consoleEmpty,
      'the beginning of the console',
      'give the console from its first line',
    );
    put(
      e.vmm.alive === null && e.vmm.exit === null && e.vmm.absent === null,
      'whether the VMM lives, its exit status and its last words',
      'ps -o pid,stat,lstart,args -C firecracker; the standard error of the VMM',
    );
    const network = p.reached === null || p.lost;
    put(network && p.address === null, 'the address the guest should have', 'the boot arguments (ip=), or --requested');
    put(network && !e.shown.has('links'), 'links of the host', `ip -d link show dev ${tap}; ip -d link show dev ${bridge}`);
    put(
      network && p.address !== null && !e.shown.has('neighbours') && p.arp === 'unknown',
      'whether anybody answers ARP for the address',
      `arping -c 2 -I ${bridge} ${address}; ip neigh show to ${address}`,
    );
    put(network && p.address !== null && !e.shown.has('route-get'), "the host's route to the guest", `ip route get ${address}`);
    put(network && p.arp === 'no' && !e.shown.has('fdb'), 'whether the guest sends anything', `bridge fdb show br ${bridge}`);
    put(network && p.arp === 'no' && !e.shown.has('capture'), 'what the guest sends', `tcpdump -n -e -c 20 -i ${tap}`);
    const refused = [...p.ports].some(([, v]) => v.answer === 'refused' || v.answer === 'timeout');
    put(refused && !e.shown.has('listening-guest'), 'who listens in the guest', 'ss -ltnp (in the guest)');
    put(
      [...p.ports].some(([, v]) => v.answer === 'timeout') && !e.shown.has('firewall-guest'),
      'the firewall of the guest',
      'nft list ruleset (in the guest)',
    );
    put(
      p.userspace && e.facts.failedUnits.length > 0,
      'the log of the units that failed',
      `journalctl -b -u ${e.facts.failedUnits[0]?.unit.split(' ')[0] ?? 'UNIT'} (in the guest)`,
    );
    put(
      p.arp === 'no' && e.facts.ipConfig !== null && !e.shown.has('addresses-guest'),
      'the addresses in the guest',
      'ip addr; networkctl status (in the guest, over its console or vsock)',
    );
  }
  // what Linstock itself prints in a bundle is for people
  const unread = e.unread.filter(
    (l) => l.body.length > 2 && (l.kind === 'host' || l.kind === 'guest' || l.kind === 'vmm-log') && !/^(?:==|net\.egress)/.test(l.body),
  );
  const first = unread[0];
  if (first && unread.length > 0) {
    missing.push({
      what: `${unread.length === 1 ? '1 line that was' : `${unread.length} lines that were`} not understood, the first is ${first.source}:${first.line}`,
      how: 'they play no part in this answer; give the output of commands as it was printed, with its command line',
    });
  }
  return missing;
}
