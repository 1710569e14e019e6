/** Who touches the address and the route that `ip=` set. */
import type { Claim } from '../facts/claims.ts';
import type { ImageFacts } from '../facts/facts.ts';
import { asksTheNetwork } from '../facts/cloud-init.ts';
import type { Rule, Spot } from './rule.ts';

function says(claim: Claim): string {
  const gives =
    claim.addresses.length > 0
      ? `gives it ${claim.addresses.slice(0, 3).join(', ')}`
      : claim.dhcp
        ? 'asks for an address by DHCP'
        : 'gives it no address';
  return `${claim.by} ${claim.sure ? 'takes' : 'may take'} the interface and ${gives}`;
}

/** A line that only the first boot makes effective needs that said. */
function because({ systemd }: ImageFacts, claim: Claim): string {
  const pulled = claim.by.startsWith('systemd-networkd')
    ? systemd?.firstBoot.find(({ name }) => name === 'systemd-networkd.service')
    : undefined;
  return pulled === undefined
    ? ''
    : `; nobody enabled systemd-networkd, and ${pulled.by} does (console: Populated /etc with preset unit settings)`;
}

function spots(facts: ImageFacts, outcome: Claim['outcome'], then: string, predicts?: (claim: Claim) => string): Spot[] {
  return facts.claims
    .filter((claim) => claim.outcome === outcome)
    .map((claim) => ({
      path: claim.path,
      line: claim.line,
      what: `${says(claim)}${then}${because(facts, claim)}.`,
      ...(claim.sure ? {} : { severity: 'warning' as const }),
      ...(predicts === undefined ? {} : { predicts: predicts(claim) }),
    }));
}

