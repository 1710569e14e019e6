/** Drives, interfaces and all other devices of a configuration. Pure. Sources: vmm/src/resources.rs and vmm_config/*.rs. */
import { parseAddress, type Version, within } from '@linstock/core';
import { isGiven, isRecord, pointer } from '../checks.ts';
import { abilitySpans, has, whenSpans } from '../versions.ts';
import { deviceCount } from './boot.ts';
import { list, quoted, section, type Say, type Section } from './finding.ts';

/** sun_path holds 107 bytes and a NUL (linux/un.h); a guest's own connection goes to `<path>_<port>`, and a port has up to 10 digits. */
const mostSocketPath = 107;
const mostPortSuffix = 11;

export function lintDrives(config: Section, say: Say): void {
  const drives = list(config, 'drives');
  doubled(drives, 'drive_id', '/drives', say, [
    'Firecracker forgets the first: its place is taken by the second.',
    'Give each an id of its own.',
  ]);
  const files = new Map<string, { index: number; readOnly: boolean }>();
  for (const [i, drive] of drives.entries()) {
    const at = `/drives/${i}`;
    const { path_on_host: path, socket } = drive;
    const readOnly = drive['is_read_only'] === true;
    if (!readOnly && !isGiven(socket) && drive['cache_type'] !== 'Writeback')
      say(
        'warning',
        `${at}/cache_type`,
        'The drive is written to, and its cache is Unsafe, the default.',
        'A flush of the guest never reaches the disk: what it has fsync’ed is lost with the host.',
        'Set cache_type to "Writeback", unless nobody would miss what is on it.',
      );
    if (drive['is_read_only'] === undefined && !isGiven(socket))
      say('note', `${at}/is_read_only`, 'is_read_only is missing.', 'It is then false.', 'Say which.');
    if (drive['io_engine'] === 'Async')
      say(
        'note',
        `${at}/io_engine`,
        'Async is a developer preview.',
        'It needs a host kernel from 5.10.51 on, and no security fixes are promised.',
        'Use Sync in production.',
      );
    if (isGiven(drive['partuuid']) && drive['is_root_device'] !== true)
      say(
        'note',
        `${at}/partuuid`,
        'partuuid counts for the root device only.',
        'Firecracker makes root=PARTUUID=… of it there.',
        'Leave it out.',
      );
    if (typeof path !== 'string') continue;
    const other = files.get(path);
    if (other !== undefined && !(readOnly && other.readOnly))
      say(
        'error',
        `${at}/path_on_host`,
        `Drives ${other.index} and ${i} are the same file, and it is written to.`,
        'Two devices on one filesystem destroy it, and Firecracker locks nothing.',
        'Give each drive a file of its own.',
      );
    files.set(path, { index: i, readOnly });
  }
}

export function lintNetwork(config: Section, say: Say): void {
  const nets = list(config, 'network-interfaces');
  const at = '/network-interfaces';
  doubled(nets, 'iface_id', at, say, ['Firecracker forgets the first: its place is taken by the second.', 'Give each an id of its own.']);
  doubled(nets, 'host_dev_name', at, say, [
    'A TAP has one reader: the second cannot open it (Resource busy).',
    'Give each a TAP of its own.',
  ]);
  doubled(nets, 'guest_mac', at, say, ['Firecracker refuses the second.', 'Give each an address of its own.']);
  for (const [i, net] of nets.entries()) {
    const { host_dev_name: tap, guest_mac: mac } = net;
    // dev_valid_name, net/core/dev.c; and 15 bytes by utils of Firecracker, devices/virtio/net/tap.rs
    if (typeof tap === 'string' && (Buffer.byteLength(tap) > 15 || /^$|^\.{1,2}$|[\s/:]/.test(tap)))
      say(
        'error',
        `${at}/${i}/host_dev_name`,
        `${quoted(tap)} is no name of a TAP.`,
        'A name of an interface has 1 to 15 bytes without spaces, slashes and colons.',
        'Rename the TAP.',
      );
    if (mac === undefined || mac === null)
      say(
        'warning',
        `${at}/${i}/guest_mac`,
        'guest_mac is missing.',
        'The guest takes another address at each boot.',
        'Give one, such as 02:fc: and the four bytes of its IP address.',
      );
    else if (typeof mac === 'string' && ((Number.parseInt(mac.slice(0, 2), 16) & 1) === 1 || /^[0:]*$/.test(mac)))
      say(
        'error',
        `${at}/${i}/guest_mac`,
        `${mac} is no address of a single interface.`,
        'Firecracker takes it, and the guest’s kernel brings no such interface up (eth_validate_addr).',
        'Make its first byte even, such as 02.',
      );
  }
}

