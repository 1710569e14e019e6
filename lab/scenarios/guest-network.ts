import type { Scenario } from '../scenario.ts';

const failed = (code: string): Scenario['truth'] => ({ outcome: 'failed', code });
const degraded = (code: string, alsoTrue?: readonly string[]): Scenario['truth'] => ({
  outcome: 'degraded',
  code,
  ...(alsoTrue ? { alsoTrue } : {}),
});
const ip = (value: string): NonNullable<Scenario['vm']> => ({ bootArgs: { replace: [`ip=${value}`] } });

/** The host is well, and the guest has not the address or the way that it was given. */
export const guestNetwork: readonly Scenario[] = [
  {
    name: 'address-removed',
    breaks: 'a process in the guest removes the address after it was set',
    truth: failed('guest.net.address-removed'),
    break: (b) => b.guest('ip', '-4', 'address', 'flush', 'dev', 'eth0'),
  },
  {
    name: 'address-changed',
    breaks: 'a process in the guest sets another address in place of the leased one',
    truth: failed('guest.net.address-replaced-by-image-config'),
    break: async (b) => {
      await b.guest('ip', '-4', 'address', 'flush', 'dev', 'eth0');
      await b.guest('ip', 'address', 'add', '10.78.0.77/24', 'dev', 'eth0');
    },
  },
  {
    name: 'default-route-removed',
    breaks: 'a process in the guest removes the default route',
    truth: degraded('guest.net.default-route-missing'),
    reprove: true,
    break: (b) => b.guest('ip', 'route', 'del', 'default'),
  },
  {
    name: 'default-route-to-nobody',
    breaks: 'a process in the guest sets a gateway that is not there',
    truth: degraded('guest.net.gateway-wrong'),
    reprove: true,
    break: async (b) => {
      await b.guest('ip', 'route', 'del', 'default');
      await b.guest('ip', 'route', 'add', 'default', 'via', '10.78.0.254');
    },
  },
  {
    name: 'guest-link-down',
    breaks: 'a process in the guest takes eth0 down',
    truth: failed('guest.net.link-down'),
    break: (b) => b.guest('ip', 'link', 'set', 'eth0', 'down'),
  },
  {
    name: 'gateway-not-on-link',
    breaks: 'ip= names a gateway outside of the subnet',
    truth: degraded('guest.net.gateway-not-on-link'),
    vm: ip('{address}::10.200.0.1:{netmask}::eth0:off'),
  },
  {
    name: 'netmask-too-narrow',
    breaks: 'ip= has a mask in which the gateway is not',
    truth: failed('guest.net.netmask-wrong'),
    vm: ip('{address}::{gateway}:255.255.255.254::eth0:off'),
  },
  {
    name: 'ip-dhcp-without-server',
    breaks: 'ip=dhcp is asked for where no DHCP server is',
    truth: failed('guest.net.address-not-set'),
    vm: ip('dhcp'),
  },
  {
    name: 'ip-of-missing-device',
    breaks: 'ip= names a network device that the guest does not have',
    truth: failed('guest.net.interface-name-mismatch'),
    vm: ip('{address}::{gateway}:{netmask}::ens3:off'),
  },
  {
    name: 'ip-of-another-address',
    breaks: 'ip= holds another address than the leased one',
    truth: failed('control.other-address-in-boot-args'),
    vm: ip('10.78.0.88::{gateway}:{netmask}::eth0:off'),
  },
  {
    name: 'ip-not-given',
    breaks: 'there is no ip= and nothing else in the guest sets an address',
    truth: failed('guest.net.address-not-set'),
    vm: { bootArgs: { remove: ['ip'] } },
  },
];