export const networkRules: readonly Rule[] = [
  {
    id: 'net.ip-names-another',
    severity: 'error',
    finds: 'ip= names another device than eth0',
    why: 'The kernel sets the address before user space, and at that moment the only interface of a guest is called eth0, whatever udev calls it later. It waits 12 s for a device of that name.',
    fix: 'Write eth0, or leave the device out: ip=ADDRESS::GATEWAY:NETMASK:::off.',
    predicts: '12 s of silence, and no line of IP-Config',
    refutes: 'net.address',
    look: (_, { lease, interfaceName }) =>
      lease === null || lease.device === null || lease.device === interfaceName
        ? []
        : [{ path: null, what: `ip= names ${lease.device}, and the interface is ${interfaceName} when the kernel looks for it.` }],
  },
  {
    id: 'net.address-replaced',
    severity: 'error',
    finds: 'a network service of the image takes the interface and drops the address that ip= set',
    why: 'systemd-networkd removes addresses and routes that it did not configure from an interface that it takes; udhcpc empties the interface before it asks. The kernel has said IP-Config: Complete by then, and nobody says a word afterwards.',
    fix: 'Leave the interface to ip=: remove this file, or disable the service. If it must run, write KeepConfiguration=yes under [Network] (netplan: critical: true).',
    predicts:
      'No line tells of the loss: the address is set at 0.3 s, then "Started systemd-networkd.service", then ARP for the address stays unanswered (No route to host)',
    refutes: 'net.address',
    look: (facts) =>
      spots(facts, 'address-lost', ': the leased address is gone', (claim) =>
        claim.addresses.length > 0
          ? `No line tells of it: the guest answers at ${claim.addresses[0]?.split('/')[0] ?? ''} with its own MAC, and not at the leased address (No route to host)`
          : 'No line tells of it: "IP-Config: Complete", then the service starts, then ARP for the leased address stays unanswered (No route to host)',
      ),
  },
  {
    id: 'net.route-lost',
    severity: 'error',
    finds: 'a network service of the image keeps the leased address and drops the default route',
    why: 'KeepConfiguration=static of systemd-networkd keeps addresses and not the route from ip=; dhcpcd, for want of a DHCP server, takes a link-local address and a default route that leads nowhere. The guest can be reached from its own network and reaches nothing beyond.',
    fix: 'Write KeepConfiguration=yes, which keeps both; for dhcpcd, disable it or write denyinterfaces eth0 into /etc/dhcpcd.conf.',
    predicts: 'The port answers; in the guest `ip route` shows no default, and connections out say Network is unreachable',
    refutes: 'net.path',
    look: (facts) => spots(facts, 'route-lost', ': the address stays and the default route is gone'),
  },
  {
    id: 'net.second-address',
    severity: 'warning',
    finds: 'a network service of the image adds an address of its own',
    why: 'Every guest made from the image claims the same address: two of them on one network answer ARP for each other.',
    fix: 'Remove the address from the image.',
    predicts: 'In the guest `ip addr` shows two addresses; arping sees several MACs answer for the second one',
    refutes: null,
    look: (facts) => spots(facts, 'second-address', ', beside the leased one'),
  },
  {
    id: 'net.ifup-fails',
    severity: 'warning',
    finds: 'ifupdown sets an address or a default route that ip= has set already',
    why: 'ip(8) answers "RTNETLINK answers: File exists", ifup takes the interface for failed, and networking.service fails with it; the leased address stays.',
    fix: 'Remove the stanza: ip= needs no service in the guest.',
    predicts: 'Failed to start networking.service - Raise network interfaces.',
    refutes: 'init.finished',
    look: ({ claims }) =>
      claims
        .filter(({ collides }) => collides)
        .map((claim) => ({ path: claim.path, line: claim.line, what: `${says(claim)}, and what it sets is there already: ifup fails.` })),
  },
  {
    id: 'net.several-authorities',
    severity: 'warning',
    finds: 'two or more services of the image configure the same interface',
    why: 'The last one to write wins, and which one that is may differ from boot to boot.',
    fix: 'Keep one, or none: ip= needs no service in the guest.',
    predicts: 'The console shows each of them start',
    refutes: null,
    look: ({ claims }) => {
      const first = new Map(claims.map((claim) => [claim.by.replace(/,.*$/, ''), claim]));
      const all = [...first.values()];
      if (all.length < 2) return [];
      const names = all.map(({ by, path }) => `${by} (${path})`).join(', ');
      return [
        { path: all[0]?.path ?? null, line: all[0]?.line ?? null, what: `${all.length} services configure the interface: ${names}.` },
      ];
    },
  },
  {
    id: 'net.dhcp-without-server',
    severity: 'warning',
    finds: 'a service of the image asks for an address by DHCP and leaves the leased one alone',
    why: "No DHCP server answers on Linstock's network: what waits for the answer is late, or never comes. ifupdown with dhclient holds networking.service, and the login with it, for a minute and more.",
    fix: 'Remove the request, or give the lease statically.',
    predicts: 'Starting networking.service, and about a minute of silence',
    refutes: null,
    look: ({ claims }, { lease }) =>
      claims
        .filter((claim) => lease !== null && claim.dhcp && claim.outcome === 'kept')
        .map((claim) => ({ path: claim.path, line: claim.line, what: `${says(claim)}, which no server answers.` })),
  },
  {
    id: 'net.profile-unused',
    severity: 'note',
    finds: 'a profile of NetworkManager is for the interface that ip= configures',
    why: 'NetworkManager finds the interface configured by somebody else and leaves it alone: what the profile says does not happen.',
    fix: 'Remove the profile; or leave ip= out, where NetworkManager is meant to configure the guest.',
    predicts: 'In the guest nmcli shows the interface as "connected (externally)"',
    refutes: null,
    look: ({ network: { networkManager } }, { lease }) =>
      lease === null || !networkManager.runs || networkManager.unmanaged
        ? []
        : networkManager.connections.map(({ path, line, method, addresses }) => ({
            path,
            line,
            what: `A profile of NetworkManager asks for ${addresses[0] ?? `method ${method}`}, which has no effect beside ip=.`,
          })),
  },
  {
    id: 'net.cloud-init',
    severity: 'warning',
    finds: 'cloud-init runs and may write network configuration',
    why: 'With a data source, or a list that names only one, it writes configuration for an interface with DHCP, which the next network service obeys. Without a list it switches itself off where it finds none.',
    fix: 'Touch /etc/cloud/cloud-init.disabled; or write network: {config: disabled} into /etc/cloud/cloud.cfg.d/99-network.cfg and datasource_list: [None].',
    predicts: 'Starting cloud-init-local.service, then lines of util.py and url_helper.py when it asks 169.254.169.254',
    refutes: null,
    look: ({ network: { cloudInit } }) => {
      if (!cloudInit.runs || cloudInit.networkDisabled) return [];
      const { sources } = cloudInit;
      if (sources === null) {
        const what =
          'cloud-init looks for a data source at the boot. It switches itself off where it finds none, and else may configure the network.';
        return [{ path: '/etc/cloud/cloud.cfg', what, severity: 'note' as const }];
      }
      const what = `cloud-init takes the data sources ${sources.names.slice(0, 8).join(', ')} and may configure the network.`;
      const asks = sources.names.filter(asksTheNetwork);
      return [
        {
          path: sources.path,
          line: sources.line,
          what: asks.length === 0 ? what : `${what} Asking ${asks[0] ?? ''} takes minutes where nobody answers.`,
        },
      ];
    },
  },
  {
    id: 'net.renamed',
    severity: 'warning',
    finds: 'a .link file of the image gives the interface another name than the one in ip=',
    why: 'Linux 6.2 and newer rename an interface that ip= has set up; older kernels refuse, and it stays eth0 (seen with 6.1). What names the interface in the guest (scripts, .network files, firewall rules) is right on one kernel and void on the other.',
    fix: 'Remove Name= from the .link file.',
    predicts: '…: renamed from eth0; before Linux 6.2 nothing on the console',
    refutes: null,
    look: ({ names }) =>
      names.renamed === null
        ? []
        : [{ path: names.renamed.path, line: names.renamed.line, what: `It names the interface ${names.renamed.to}.` }],
  },
  {
    id: 'net.predictable-names',
    severity: 'warning',
    finds: 'udev may rename eth0, which ip= names, because the command line lacks net.ifnames=0',
    why: 'With the default policy a virtio interface on PCI is called enp0s1 or ens1; on virtio-mmio it depends on the VMM. Linux 6.2 and newer rename an interface that ip= has set up, older ones do not. What names eth0 in the guest is then void.',
    fix: "Put net.ifnames=0 on the command line (Linstock's template has it), or mask 99-default.link.",
    predicts: '…: renamed from eth0',
    refutes: null,
    look: ({ names }, context) =>
      names.predictable === null || context.lease === null
        ? []
        : [{ path: names.predictable, what: 'It lets udev choose another name for eth0.' }],
  },
  {
    id: 'net.other-interface',
    severity: 'warning',
    finds: 'the image configures an interface that no guest has',
    why: 'A guest has one interface, eth0. ifupdown fails over a name that is not there, and its service with it; networkd passes over it.',
    fix: 'Remove it.',
    predicts: 'Failed to start networking.service - Raise network interfaces; Cannot find device',
    refutes: null,
    look: ({ names }) =>
      names.others.map(({ name, path, line }) => ({ path, line, what: `It configures ${name}, and the guest has only eth0.` })),
  },
  {
    id: 'net.resolv-dangling',
    severity: 'warning',
    finds: '/etc/resolv.conf is a link to a file that nobody makes',
    why: 'Names cannot be resolved in the guest, while addresses work.',
    fix: 'Replace it by a file with a nameserver line, or enable the service that makes its target.',
    predicts: 'Temporary failure in name resolution',
    refutes: null,
    look: ({ network }) =>
      network.resolvTarget === null
        ? []
        : [{ path: '/etc/resolv.conf', what: `It leads to ${network.resolvTarget}, which nothing that starts makes.` }],
  },
  {
    id: 'net.online-never',
    severity: 'warning',
    finds: 'units wait for network-online.target, and what it waits for cannot finish',
    why: 'Units that come after it start only when the wait gives up, or not at all. systemd prints nothing about a queued unit.',
    fix: 'Order the unit after network.target, disable the wait-online service, or let the interface be configured without DHCP.',
    predicts: 'Starting systemd-networkd-wait-online.service - Wait for Network to be Configured, then two minutes of silence',
    refutes: 'init.finished',
    look: ({ online: { stuck, waiting }, listening }, context) =>
      stuck === null
        ? []
        : waiting.map(({ unit, path }) => {
            const promised = listening.listeners.find((one) => one.name === unit && context.ports.includes(one.port));
            return {
              path,
              what: `${unit} starts after network-online.target, and ${stuck.unit} holds that up for ${stuck.seconds} s: ${stuck.why}.`,
              ...(promised === undefined ? {} : { severity: 'error' as const, predicts: `Port ${promised.port} is refused until then` }),
            };
          }),
  },
];
