import { describe, expect, test } from 'vitest';
import type { Finding } from './finding.ts';
import { judgeHost } from './host-judge.ts';
import type { FileSight, HostSight, TapSight } from './host-sight.ts';
import { pathsIn } from './paths.ts';
import { good, line, twoDrives, v, withEntry, withIn, type Sections } from './testing/tables.ts';

type There = Extract<FileSight, { is: 'there' }>;
const bytes = (...parts: readonly (readonly [offset: number, data: readonly number[] | string])[]): Uint8Array => {
  const head = new Uint8Array(0x8010).fill(1);
  for (const [offset, data] of parts) head.set(typeof data === 'string' ? Buffer.from(data, 'latin1') : data, offset);
  return head;
};
const elf = bytes([0, '\x7fELF']);
const ext4 = bytes([0x438, [0x53, 0xef]]);
let inode = 0;
const there = (more: Partial<There> = {}): There => ({
  is: 'there',
  kind: 'file',
  bytes: 8 * 1024 * 1024,
  id: `1:${(inode += 1)}`,
  readable: true,
  writable: true,
  head: ext4,
  listening: null,
  ...more,
});
const absent = (folder: 'absent' | 'closed' | 'writable' = 'writable'): FileSight => ({ is: 'absent', folder });
const tap = (more: Partial<TapSight> = {}): TapSight => ({
  tap: true,
  multiQueue: false,
  up: true,
  busy: false,
  owner: null,
  group: null,
  holder: null,
  ...more,
});

/** A machine on which the good file has nothing to be said about, and what is changed of it. */
function machine(
  changes: { files?: Record<string, FileSight>; taps?: Record<string, TapSight | undefined> | null; user?: number } & Partial<
    Pick<HostSight, 'memoryMiB' | 'freeHugePages'>
  > = {},
): HostSight {
  const { files, taps, user = 0, ...rest } = changes;
  const all: Record<string, FileSight> = {
    '/k/vmlinux': there({ head: elf }),
    '/d/root.ext4': there(),
    '/d/data': there(),
    '/run/v.sock': absent(),
    ...files,
  };
  const known = Object.entries({ tap0: tap(), ...taps }).flatMap(([name, one]) => (one === undefined ? [] : [[name, one] as const]));
  return {
    folder: '/work',
    user: { id: user, groups: [user] },
    files: new Map(Object.entries(all)),
    taps: taps === null ? null : new Map(known),
    memoryMiB: 4_096,
    freeHugePages: 512,
    ...rest,
  };
}

const judge = (config: Sections, sight: HostSight, version = '1.16.1'): readonly Finding[] => judgeHost(config, v(version), sight);

test('the good file on its machine', () => {
  expect(judge(good(), machine())).toEqual([]);
});

type HostRow = { says: string; config?: Sections; sick: HostSight; well?: HostSight; finds: string; words: RegExp; version?: string };
const rows = (all: readonly HostRow[]): void =>
  test.each(all)('$says', ({ config = good(), sick, well = machine(), finds, words, version }) => {
    const found = (sight: HostSight): string[] =>
      judge(config, sight, version)
        .filter(({ severity, at }) => `${severity} ${at}` === finds)
        .map(line);
    expect(found(sick)).toEqual([expect.stringMatching(words)]);
    expect(found(well).filter((text) => words.test(text))).toEqual([]);
  });

describe('kernel and initrd', () => {
  const at = 'error /boot-source/kernel_image_path';
  const kernel = (sight: FileSight): HostSight => machine({ files: { '/k/vmlinux': sight } });
  const initrd = withIn('boot-source', { initrd_path: '/i' });
  rows([
    { says: 'is not there', sick: kernel(absent()), finds: at, words: /no kernel \/k\/vmlinux.*--no-host/ },
    { says: 'is a folder', sick: kernel(there({ kind: 'folder', head: null })), finds: at, words: /is a folder/ },
    { says: 'cannot be read', sick: kernel(there({ readable: false, head: null })), finds: at, words: /may not be read/ },
    { says: 'lies behind a closed folder', sick: kernel({ is: 'closed', code: 'EACCES' }), finds: at, words: /may not be entered/ },
    { says: 'leads round in circles', sick: kernel({ is: 'closed', code: 'ELOOP' }), finds: at, words: /cannot be looked at \(ELOOP\)/ },
    { says: 'is a bzImage', sick: kernel(there({ head: bytes([0x202, 'HdrS']) })), finds: at, words: /is a bzImage.*extract-vmlinux/ },
    {
      says: 'is something else',
      sick: kernel(there({ head: bytes([0, [0x1f, 0x8b, 0x08]]) })),
      finds: at,
      words: /no ELF file: it is gzip/,
    },
    { says: 'is empty', sick: kernel(there({ head: new Uint8Array(0), bytes: 0 })), finds: at, words: /an empty file/ },
    {
      says: 'initrd is not there',
      config: initrd,
      sick: machine({ files: { '/i': absent() } }),
      well: machine({ files: { '/i': there() } }),
      finds: 'error /boot-source/initrd_path',
      words: /no initrd/,
    },
    {
      says: 'initrd is empty',
      config: initrd,
      sick: machine({ files: { '/i': there({ bytes: 0 }) } }),
      well: machine({ files: { '/i': there() } }),
      finds: 'error /boot-source/initrd_path',
      words: /no bytes/,
    },
  ]);
});

