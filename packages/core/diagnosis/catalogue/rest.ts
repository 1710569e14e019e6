import type { CatalogueEntry } from './entry.ts';

/** Images, services, the controller, security. */
export const restCatalogue: Record<string, CatalogueEntry> = {
  'image.artifact-moved-by-host-upgrade': {
    title: 'A file that VMs boot from belonged to the host, and its upgrade took it away',
    fix: 'Keep kernel, initrd and modules together in the store of the controller; never name a path below /boot.',
    command: ['linstock', 'kernel', 'import', 'FILE'],
    disproof: 'The file is still at its path.',
  },
  'image.stale-or-wrong-image': {
    title: 'The VM boots another image than the one that was meant',
    fix: 'Build the image again, and compare its digest with the one that boots.',
    disproof: 'The digest in the record of the boot is that of the newest build.',
  },
  'image.root-device-read-only': {
    title: 'The root disk is read-only, although it was asked for writing',
    fix: 'Attach the drive for writing (is_read_only false), or prepare the image for a read-only root.',
    disproof: '`touch /x` in the guest works.',
  },
  'image.root-remounted-read-only': {
    title: 'The guest made its root read-only after an error',
    fix: 'Check the image (fsck) and the disk of the host; never attach one image twice.',
    command: ['e2fsck', '-fn', 'IMAGE'],
    disproof: 'The root is mounted rw.',
  },
  'image.filesystem-corrupt': {
    title: 'The file system of the root disk is damaged',
    fix: 'Build the image again; never let two VMs, or a loop device and a VM, write to it.',
    command: ['e2fsck', '-fn', 'IMAGE'],
    disproof: 'e2fsck finds nothing.',
  },
  'image.not-a-filesystem': {
    title: 'The root disk holds no file system that could be mounted',
    fix: 'Give a raw image with a file system on it: not qcow2, not compressed, not empty, not a partition table where none is expected.',
    command: ['linstock', 'rootfs', 'lint', 'IMAGE'],
    disproof: '`blkid IMAGE` names a file system.',
  },
  'image.wrong-disk-format': {
    title: 'The disk image has a format the VMM does not read',
    fix: 'Convert it to a raw image (qemu-img convert -O raw).',
    disproof: '`file IMAGE` names a file system or a partition table.',
  },
  'image.filesystem-features-unsupported': {
    title: 'The file system uses features that this kernel does not know',
    fix: 'Make the image without the features that the line names (mkfs.ext4 -O ^…), or boot a newer kernel.',
    disproof: 'The features are known to this kernel.',
  },
  'image.root-filesystem-full': {
    title: 'The root file system of the guest is full',
    fix: 'Enlarge the image (truncate, resize2fs), or keep data elsewhere.',
    disproof: '`df` in the guest shows free blocks and inodes.',
  },
  'image.kernel-modules-missing': {
    title: 'The image has no modules for the kernel it runs on',
    fix: 'Install the module tree of exactly this release.',
    command: ['linstock', 'rootfs', 'lint', 'IMAGE'],
    disproof: '/lib/modules/RELEASE of the running kernel exists.',
  },
  'image.identity-baked-in': {
    title: 'Clones of the image share one identity',
    fix: 'Empty machine-id, host keys and the random seed in the image.',
    command: ['linstock', 'rootfs', 'lint', 'IMAGE'],
    disproof: 'Two clones have different machine-ids.',
  },
  'image.unit-missing': {
    title: 'A unit that the image should start is not in it',
    fix: 'Install the package or file that brings the unit.',
    disproof: '`systemctl cat UNIT` shows it.',
  },
  'service.port-N-not-listening': {
    title: 'Nothing in the guest listens on port N',
    fix: 'Start the service, and look at why it did not: its unit and its log.',
    disproof: '`ss -ltn` in the guest shows the port.',
  },
  'service.port-N-bound-to-loopback': {
    title: 'The service on port N listens to the guest itself only',
    fix: 'Bind it to 0.0.0.0 (or to the address of the guest).',
    disproof: '`ss -ltn` in the guest shows 0.0.0.0 or the address.',
  },
  'service.port-conflict': {
    title: 'The service cannot have its port: somebody else has it',
    fix: 'Find the other owner with `ss -ltnp`.',
    disproof: 'The port is free.',
  },
  'service.vnc-backend-down': {
    title: 'The WebSocket proxy answers, and the VNC server behind it does not',
    fix: 'Mend the VNC server: its unit, /dev/shm, /dev/pts, its display and its password file.',
    disproof: 'An RFB banner on the port of the VNC server.',
  },
  'service.websocket-not-offered': {
    title: 'The port speaks HTTP and refuses WebSockets',
    fix: 'Put websockify (or a server that upgrades) on this port.',
    disproof: 'An upgrade is answered with 101.',
  },
  'service.desktop-session-missing': {
    title: 'VNC works, and no desktop runs on its display',
    fix: 'Start the window manager on the display of the VNC server (xstartup, DISPLAY, XAUTHORITY).',
    disproof: '`xwininfo -root -tree` lists windows.',
  },
  'service.exits-immediately-observed-by-poller': {
    title: 'The service ends at once, again and again; the period is that of whoever looks',
    fix: 'Keep its exit status and its last words: print them on the console.',
    disproof: 'Lifetimes that differ from the period of the supervisor.',
  },
  'service.supervisor-ends-all': {
    title: 'One service ended, and the script that started them took the others along',
    fix: 'Give each service its own unit, or wait for all of them; then see why the first one ended.',
    disproof: 'The others go on when one ends.',
  },
  'service.start-script-fails': {
    title: 'The script that starts the service fails',
    fix: 'Mend the line that the message names; "Started" only says that it was forked.',
    disproof: 'The script runs to its end by hand.',
  },
  'service.crashed': {
    title: 'The service crashed',
    fix: 'Read its log and its exit status.',
    disproof: 'Its unit is active.',
  },
  'service.unit-failed': {
    title: 'A unit that the VM needs failed',
    fix: 'Read its log: journalctl -u UNIT.',
    disproof: 'Its unit is active.',
  },
  'service.killed-by-oom': {
    title: 'The guest killed the service because its memory ran out',
    fix: 'Give the VM more memory, or limit the service.',
    disproof: 'No OOM line for its process.',
  },
  'service.program-missing': {
    title: 'The program that the unit starts is not there or cannot be run',
    fix: 'Install it, or correct ExecStart.',
    disproof: 'The program runs by hand.',
  },
  'service.wrong-runtime-version': {
    title: 'The service runs on another version of its language than it needs',
    fix: 'Install the version it needs, and only one.',
    disproof: 'The program runs by hand with that version.',
  },
  'service.dependency-missing': {
    title: 'The service misses a library or module',
    fix: 'Install what the line names.',
    disproof: 'The program runs by hand.',
  },
  'service.http-error': {
    title: 'The service answers with an error of its own',
    fix: 'Read its log.',
    disproof: 'The same request is answered with 2xx.',
  },
  'service.tls-failed': {
    title: 'The service and its client do not agree on TLS',
    fix: 'Look at certificate, name, time of the guest and protocol.',
    disproof: 'The handshake succeeds by hand.',
  },
  'service.authentication-failed': {
    title: 'The guest answers, and does not let the client in',
    fix: 'Give the image the key or password that the client uses.',
    disproof: 'The same client logs in.',
  },
  'service.sshd-not-ready': {
    title: 'The SSH server of the guest accepts and closes at once',
    fix: 'Look at its host keys, /run/sshd, entropy and MaxStartups.',
    disproof: 'The banner SSH-2.0 arrives.',
  },
  'service.sandbox-not-permitted': {
    title: 'The browser may not make its sandbox in this guest',
    fix: 'Allow user namespaces to its user, or start it with --no-sandbox in a VM that is the sandbox.',
    disproof: 'The browser starts with its sandbox.',
  },
  'control.unresolved-value-in-boot-args': {
    title: 'The controller wrote a placeholder instead of a value into the boot arguments',
    fix: 'Build boot arguments from typed values, and refuse what is missing.',
    disproof: 'No undefined, null, NaN or template mark on the effective line.',
  },
  'control.boot-args-not-applied': {
    title: 'An argument that was asked for never reached the guest',
    fix: 'Compare the requested line with the one the kernel printed; restart the controller that builds it, and boot the VM cold.',
    disproof: 'The argument stands on the effective line.',
  },
  'control.vm-destroyed-by-controller-deadline': {
    title: 'The controller destroyed the VM when its own time was up',
    fix: 'Keep failed VMs for a look, say who kills and why, and wait for what the guest really needs.',
    disproof: 'The VMM ended before the controller acted.',
  },
  'control.vm-destroyed-by-cleanup': {
    title: 'The clean-up of the controller destroyed a VM that was in use',
    fix: 'Look at what it believes to be gone: a queue, a session, a record; protect VMs that are looked at.',
    disproof: 'The VMM ended before the clean-up acted.',
  },
  'control.stale-process-serves-requests': {
    title: 'An old process of the controller answers, the new code never ran',
    fix: 'End the old process; let one manager own the service; compare commit and start time after each deploy.',
    disproof: 'The start time of the process is after the deploy.',
  },
  'control.clone-too-slow': {
    title: 'Making the disk of the VM took longer than the controller waits',
    fix: 'Clone by reflink, qcow2 or an overlay, and never in the thread that serves.',
    disproof: 'The clone is done in a second.',
  },
  'control.config-key-ignored': {
    title: 'A setting has a name that the controller does not read',
    fix: 'Use the name the code reads; let it refuse names it does not know.',
    disproof: 'The code reads this name.',
  },
  'control.status-without-proof': {
    title: 'The controller says the VM runs, and there is no process',
    fix: 'Set states after a look, not after a call.',
    disproof: 'The process of the VMM is there.',
  },
  'control.orphans-after-restart': {
    title: 'The controller forgot its VMs when it restarted',
    fix: 'Find VMs by what is on the host, not by what is in memory.',
    disproof: 'Each VMM has a record.',
  },
  'control.database-rejects-state': {
    title: 'The database refused what the controller wanted to write',
    fix: 'Migrate the database with the code.',
    disproof: 'The same write works.',
  },
  'control.session-points-elsewhere': {
    title: 'A session or proxy still points at another VM',
    fix: 'Look sessions up by VM and boot, and let them end with it.',
    disproof: 'The address in the session is that of the VM.',
  },
  'control.rate-limited': {
    title: 'The controller or a service limits the number of requests',
    fix: 'Poll less, wait for events.',
    disproof: 'The same request later is answered the same way.',
  },
  'control.code-error': {
    title: 'The controller itself fails on this path',
    fix: 'Mend the error that it logs.',
    disproof: 'The same call works.',
  },
  'control.deploy-in-place': {
    title: 'The files of the running controller were exchanged under it',
    fix: 'Deploy into a new folder and switch a link.',
    disproof: 'The files are those of the start.',
  },
  'control.wrong-vm-log': {
    title: 'The log belongs to another VM than the one that is looked at',
    fix: 'Find logs by the id of the VM and of the boot.',
    disproof: 'Memory, address and arguments on the console are those requested.',
  },
  'control.external-dependency-blocks': {
    title: 'Creating VMs waits for a service elsewhere',
    fix: 'Make the check optional, bounded and asynchronous.',
    disproof: 'The other service answers at once.',
  },
  'security.unauthenticated-control-plane': {
    title: 'Anybody who reaches this machine can give it orders',
    fix: 'Bind to loopback or a Unix socket, require tokens, close the ports.',
    disproof: 'A request without a token is refused from outside.',
  },
  'unknown.evidence-missing': {
    title: 'What was kept does not tell the cause',
    fix: 'Keep the console, the words of the VMM and the state of the network with each boot; look at what is listed as missing.',
    disproof: 'Any of the missing looks.',
  },
};
