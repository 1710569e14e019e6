import type { CatalogueEntry } from './entry.ts';

/** What only a whole look at a VM shows. */
export const wholeCatalogue: Readonly<Record<string, CatalogueEntry>> = {
  'vmm.paused': {
    title: 'The VM is paused',
    fix: 'Resume it.',
    command: ['linstock', 'vm', 'resume', 'VM'],
    disproof: 'Its VMM says that it is running.',
  },
  'vmm.process-stopped': {
    title: 'The process of the VMM is stopped by a signal',
    fix: 'Let it go on (SIGCONT), and find out who stopped it: a debugger, a freezer, somebody at a terminal.',
    command: ['kill', '-CONT', 'PID'],
    disproof: '/proc/PID/status shows another state than T.',
  },
  'control.vm-stopped-on-request': {
    title: 'Somebody asked for the VM to be stopped',
    fix: 'Start it; the events say who stopped it and when.',
    command: ['linstock', 'vm', 'start', 'VM'],
    disproof: 'The boot ended for another reason.',
  },
  'control.other-address-in-boot-args': {
    title: 'The boot arguments give the guest another address than the one that was leased to it',
    fix: 'Let the controller fill in the lease: ip={ip}.',
    disproof: 'ip= on the effective command line holds the leased address.',
  },
  'guest.net.address-removed': {
    title: 'The address was set at boot, and something in the guest removed it',
    fix: 'Find what changes addresses in the image: a network manager, a DHCP client, a script.',
    command: ['linstock', 'rootfs', 'lint', 'IMAGE'],
    disproof: '`ip addr` in the guest shows the address.',
  },
  'boot.root-not-given': {
    title: 'There is no root= on the command line',
    fix: 'Pass root=/dev/vda, or the disk that holds the root file system.',
    disproof: 'root= stands on the effective command line.',
  },
  'boot.root-filesystem-type-wrong': {
    title: 'rootfstype= names another file system than the root disk has',
    fix: 'Name the one that it has, or leave rootfstype= out.',
    disproof: '`blkid IMAGE` names the same type.',
  },
  'boot.guest-rebooted-itself': {
    title: 'The guest reset itself, which ends a VM that may not reboot',
    fix: 'Find what asks for a reboot in the guest: a watchdog, an update, a script.',
    disproof: 'Its console does not end with a restart.',
  },
  'boot.init-never-finished': {
    title: 'PID 1 of the guest began its work and never came to its end',
    fix: 'Look at what it waits for: the last lines of the console, and the processes in the guest.',
    disproof: 'The console says that init is ready.',
  },
  'host.net.output-chain-drop': {
    title: 'The firewall of the host drops what the host sends to the guest',
    fix: 'Remove the rule, or accept the address of the guest before it.',
    disproof: 'Its counter does not grow while the guest is asked.',
  },
  'service.port-N-silent': {
    title: 'Something accepts connections on port N and answers nothing',
    fix: 'Look at the service in the guest: is it stopped, stuck, or waiting for something else?',
    disproof: 'A request on port N is answered.',
  },
  'service.port-N-speaks-another-protocol': {
    title: 'What listens on port N does not speak HTTP',
    fix: 'Promise the port on the level that it keeps, or serve HTTP on it.',
    disproof: 'A request on port N is answered in HTTP.',
  },
};