describe('drives', () => {
  const at = '/drives/0/path_on_host';
  const disk = (sight: FileSight): HostSight => machine({ files: { '/d/root.ext4': sight } });
  const readOnly = withEntry('drives', { is_read_only: true });
  const same = there({ id: '1:7' });
  rows([
    { says: 'is not there', sick: disk(absent()), finds: `error ${at}`, words: /no image \/d\/root\.ext4/ },
    { says: 'is a folder', sick: disk(there({ kind: 'folder', head: null })), finds: `error ${at}`, words: /is a folder/ },
    { says: 'cannot be written', sick: disk(there({ writable: false })), finds: `error ${at}`, words: /may not be written.*is_read_only/ },
    { says: 'has half a sector', sick: disk(there({ bytes: 1_025 })), finds: `warning ${at}`, words: /1025 bytes.*multiple of 512/ },
    { says: 'is empty', sick: disk(there({ bytes: 0, head: new Uint8Array(0) })), finds: `error ${at}`, words: /without a sector/ },
    { says: 'is qcow2', sick: disk(there({ head: bytes([0, 'QFI\xfb']) })), finds: `error ${at}`, words: /qcow2.*qemu-img convert/ },
    {
      says: 'is compressed',
      sick: disk(there({ head: bytes([0, [0x28, 0xb5, 0x2f, 0xfd]]) })),
      finds: `error ${at}`,
      words: /zstd-compressed.*panics/,
    },
    {
      says: 'has partitions',
      sick: disk(there({ head: bytes([0x1fe, [0x55, 0xaa]]) })),
      finds: `error ${at}`,
      words: /partition table.*partuuid/,
    },
    { says: 'a closed folder', sick: disk({ is: 'closed', code: 'EACCES' }), finds: `error ${at}`, words: /may not be entered/ },
    {
      says: 'two names of one file',
      config: twoDrives({}),
      sick: machine({ files: { '/d/root.ext4': same, '/d/data': same } }),
      finds: 'error /drives/1/path_on_host',
      words: /\/d\/data and \/d\/root\.ext4 \(\/drives\/0\/path_on_host\) are the same file/,
    },
    {
      says: 'a backend that is not there',
      config: withEntry('drives', { path_on_host: undefined, is_read_only: undefined, socket: '/s' }),
      sick: machine({ files: { '/s': absent() } }),
      well: machine({ files: { '/s': there({ kind: 'socket', listening: true }) } }),
      finds: 'error /drives/0/socket',
      words: /no socket of the vhost-user backend/,
    },
    {
      says: 'a backend that has ended',
      config: withEntry('drives', { path_on_host: undefined, is_read_only: undefined, socket: '/s' }),
      sick: machine({ files: { '/s': there({ kind: 'socket', listening: false }) } }),
      well: machine({ files: { '/s': there({ kind: 'socket', listening: null }) } }),
      finds: 'error /drives/0/socket',
      words: /Nobody listens/,
    },
  ]);

  test.each([
    ['read-only needs no right to write', readOnly, disk(there({ writable: false }))],
    ['partitions are right with partuuid', withEntry('drives', { partuuid: 'x' }), disk(there({ head: bytes([0x1fe, [0x55, 0xaa]]) }))],
    ['a block device has no size of its own', good(), disk(there({ kind: 'block', bytes: null }))],
    [
      'two read-only names of one file',
      twoDrives({}, { is_read_only: true }),
      machine({ files: { '/d/root.ext4': same, '/d/data': same } }),
    ],
    [
      'a compressed file that is no root is the guest’s business',
      twoDrives({}),
      machine({ files: { '/d/data': there({ head: bytes([0, [0x1f, 0x8b, 0x08]]) }) } }),
    ],
  ])('%s', (_, config, sight) => expect(judge(config, sight).map(line)).toEqual([]));
});