export function lintRest(config: Section, version: Version, say: Say): void {
  lintVsock(section(config, 'vsock'), say);
  lintMmds(config, say);
  doubled(list(config, 'pmem'), 'id', '/pmem', say, [
    'Firecracker forgets the first: its place is taken by the second.',
    'Give each an id of its own.',
  ]);
  const machine = section(config, 'machine-config');
  // what Firecracker does without the section (vmm_config/machine_config.rs)
  const memory = typeof machine['mem_size_mib'] === 'number' ? machine['mem_size_mib'] : 128;
  const target = section(config, 'balloon')['amount_mib'];
  if (typeof target === 'number' && target > memory)
    say(
      'error',
      '/balloon/amount_mib',
      `The balloon takes ${target} MiB of ${memory}.`,
      'Firecracker refuses more than there is.',
      'Lower amount_mib.',
    );
  if (machine['huge_pages'] === '2M') {
    const exclusive = (what: string, ability: 'hugePagesWithBalloon' | 'hugePagesWithInitrd'): void => {
      if (!has(version, ability))
        say(
          'error',
          '/machine-config/huge_pages',
          `Huge pages and ${what} exclude each other in Firecracker ${version.text}.`,
          `To have both, ${whenSpans(abilitySpans[ability])}.`,
          'Drop one of them.',
        );
    };
    if (isGiven(config['balloon'])) exclusive('a balloon', 'hugePagesWithBalloon');
    if (isGiven(section(config, 'boot-source')['initrd_path'])) exclusive('an initrd', 'hugePagesWithInitrd');
  }
  // interrupts 5 to 23, less one for VMGenID and from 1.15 on one for VMClock (arch/x86_64/layout.rs, devices/acpi/)
  const most = within(version, [{ from: '1.15.0' }]) ? 17 : 18;
  const count = deviceCount(config);
  if (count > most)
    say(
      'error',
      '',
      `There are ${count} devices.`,
      `Firecracker ${version.text} has interrupts for ${most}${has(version, 'pci') ? ', and with --enable-pci room for 31' : ''}.`,
      'Leave some out.',
    );
  lintBuckets(config, '', 0, say);
}

function lintVsock(vsock: Section, say: Say): void {
  const { uds_path: path } = vsock;
  if (typeof path !== 'string') return;
  const bytes = Buffer.byteLength(path);
  const at = '/vsock/uds_path';
  if (bytes > mostSocketPath)
    say(
      'error',
      at,
      `The path has ${bytes} bytes.`,
      `A socket’s path has at most ${mostSocketPath}, and Firecracker cannot bind it.`,
      'Shorten it.',
    );
  else if (bytes > mostSocketPath - mostPortSuffix)
    say(
      'warning',
      at,
      `The path has ${bytes} bytes.`,
      `A connection that the guest begins goes to this path and _<port>, which must stay within ${mostSocketPath}.`,
      `Shorten it to ${mostSocketPath - mostPortSuffix}, and every port fits.`,
    );
}

function lintMmds(config: Section, say: Say): void {
  if (!isRecord(config['mmds-config'])) return;
  const mmds = config['mmds-config'];
  const ids = new Set(list(config, 'network-interfaces').map((net) => net['iface_id']));
  const named = Array.isArray(mmds['network_interfaces']) ? (mmds['network_interfaces'] as unknown[]) : [];
  for (const [i, name] of named.slice(0, 64).entries()) {
    if (ids.has(name)) continue;
    say(
      'error',
      `/mmds-config/network_interfaces/${i}`,
      `There is no interface ${quoted(name)}.`,
      'Firecracker refuses the section: it names what is no iface_id.',
      ids.size === 0 ? 'Add a network interface.' : `Name one of ${[...ids].map(quoted).join(', ')}.`,
    );
  }
  const address = mmds['ipv4_address'];
  const value = typeof address === 'string' ? parseAddress(address) : 0xa9fe_0100;
  // 169.254.1.0 to 169.254.254.255 (utils/net/ipv4addr.rs)
  if (value === null || value < 0xa9fe_0100 || value > 0xa9fe_feff)
    say(
      'error',
      '/mmds-config/ipv4_address',
      `${quoted(address)} is no link-local address.`,
      'Firecracker takes 169.254.1.0 to 169.254.254.255.',
      'Leave it out: it is then 169.254.169.254.',
    );
  if (mmds['version'] !== 'V2')
    say('note', '/mmds-config/version', 'MMDS V1 is deprecated.', 'It has no session token.', 'Set version to "V2".');
}

/** A time in ms that does not fit in u64 nanoseconds (rate_limiter/mod.rs). */
const mostRefillMs = 18_446_744_073_709;

function lintBuckets(value: unknown, at: string, depth: number, say: Say): void {
  if (depth > 6 || (!isRecord(value) && !Array.isArray(value))) return;
  for (const [key, inner] of Object.entries(value).slice(0, 256)) {
    const place = pointer(at, key);
    if ((key === 'bandwidth' || key === 'ops') && isRecord(inner)) {
      const { size, refill_time: time } = inner;
      if (size === 0 || time === 0)
        say('warning', place, 'This limit is off.', 'A size or refill_time of 0 means no limit.', 'Give both, or leave it out.');
      else if (typeof time === 'number' && time > mostRefillMs)
        say(
          'warning',
          place,
          'This limit is off.',
          'refill_time is in milliseconds, and one of so many means no limit.',
          'Lower refill_time.',
        );
    }
    lintBuckets(inner, place, depth + 1, say);
  }
}

/** MAC addresses in any case are the same. */
function doubled(entries: readonly Section[], key: string, at: string, say: Say, [why, fix]: readonly [string, string]): void {
  const seen = new Map<string, number>();
  for (const [i, entry] of entries.entries()) {
    const value = entry[key];
    if (typeof value !== 'string') continue;
    const name = key === 'guest_mac' ? value.toLowerCase() : value;
    const first = seen.get(name);
    if (first !== undefined) say('error', `${at}/${i}/${key}`, `Entries ${first} and ${i} have the same ${key}.`, why, fix);
    else seen.set(name, i);
  }
}
