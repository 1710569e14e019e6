import type { CatalogueEntry } from './entry.ts';

const lint = ['linstock', 'rootfs', 'lint', 'IMAGE'];

/** The network, from inside of the guest and from the host. */
export const netCatalogue: Record<string, CatalogueEntry> = {
  'guest.net.address-replaced-by-image-config': {
    title: "The image's own network configuration replaced the address the VM was given",
    fix: 'Let one authority set addresses: remove the file of the image, or write the leased address into it.',
    command: lint,
    disproof: 'The guest still has the leased address, and nobody answers at the other one with its MAC.',
  },
  'guest.net.address-dropped-by-networkd': {
    title: 'systemd-networkd took the interface over and dropped the address the VM was given',
    fix: 'Remove the .network file that matches, or set KeepConfiguration=yes (static keeps the address and loses the route) and DHCP=no.',
    command: lint,
    disproof: '`ip -4 addr` in the guest still shows the address five seconds after networkd started.',
  },
  'guest.net.kernel-lacks-ip-autoconfig': {
    title: 'The kernel does not know ip=, so nobody set the address',
    fix: 'Boot a kernel with CONFIG_IP_PNP=y, or let the initrd or the image set the address.',
    command: ['linstock', 'kernel', 'check', 'VMLINUX', '--needs', 'ip-autoconfig'],
    disproof: 'An "IP-Config:" line on the console.',
  },
  'guest.net.no-configured-link-blocks-services': {
    title: 'No link is configured, and services wait for the network behind it',
    fix: 'Configure the link, and do not order services after network-online.target that need not wait.',
    command: lint,
    disproof: 'network-online.target was reached, or `systemctl list-jobs` is empty.',
  },
  'guest.net.gateway-not-on-link': {
    title: 'The gateway is not in the subnet of the guest, so the kernel refused the default route',
    fix: 'Give address, mask and gateway of one subnet.',
    disproof: '`ip route` in the guest shows a default route.',
  },
  'guest.net.gateway-wrong': {
    title: 'The gateway of the guest is an address where nobody routes',
    fix: 'Give the address of the bridge as gateway.',
    disproof: 'The gateway answers ARP and forwards.',
  },
  'guest.net.netmask-wrong': {
    title: 'The mask of the guest does not match the subnet of the bridge',
    fix: 'Give the mask of the bridge.',
    disproof: 'The prefix in the guest is the one of the bridge.',
  },
  'guest.net.kernel-waits-for-dhcp': {
    title: 'The kernel asks for an address by DHCP, and nobody answers',
    fix: 'Give a whole static ip= (ADDRESS::GATEWAY:MASK::eth0:off), or run a DHCP server.',
    disproof: 'A DHCP offer in a capture on the TAP.',
  },
  'guest.net.dhcp-unanswered': {
    title: 'The guest asks for an address by DHCP, and nobody answers',
    fix: 'Run a DHCP server on the bridge, or set the address statically.',
    disproof: 'A DHCP offer in a capture on the TAP.',
  },
  'guest.net.address-from-dhcp-differs': {
    title: 'The guest took another address from DHCP than the one it is looked for at',
    fix: 'Reserve the address by MAC, or do not mix DHCP with fixed addresses.',
    disproof: 'The leased address answers with the MAC of this VM.',
  },
  'guest.net.firewall-drop': {
    title: 'A firewall in the guest drops the connection',
    fix: 'Open the promised port in the firewall of the image.',
    disproof: 'A SYN-ACK or RST from the guest in a capture on its TAP.',
  },
  'guest.net.firewall-reject': {
    title: 'A firewall in the guest rejects the connection',
    fix: 'Open the promised port in the firewall of the image.',
    disproof: 'A plain RST instead of an ICMP answer in a capture.',
  },
  'guest.net.driver-missing-in-kernel': {
    title: 'The kernel has no driver for the network device',
    fix: 'Boot a kernel with CONFIG_VIRTIO_NET=y.',
    command: ['linstock', 'kernel', 'check', 'VMLINUX'],
    disproof: 'eth0 exists in the guest.',
  },
  'guest.net.driver-module-missing': {
    title: 'The driver of the network device is a module that the image does not have for this kernel',
    fix: 'Install the module tree of exactly this kernel release in the image, or boot a kernel with the driver built in.',
    command: lint,
    disproof: '/lib/modules/RELEASE of the running kernel holds virtio_net.',
  },
  'guest.net.interface-name-mismatch': {
    title: 'The network configuration names another interface than the guest has',
    fix: 'Pass net.ifnames=0, or match the interface by MAC.',
    disproof: 'The named interface exists in the guest.',
  },
  'guest.net.default-route-missing': {
    title: 'The guest has its address and no default route',
    fix: 'Set the gateway with the address; with networkd, KeepConfiguration=yes keeps the route, static loses it.',
    disproof: '`ip route` in the guest shows a default route.',
  },
  'guest.net.dns-not-working': {
    title: 'The guest reaches addresses and resolves no names',
    fix: 'Give the image a resolver that is reachable; a link to 127.0.0.53 needs systemd-resolved running.',
    disproof: 'A query to the named resolver is answered.',
  },
  'guest.net.mtu-too-large': {
    title: 'Packets of the guest are larger than the path carries',
    fix: 'Set the MTU of the guest to that of the narrowest link, or clamp the MSS.',
    disproof: "A ping of full size with the don't-fragment bit is answered.",
  },
  'guest.net.ipv6-without-route': {
    title: 'The guest prefers IPv6 and has no way out over it',
    fix: 'Disable IPv6 in the guest, or route it.',
    disproof: 'The same request over IPv4 fails too.',
  },
  'guest.net.address-not-set': {
    title: 'Nobody gave the guest an address',
    fix: 'Pass ip= to a kernel with IP_PNP, or let one service of the image set the address.',
    disproof: '`ip addr` in the guest shows the address.',
  },
  'guest.net.link-down': {
    title: 'The network interface of the guest is down',
    fix: 'Let the service that configures the network set the interface up.',
    disproof: '`ip link` in the guest shows UP.',
  },
  'guest.net.duplicate-dhcp-identity': {
    title: 'Clones share one DHCP identity and so one address',
    fix: 'Empty /etc/machine-id in the image, or set ClientIdentifier=mac.',
    disproof: 'Two clones hold leases of different addresses.',
  },
  'host.net.tap-not-on-bridge': {
    title: 'The TAP of the VM is not a port of its bridge',
    fix: 'Put it on the bridge.',
    command: ['ip', 'link', 'set', 'TAP', 'master', 'BRIDGE'],
    disproof: '`bridge link` lists the TAP.',
  },
  'host.net.tap-down': {
    title: 'The TAP of the VM is down on the host',
    fix: 'Set it up.',
    command: ['ip', 'link', 'set', 'TAP', 'up'],
    disproof: '`ip link show TAP` has UP among its flags.',
  },
  'host.net.tap-missing': {
    title: 'The TAP that the VMM shall use does not exist where it looks',
    fix: 'Create it before the VMM starts, in the network namespace of the VMM.',
    disproof: '`ip link show TAP` in that namespace.',
  },
  'host.net.tap-in-other-namespace': {
    title: 'The TAP is in another network namespace than the VMM',
    fix: 'Start the VMM in the namespace of the TAP (jailer: --netns), or make the TAP in its own.',
    disproof: '`ip netns exec NETNS ip link show TAP` finds it where the VMM runs.',
  },
  'host.net.tap-busy': {
    title: 'Another process holds the TAP',
    fix: 'End the process that holds it, or give each VM its own TAP.',
    disproof: 'No /proc/PID/fdinfo names the TAP.',
  },
  'host.net.tap-permission-denied': {
    title: 'The VMM may not open the TAP',
    fix: 'Create the TAP for the user of the VMM (ip tuntap add … user UID), or give it CAP_NET_ADMIN.',
    disproof: 'The VMM runs as root with CAP_NET_ADMIN.',
  },
  'host.net.tun-device-missing': {
    title: 'The host has no usable /dev/net/tun',
    fix: 'Load the tun module; in a container pass the device in.',
    command: ['modprobe', 'tun'],
    disproof: '`ls -l /dev/net/tun` and opening it work.',
  },
  'host.net.tap-options-mismatch': {
    title: 'The TAP was made with other options than the VMM needs',
    fix: 'Make it again with vnet_hdr, single queue, as the VMM asks.',
    disproof: 'The same TAP opens by hand with the flags of the VMM.',
  },
  'host.net.vm-address-outside-bridge-subnet': {
    title: 'The address of the VM is not in the subnet of its bridge',
    fix: 'Derive pool, gateway, mask and bridge address from one network.',
    disproof: '`ip route get ADDRESS` names the bridge.',
  },
  'host.net.address-already-in-use': {
    title: 'Two machines answer for the address of the VM',
    fix: 'Find the other owner by its MAC and port, and end it or give it its own address.',
    disproof: 'arping gets answers of one MAC only.',
  },
  'host.net.duplicate-mac': {
    title: 'Two VMs have the same MAC, so the bridge sends to whoever spoke last',
    fix: 'Give each VM its own MAC.',
    disproof: 'The forwarding table keeps the MAC on one port.',
  },
  'host.net.same-subnet-on-two-interfaces': {
    title: 'Two interfaces of the host own the same subnet, and packets leave by the wrong one',
    fix: 'Remove the address from the interface that does not carry the VM.',
    command: ['ip', 'addr', 'del', 'ADDRESS', 'dev', 'OTHER'],
    disproof: '`ip route get ADDRESS` names the bridge of the VM.',
  },
  'host.net.forward-chain-drop': {
    title: 'The host drops what it should forward',
    fix: 'Accept the bridge in the FORWARD chain before its policy (with Docker: in DOCKER-USER).',
    disproof: 'Its counters do not grow while the guest tries.',
  },
  'host.net.input-chain-drop': {
    title: 'The firewall of the host drops what the guest sends to it',
    fix: 'Accept the bridge in the INPUT chain.',
    disproof: 'Its counters do not grow while the guest tries.',
  },
  'host.net.bridge-missing': {
    title: 'The bridge does not exist',
    fix: 'Create it with its address before VMs start.',
    disproof: '`ip link show BRIDGE`.',
  },
  'host.net.bridge-down': {
    title: 'The bridge is down',
    fix: 'Set it up.',
    command: ['ip', 'link', 'set', 'BRIDGE', 'up'],
    disproof: '`ip link show BRIDGE` has UP among its flags.',
  },
  'host.net.bridge-address-missing': {
    title: 'The bridge has no address, so the host and the gateway of the VMs are nowhere',
    fix: 'Give the bridge the gateway address.',
    command: ['ip', 'addr', 'add', 'GATEWAY/PREFIX', 'dev', 'BRIDGE'],
    disproof: '`ip addr show BRIDGE` shows the gateway address.',
  },
  'host.net.nat-missing': {
    title: 'No rule translates the addresses of the guests on their way out',
    fix: 'Masquerade the subnet of the bridge on the uplink.',
    disproof: 'A capture on the uplink shows the address of the host as source.',
  },
  'host.net.ip-forward-disabled': {
    title: 'The host does not forward packets',
    fix: 'Enable forwarding.',
    command: ['sysctl', '-w', 'net.ipv4.ip_forward=1'],
    disproof: 'net.ipv4.ip_forward is 1.',
  },
  'host.net.reverse-path-filter-drop': {
    title: "The host drops the guest's answers because they come in by another interface than it would answer by",
    fix: 'Mend the route, or set rp_filter to 2 or 0 for the bridge (the larger of all and the interface counts).',
    disproof: 'IPReversePathFilter of /proc/net/netstat does not grow.',
  },
  'host.net.route-diverted': {
    title: "The host's route to the VM does not leave by its bridge",
    fix: 'Remove the route or rule that catches the address before the bridge does.',
    disproof: '`ip route get ADDRESS` names the bridge.',
  },
  'host.net.port-isolated': {
    title: 'The ports of the two VMs are isolated from each other',
    fix: 'Take isolation off one of them if they shall talk.',
    disproof: '`bridge -d link` shows isolated off.',
  },
  'host.net.neighbour-stale': {
    title: 'Somebody remembers a MAC that is no longer right for the address',
    fix: 'Flush the neighbour entry, and keep the MAC of the bridge fixed.',
    command: ['ip', 'neigh', 'flush', 'to', 'ADDRESS'],
    disproof: 'The entry names the MAC of the VM.',
  },
  'host.net.bridge-filters-frames': {
    title: 'The bridge drops the frames of the guest',
    fix: 'Look at its rules (nft bridge, ebtables, VLAN filtering, port state).',
    disproof: 'A capture on the bridge shows the frames.',
  },
  'host.net.mtu-mismatch': {
    title: 'Bridge, TAP and uplink have different MTUs',
    fix: 'Give all of them, and the guest, the smallest.',
    disproof: "A ping of full size with the don't-fragment bit is answered.",
  },
  'host.net.port-in-use': {
    title: 'A port of the host that should lead to the guest belongs to another process',
    fix: 'Take another port, or end the process that has it (`ss -ltnp`).',
    disproof: 'Nobody listens on that port of the host.',
  },
  'host.net.neighbour-table-full': {
    title: 'The ARP table of the host is full, so connections to VMs fail at random',
    fix: 'Raise net.ipv4.neigh.default.gc_thresh1, 2 and 3 over the number of VMs.',
    disproof: 'Fewer entries in `ip neigh` than gc_thresh3.',
  },
  'host.net.too-many-ports': {
    title: 'The bridge takes no more ports',
    fix: 'A bridge of Linux has 1,023 ports: use a second one.',
    disproof: 'Fewer ports than 1,023.',
  },
};