describe('log, socket, memory, paths', () => {
  const logged = { ...good(), logger: { log_path: '/l/log' } };
  const log = (sight: FileSight): HostSight => machine({ files: { '/l/log': sight } });
  const socket = (sight: FileSight): HostSight => machine({ files: { '/run/v.sock': sight } });
  const huge = withIn('machine-config', { huge_pages: '2M' });
  rows([
    {
      says: 'a log that is not made',
      config: logged,
      sick: log(absent()),
      well: log(there()),
      finds: 'error /logger/log_path',
      words: /no file \/l\/log.*touch/,
      version: '1.13.2',
    },
    {
      says: 'a log without a folder',
      config: logged,
      sick: log(absent('absent')),
      well: log(absent()),
      finds: 'error /logger/log_path',
      words: /no folder \/l/,
    },
    {
      says: 'a log in a closed folder',
      config: logged,
      sick: log(absent('closed')),
      well: log(absent()),
      finds: 'error /logger/log_path',
      words: /may not be written to/,
    },
    {
      says: 'a log that is a folder',
      config: logged,
      sick: log(there({ kind: 'folder' })),
      well: log(there({ kind: 'other', bytes: null })),
      finds: 'error /logger/log_path',
      words: /is a folder/,
    },
    {
      says: 'a log that cannot be written',
      config: logged,
      sick: log(there({ writable: false })),
      well: log(there()),
      finds: 'error /logger/log_path',
      words: /may not be written/,
    },
    {
      says: 'a stale socket',
      sick: socket(there({ kind: 'socket', listening: false })),
      finds: 'error /vsock/uds_path',
      words: /nobody listens on it.*rm \/run\/v\.sock/,
    },
    {
      says: 'a socket in use',
      sick: socket(there({ kind: 'socket', listening: true })),
      finds: 'error /vsock/uds_path',
      words: /somebody listens on it.*path of its own/,
    },
    {
      says: 'a file in the place of a socket',
      sick: socket(there()),
      finds: 'error /vsock/uds_path',
      words: /is there already\..*path of its own/,
    },
    { says: 'a socket without a folder', sick: socket(absent('absent')), finds: 'error /vsock/uds_path', words: /no folder \/run/ },
    {
      says: 'more memory than the host has',
      sick: machine({ memoryMiB: 255 }),
      finds: 'warning /machine-config/mem_size_mib',
      words: /256 MiB, and this host has 255/,
    },
    {
      says: 'too few huge pages',
      config: huge,
      sick: machine({ freeHugePages: 127 }),
      well: machine({ freeHugePages: 128 }),
      finds: 'warning /machine-config/huge_pages',
      words: /128 pages of 2 MiB, and 127.*149/,
    },
    {
      says: 'no huge pages at all',
      config: huge,
      sick: machine({ freeHugePages: null }),
      finds: 'warning /machine-config/huge_pages',
      words: /0 are free/,
    },
  ]);

  test('relative paths are said once, with the folder', () => {
    const config = {
      ...withIn('boot-source', { kernel_image_path: 'vmlinux' }),
      drives: withEntry('drives', { path_on_host: 'disk' })['drives'],
    };
    const sight = machine({ files: { vmlinux: there({ head: elf }), disk: there() } });
    expect(judge(config, sight).map(line)).toEqual([
      expect.stringMatching(/^note \/boot-source\/kernel_image_path: 2 paths are relative, and looked up from \/work\..*started in/),
    ]);
  });
});

describe('TAPs', () => {
  const at = '/network-interfaces/0/host_dev_name';
  const one = (more: Partial<TapSight>, user = 0): HostSight => machine({ user, taps: { tap0: tap(more) } });
  rows([
    {
      says: 'absent, as root',
      sick: machine({ taps: { tap0: undefined } }),
      finds: `error ${at}`,
      words: /no interface tap0.*without a word/,
    },
    {
      says: 'absent, as somebody',
      sick: machine({ user: 1_000, taps: { tap0: undefined } }),
      finds: `error ${at}`,
      words: /Operation not permitted/,
    },
    { says: 'no TAP', sick: one({ tap: false }), finds: `error ${at}`, words: /is no TAP/ },
    { says: 'multi_queue', sick: one({ multiQueue: true }), finds: `error ${at}`, words: /multi_queue.*Invalid argument/ },
    { says: 'busy by carrier', sick: one({ busy: true }), finds: `error ${at}`, words: /is in use\..*Resource busy/ },
    {
      says: 'busy by process',
      sick: one({ holder: { pid: 77, command: 'firecracker' } }),
      finds: `error ${at}`,
      words: /process 77 \(firecracker\)/,
    },
    { says: 'down', sick: one({ up: false }), finds: `warning ${at}`, words: /is down.*ip link set tap0 up/ },
    {
      says: 'of another user',
      sick: one({ owner: 1_001 }, 1_000),
      well: one({ owner: 1_000 }, 1_000),
      finds: `error ${at}`,
      words: /belongs to user 1001, and this is user 1000/,
    },
    {
      says: 'of another group',
      sick: one({ group: 9 }, 1_000),
      well: one({ group: 1_000 }, 1_000),
      finds: `error ${at}`,
      words: /belongs to group 9/,
    },
    { says: 'interfaces that could not be listed', sick: machine({ taps: null }), finds: `note ${at}`, words: /could not be listed/ },
  ]);

  test('root may open everybody’s', () => expect(judge(good(), one({ owner: 1_001, group: 9 }))).toEqual([]));
});

test('every path of a file is judged, whatever it leads to', () => {
  const config = {
    ...good(),
    logger: { log_path: '/l' },
    metrics: { metrics_path: '/m' },
    'cpu-config': '/t',
    pmem: [{ id: 'p', path_on_host: '/p' }],
  };
  for (const { at, path, use } of pathsIn(config)) {
    const found = judge(config, machine({ files: { [path]: { is: 'closed', code: 'EACCES' } } })).map((finding) => finding.at);
    expect([use, found.includes(at)]).toEqual([use, true]);
  }
});
