import { subnet } from '../world.ts';
import type { Scenario } from '../scenario.ts';

const failed = (code: string, alsoTrue?: readonly string[]): Scenario['truth'] => ({
  outcome: 'failed',
  code,
  ...(alsoTrue ? { alsoTrue } : {}),
});
const degraded = (code: string): Scenario['truth'] => ({ outcome: 'degraded', code });

/** The guest is well, and the host does not let anybody reach it, or it reach anybody. */
export const hostNetwork: readonly Scenario[] = [
  {
    name: 'tap-not-on-bridge',
    breaks: 'the TAP is taken off its bridge',
    truth: failed('host.net.tap-not-on-bridge'),
    fast: true,
    break: async (b) => {
      await b.slot('ip', 'link', 'set', 'tap0', 'nomaster');
      b.undo(() => b.slot('ip', 'link', 'set', 'tap0', 'master', 'br0'));
    },
  },
  {
    name: 'tap-down',
    breaks: 'the TAP is down',
    truth: failed('host.net.tap-down'),
    break: async (b) => {
      await b.slot('ip', 'link', 'set', 'tap0', 'down');
      b.undo(() => b.slot('ip', 'link', 'set', 'tap0', 'up'));
    },
  },
  {
    name: 'bridge-down',
    breaks: 'the bridge of the network is down',
    truth: failed('host.net.bridge-down'),
    break: async (b) => {
      await b.host('ip', 'link', 'set', b.bridge, 'down');
      b.undo(() => b.host('ip', 'link', 'set', b.bridge, 'up'));
    },
  },
  {
    name: 'duplicate-address',
    breaks: 'another machine on the bridge has the address of the VM',
    truth: { outcome: 'degraded', code: 'host.net.address-already-in-use' },
    break: async (b) => void (await b.neighbour('02:fc:00:00:00:99', b.wiring.address)),
  },
  {
    name: 'duplicate-mac',
    breaks: 'another machine on the bridge has the MAC of the VM, and talks all the time',
    truth: failed('host.net.duplicate-mac'),
    break: async (b) => {
      const other = await b.neighbour(b.wiring.mac, '10.78.0.200');
      other.run('ping', '-i', '0.02', b.wiring.gateway);
    },
  },
  {
    name: 'address-outside-bridge-subnet',
    breaks: 'the bridge has an address of another subnet than its VMs',
    truth: failed('host.net.vm-address-outside-bridge-subnet'),
    break: async (b) => {
      const [own, other] = [`${b.wiring.gateway}/24`, '10.79.0.1/24'];
      await b.host('ip', 'address', 'add', other, 'dev', b.bridge);
      await b.host('ip', 'address', 'del', own, 'dev', b.bridge);
      b.undo(() => b.host('ip', 'address', 'del', other, 'dev', b.bridge));
      b.undo(() => b.host('ip', 'address', 'add', own, 'dev', b.bridge));
    },
  },
  {
    name: 'same-subnet-on-two-bridges',
    breaks: 'a second bridge has the same subnet, and the route to it wins',
    truth: failed('host.net.same-subnet-on-two-interfaces'),
    break: async (b) => {
      const own = `${b.wiring.gateway}/24`;
      await b.host('ip', 'link', 'add', 'br9', 'type', 'bridge');
      b.undo(() => b.host('ip', 'link', 'del', 'br9'));
      // the route that is there first wins
      await b.host('ip', 'address', 'del', own, 'dev', b.bridge);
      await b.host('ip', 'address', 'add', own, 'dev', 'br9');
      await b.host('ip', 'link', 'set', 'br9', 'up');
      await b.host('ip', 'address', 'add', own, 'dev', b.bridge);
    },
  },
  {
    name: 'route-to-elsewhere',
    breaks: 'a more exact route of the host sends what is for the VM to another link',
    truth: failed('host.net.route-diverted'),
    break: async (b) => {
      await b.host('ip', 'route', 'add', `${b.wiring.address}/32`, 'dev', 'uplink');
      b.undo(() => b.host('ip', 'route', 'del', `${b.wiring.address}/32`, 'dev', 'uplink'));
    },
  },
  {
    name: 'policy-route-to-elsewhere',
    breaks: 'a policy rule of the host looks for the way to the VM in a table that has none',
    truth: failed('host.net.route-diverted'),
    break: async (b) => {
      await b.host('ip', 'route', 'add', 'unreachable', 'default', 'table', '200');
      await b.host('ip', 'rule', 'add', 'to', b.wiring.address, 'lookup', '200', 'priority', '50');
      b.undo(() => b.host('ip', 'route', 'flush', 'table', '200'));
      b.undo(() => b.host('ip', 'rule', 'del', 'priority', '50'));
    },
  },
  {
    name: 'reverse-path-filter',
    breaks: 'the host drops what the VM sends: its main table has the VM elsewhere, and only marked packets go by the bridge',
    truth: failed('host.net.reverse-path-filter-drop', ['host.net.route-diverted']),
    break: async (b) => {
      await b.sysctl(`net.ipv4.conf.${b.bridge}.rp_filter`, '1');
      await b.host('nft', 'add', 'table', 'ip', 'lab');
      b.undo(() => b.host('nft', 'delete', 'table', 'ip', 'lab'));
      await b.host('nft', 'add chain ip lab output { type route hook output priority mangle; policy accept; }');
      await b.host('nft', `add rule ip lab output ip daddr ${b.wiring.address} meta mark set 7`);
      await b.host('ip', 'route', 'add', subnet, 'dev', b.bridge, 'src', b.wiring.gateway, 'table', '100');
      await b.host('ip', 'rule', 'add', 'fwmark', '7', 'lookup', '100', 'priority', '50');
      await b.host('ip', 'route', 'add', `${b.wiring.address}/32`, 'dev', 'uplink', 'src', b.wiring.gateway);
      b.undo(() => b.host('ip', 'route', 'flush', 'table', '100'));
      b.undo(() => b.host('ip', 'rule', 'del', 'priority', '50'));
      b.undo(() => b.host('ip', 'route', 'del', `${b.wiring.address}/32`, 'dev', 'uplink'));
    },
  },
  {
    name: 'host-firewall-drops-to-guest',
    breaks: 'a rule of the host drops what it sends to the promised port',
    truth: failed('host.net.output-chain-drop'),
    break: async (b) => {
      await b.host('nft', 'add', 'table', 'ip', 'lab');
      b.undo(() => b.host('nft', 'delete', 'table', 'ip', 'lab'));
      await b.host('nft', 'add chain ip lab output { type filter hook output priority 0; policy accept; }');
      await b.host('nft', `add rule ip lab output ip daddr ${b.wiring.address} tcp dport 6080 counter drop`);
    },
  },
  {
    name: 'forward-drop',
    breaks: 'the forward chain of the host drops by its policy, as another product sets it',
    truth: degraded('host.net.forward-chain-drop'),
    reprove: true,
    break: async (b) => {
      await b.host('nft', 'add', 'table', 'ip', 'filter');
      b.undo(() => b.host('nft', 'delete', 'table', 'ip', 'filter'));
      await b.host('nft', 'add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }');
    },
  },
  {
    name: 'forwarding-off',
    breaks: 'the host forwards nothing: net.ipv4.ip_forward is 0',
    truth: degraded('host.net.ip-forward-disabled'),
    reprove: true,
    break: (b) => b.sysctl('net.ipv4.ip_forward', '0'),
  },
  {
    name: 'nat-missing',
    breaks: 'no rule of the host masquerades what the VM sends to the internet',
    truth: degraded('host.net.nat-missing'),
    reprove: true,
    break: async (b) => {
      const rules = await b.host('nft', 'list', 'table', 'ip', `ls${b.world.mark}-0`);
      const chain = /chain (\S+) \{\s*type nat hook postrouting/.exec(rules)?.[1];
      if (chain === undefined) throw new Error('the rules of the network have no postrouting chain');
      await b.host('nft', 'flush', 'chain', 'ip', `ls${b.world.mark}-0`, chain);
      b.undo(async () => {
        await b.host('nft', 'delete', 'table', 'ip', `ls${b.world.mark}-0`);
        await b.world.restoreNetwork();
      });
    },
  },
  {
    name: 'mtu-too-small',
    breaks: 'the TAP carries smaller packets than the guest sends',
    truth: degraded('host.net.mtu-mismatch'),
    break: async (b) => {
      await b.slot('ip', 'link', 'set', 'tap0', 'mtu', '600');
      b.undo(() => b.slot('ip', 'link', 'set', 'tap0', 'mtu', '1500'));
    },
  },
];
