/** What the diagnosis does not get right yet: a debt by name. A row that has become right must go, and a test says so. */
import type { Verdict } from './judge.ts';

export const notYet: Readonly<Record<string, Exclude<Verdict['is'], 'right'>>> = {
  'policy-route-to-elsewhere': 'unknown', // said: unknown.evidence-missing (possible)
  'reverse-path-filter': 'unknown', // said: unknown.evidence-missing (possible)
  'host-firewall-drops-to-guest': 'unknown', // said: unknown.evidence-missing (possible)
  'forward-drop': 'wrong', // says that nothing is wrong
  'mtu-too-small': 'wrong', // says that nothing is wrong
  'address-removed': 'unknown', // said: unknown.evidence-missing (possible)
  'default-route-to-nobody': 'wrong', // says that nothing is wrong
  'guest-link-down': 'unknown', // said: unknown.evidence-missing (possible)
  'gateway-not-on-link': 'wrong', // claims guest.net.default-route-missing, guest.net.gateway-wrong; said: guest.net.default-route-missing (likely
  'ip-dhcp-without-server': 'unknown', // said: unknown.evidence-missing (possible)
  'ip-of-missing-device': 'unknown', // said: unknown.evidence-missing (possible)
  'ip-of-another-address': 'unknown', // said: unknown.evidence-missing (possible)
  'ip-not-given': 'unknown', // said: unknown.evidence-missing (possible)
  'service-hangs': 'unknown', // said: unknown.evidence-missing (possible)
  'service-speaks-another-protocol': 'wrong', // says that nothing is wrong
  'vnc-down-behind-its-proxy': 'wrong', // says that nothing is wrong
  'root-made-read-only': 'wrong', // says that nothing is wrong
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
  'vmm-paused': 'wrong', // claims host.net.reverse-path-filter-drop; said: host.net.reverse-path-filter-drop (likely)
  'vmm-stopped': 'wrong', // claims host.net.reverse-path-filter-drop; said: host.net.reverse-path-filter-drop (likely)
  'stopped-on-request': 'wrong', // claims boot.guest-powered-off; said: boot.guest-powered-off (likely)
  'kernel-without-virtio-net': 'unknown', // said: unknown.evidence-missing (possible)
  'kernel-without-ip-pnp': 'unknown', // said: unknown.evidence-missing (possible)
  'kernel-without-serial-console': 'unknown', // said: unknown.evidence-missing (possible)
  'kernel-without-devtmpfs': 'wrong', // claims boot.init-died; said: boot.init-died (likely)
};
