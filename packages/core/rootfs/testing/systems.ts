/** Small sound systems that tests make sick: one with systemd, one with busybox. No rule has anything to say about them. */
import { lintContextOf } from '../context.ts';
import type { KernelGiven, LintContext } from '../context.ts';
import { factsOf } from '../facts/facts.ts';
import type { FileSystemFacts, ImageFacts } from '../facts/facts.ts';
import { findingsOf } from '../lint.ts';
import type { RootfsFinding } from '@linstock/contract';
import type { ImageView } from '../view.ts';
import { elf, folder, imageOf, link, script } from './memory-image.ts';
import type { Pieces } from './memory-image.ts';

const LOADER = '/lib64/ld-linux-x86-64.so.2';
const folders: Pieces = { '/dev': folder, '/proc': folder, '/sys': folder, '/run': folder, '/tmp': folder };
const unit = (rest = ''): string => `[Unit]\nDescription=one\n${rest}`;
const service = (start: string, rest = ''): string => `${unit(rest)}\n[Service]\nExecStart=${start}\n`;

/** As Debian is built, in small. */
export const debian: Pieces = {
  ...folders,
  '/lib': link('usr/lib'),
  '/lib64': link('usr/lib64'),
  '/sbin': link('usr/sbin'),
  '/bin': link('usr/bin'),
  '/usr/lib64/ld-linux-x86-64.so.2': elf(),
  '/usr/lib/systemd/systemd': elf(LOADER),
  '/usr/sbin/init': link('../lib/systemd/systemd'),
  '/usr/sbin/agetty': elf(LOADER),
  '/usr/bin/sh': elf(LOADER),
  '/usr/lib/systemd/systemd-udevd': elf(LOADER),
  '/usr/lib/systemd/systemd-networkd': elf(LOADER),
  '/usr/lib/systemd/systemd-networkd-wait-online': elf(LOADER),
  '/usr/lib/systemd/systemd-network-generator': elf(LOADER),
  '/usr/lib/systemd/libsystemd-shared-252.so': elf(),
  '/usr/lib/systemd/system-generators/systemd-getty-generator': elf(LOADER),
  '/usr/lib/systemd/system/default.target': link('multi-user.target'),
  '/usr/lib/systemd/system/multi-user.target': unit('Requires=basic.target\n'),
  '/usr/lib/systemd/system/basic.target': unit('Requires=sysinit.target\nWants=sockets.target\n'),
  '/usr/lib/systemd/system/sysinit.target': unit(),
  '/usr/lib/systemd/system/sockets.target': unit(),
  '/usr/lib/systemd/system/network-online.target': unit(),
  '/usr/lib/systemd/system/getty.target': unit(),
  '/usr/lib/systemd/system/multi-user.target.wants/getty.target': link('../getty.target'),
  '/usr/lib/systemd/system/serial-getty@.service': service('-/sbin/agetty -o "-p -- \\\\u" --keep-baud 115200 %I $TERM'),
  '/usr/lib/systemd/system/systemd-udevd.service': service('/usr/lib/systemd/systemd-udevd'),
  '/usr/lib/systemd/system/sysinit.target.wants/systemd-udevd.service': link('../systemd-udevd.service'),
  '/usr/lib/systemd/system/systemd-networkd.service': `${service('!!/usr/lib/systemd/systemd-networkd')}\n[Install]\nWantedBy=multi-user.target\nAlso=systemd-network-generator.service\n`,
  '/usr/lib/systemd/system/systemd-network-generator.service': `${service('/usr/lib/systemd/systemd-network-generator')}\n[Install]\nWantedBy=sysinit.target\n`,
  '/usr/lib/systemd/system/systemd-networkd-wait-online.service': service(
    '/usr/lib/systemd/systemd-networkd-wait-online',
    'After=systemd-networkd.service\n',
  ),
  '/usr/lib/systemd/network/80-container-host0.network': '[Match]\nVirtualization=container\nName=host0\n\n[Network]\nDHCP=yes\n',
  '/usr/lib/systemd/network/99-default.link': '[Match]\nOriginalName=*\n\n[Link]\nNamePolicy=keep kernel database onboard slot path\n',
  '/usr/lib/systemd/system-preset/90-systemd.preset': 'enable systemd-networkd.service\ndisable systemd-networkd-wait-online.service\n',
  '/etc/os-release': 'PRETTY_NAME="A small system"\nID=small\n',
  '/etc/machine-id': '',
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n',
  '/etc/shadow': 'root:*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\n',
  '/etc/fstab': '# nothing\n',
};

/** As Alpine is built, in small. */
export const alpine: Pieces = {
  ...folders,
  '/lib/ld-musl-x86_64.so.1': elf(),
  '/bin/busybox': elf('/lib/ld-musl-x86_64.so.1'),
  '/bin/sh': link('/bin/busybox'),
  '/sbin/init': link('/bin/busybox'),
  '/sbin/openrc': elf('/lib/ld-musl-x86_64.so.1'),
  '/etc/inittab': '::sysinit:/sbin/openrc sysinit\n::wait:/sbin/openrc default\nttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100\n',
  '/etc/runlevels/default/httpd': link('/etc/init.d/httpd'),
  '/etc/init.d/httpd': script('#!/sbin/openrc-run\ncommand="/bin/busybox"\ncommand_args="httpd -f -p 0.0.0.0:8080"\n'),
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
  '/etc/shadow': 'root:!:20000:0:::::\n',
};

/** Enables units as systemctl does. */
export const enable = (...units: readonly string[]): Pieces =>
  Object.fromEntries(units.map((one) => [`/etc/systemd/system/multi-user.target.wants/${one}`, link(`/usr/lib/systemd/system/${one}`)]));

export { service as serviceUnit };

export type Given = {
  commandLine?: string;
  ip?: string;
  kernel?: KernelGiven;
  ports?: readonly number[];
  fileSystem?: Partial<FileSystemFacts>;
};

const LINE = 'console=ttyS0 root=/dev/vda rw net.ifnames=0 ip=192.168.100.3::192.168.100.1:255.255.255.0::eth0:off';

export const fileSystem: FileSystemFacts = {
  kind: 'ext4',
  uuid: '6c696e73-746f-636b-8000-000000000001',
  label: 'root',
  bytes: 1024 ** 3,
  freeBytes: 1024 ** 3 / 2,
  inodes: 65_536,
  freeInodes: 30_000,
  journalPending: false,
  errors: false,
};

export function contextOf(given: Given = {}): LintContext {
  return lintContextOf({
    commandLine: given.commandLine ?? LINE,
    ip: given.ip ?? null,
    kernel: given.kernel ?? null,
    ports: given.ports ?? [],
  });
}

export function factsIn(view: ImageView, given: Given = {}): ImageFacts {
  const facts = factsOf(view, contextOf(given), { ...fileSystem, ...given.fileSystem });
  const guessed = facts.accounts.filter(({ hash }) => hash === 'hash-of-toor').map(({ name }) => [name, 'toor'] as const);
  return { ...facts, guessed: new Map(guessed) };
}

export function lintOf(pieces: readonly Pieces[], given: Given = {}): readonly RootfsFinding[] {
  return findingsOf(factsIn(imageOf(...pieces), given), contextOf(given));
}
