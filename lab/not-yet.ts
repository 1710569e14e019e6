/** What the diagnosis does not get right yet: a debt by name. A row that has become right must go, and a test says so. */
import type { Verdict } from './judge.ts';

export const notYet: Readonly<Record<string, Exclude<Verdict['is'], 'right'>>> = {
  'tap-not-on-bridge': 'wrong', // claims guest.net.firewall-drop; said: guest.net.firewall-drop (likely)
  'tap-down': 'wrong', // claims guest.net.firewall-drop; said: guest.net.firewall-drop (likely)
  'route-to-elsewhere': 'unknown', // said: unknown.evidence-missing (possible)
  'policy-route-to-elsewhere': 'unknown', // said: unknown.evidence-missing (possible)
  'reverse-path-filter': 'unknown', // said: unknown.evidence-missing (possible)
  'host-firewall-drops-to-guest': 'unknown', // said: unknown.evidence-missing (possible)
  'forward-drop': 'wrong', // says that nothing is wrong
  'mtu-too-small': 'wrong', // says that nothing is wrong
  'address-removed': 'wrong', // claims guest.net.firewall-drop; said: guest.net.firewall-drop (likely)
  'address-changed': 'wrong', // claims guest.net.firewall-drop, guest.net.default-route-missing; said: guest.net.firewall-drop (likely), guest
  'default-route-to-nobody': 'wrong', // says that nothing is wrong
  'guest-link-down': 'wrong', // claims guest.net.firewall-drop; said: guest.net.firewall-drop (likely)
  'gateway-not-on-link': 'wrong', // claims guest.net.default-route-missing, guest.net.gateway-wrong; said: guest.net.default-route-missing (likely
  'ip-dhcp-without-server': 'unknown', // said: unknown.evidence-missing (possible)
  'ip-of-missing-device': 'unknown', // said: unknown.evidence-missing (possible)
  'ip-of-another-address': 'unknown', // said: unknown.evidence-missing (possible)
  'ip-not-given': 'unknown', // said: unknown.evidence-missing (possible)
  'service-hangs': 'unknown', // said: unknown.evidence-missing (possible)
  'service-speaks-another-protocol': 'unknown', // said: unknown.evidence-missing (possible)
  'vnc-down-behind-its-proxy': 'wrong', // says that nothing is wrong
  'root-made-read-only': 'wrong', // says that nothing is wrong
  'two-faults': 'unknown', // said: service.port-6080-bound-to-loopback (likely)
  'rootwait-for-missing-disk': 'wrong', // claims service.port-6080-not-listening; said: service.port-6080-not-listening (likely)
  'root-not-given': 'wrong', // claims boot.root-name-does-not-exist; said: boot.root-name-does-not-exist (likely)
  'root-of-another-type': 'wrong', // claims boot.root-name-does-not-exist; said: boot.root-name-does-not-exist (likely)
  'init-missing': 'wrong', // claims boot.root-name-does-not-exist; said: boot.root-name-does-not-exist (likely)
  'guest-resets-itself': 'unknown', // said: unknown.evidence-missing (possible)
  'init-stands-still': 'unknown', // said: service.port-6080-not-listening (likely)
  'disk-not-formatted': 'wrong', // claims boot.root-name-does-not-exist; said: boot.root-name-does-not-exist (likely)
  'qcow2-given-as-raw': 'wrong', // claims boot.root-name-does-not-exist; said: boot.root-name-does-not-exist (likely), image.wrong-disk-format (l
  'init-not-in-image': 'wrong', // claims boot.root-name-does-not-exist; said: boot.root-name-does-not-exist (likely)
  'kernel-of-another-architecture': 'wrong', // claims vmm.request-refused; said: vmm.request-refused (likely)
  'initrd-cut-short': 'wrong', // claims boot.root-driver-is-module-without-initrd; said: boot.initrd-corrupt (likely), boot.root-driver-is-modu
  'console-not-given': 'wrong', // says that nothing is wrong
  'vmm-killed': 'unknown', // said: unknown.evidence-missing (possible)
  'vmm-paused': 'unknown', // said: guest.net.firewall-drop (possible), unknown.evidence-missing (possible)
  'vmm-stopped': 'unknown', // said: guest.net.firewall-drop (possible), unknown.evidence-missing (possible)
  'stopped-on-request': 'unknown', // said: unknown.evidence-missing (possible)
  'own-kernel-ip-dhcp': 'wrong', // claims host.net.tap-not-on-bridge; said: guest.net.kernel-waits-for-dhcp (likely), host.net.tap-not-on-bridge
  'kernel-without-virtio-net': 'unknown', // said: unknown.evidence-missing (possible)
  'kernel-without-ip-pnp': 'unknown', // said: unknown.evidence-missing (possible)
  'kernel-without-serial-console': 'unknown', // said: unknown.evidence-missing (possible)
  'kernel-without-devtmpfs': 'wrong', // claims boot.init-died; said: boot.init-died (likely)
};
