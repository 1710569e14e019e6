import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PortLevel, Verdict } from '@linstock/contract';
import { readConsole } from '../console/reader.ts';
import { askedConditions, conditionIds, type Asked } from './asked.ts';
import { examine } from './examine.ts';
import type { GuestFacts, PortAnswer, Sight } from './sight.ts';
import {
  now,
  fixture,
  banner,
  given,
  mac,
  hash,
  golden,
  wiring,
  asked,
  kernel,
  args,
  guest,
  answers,
  absent,
  steps,
  healthy,
  empty,
  on,
  sight,
  look,
  line,
  panic,
} from './testing/boot.ts';

describe('a healthy boot', () => {
  const proof = examine(asked, sight);
  it('is verified, every condition with evidence', () => {
    expect(proof.conditions.filter((c) => c.verdict !== 'proved').map((c) => [c.id, c.observed])).toEqual([]);
    expect(proof).toMatchObject({ verified: 'proved', furthest: 'random.seeded', at: now });
    for (const c of proof.conditions) expect([c.id, c.evidence.length > 0]).toEqual([c.id, true]);
  });
  it('says what the guest could have forged', () => {
    const evidence = proof.conditions.flatMap((c) => c.evidence);
    expect(evidence.filter((e) => e.source === 'agent').every((e) => e.guestControlled)).toBe(true);
    expect(proof.conditions.find((c) => c.id === 'cmdline.effective')?.evidence[0]).toMatchObject({
      source: 'console',
      guestControlled: false,
    });
    expect(proof.conditions.find((c) => c.id === 'init.finished')?.evidence[0]).toMatchObject({ source: 'console', guestControlled: true });
  });
});

type Row = [name: string, id: string, verdict: Verdict, seen: Partial<Sight>, want?: Partial<Asked>, says?: string];
const table: Row[] = [
  ['no process', 'vmm.started', 'refuted', { vmm: { ...sight.vmm, alive: false } }],
  ['another version', 'vmm.started', 'refuted', { vmm: { ...sight.vmm, version: '9.0' } }],
  ['silent API', 'vmm.started', 'unknown', { vmm: { ...sight.vmm, version: null } }],
  ['version to expect not known', 'vmm.started', 'unknown', { vmm: { ...sight.vmm, expectedVersion: null } }],

  ['another kernel', 'kernel.started', 'refuted', {}, kernel({ banner: 'Linux version 5.10.0 (x) #1' })],
  ['empty console, agent names the kernel', 'kernel.started', 'proved', { console: empty }],
  [
    'agent sends /proc/version whole',
    'kernel.started',
    'proved',
    { console: empty, ...answers({ kernel: { release: '6.1.192', version: banner } }) },
  ],
  ['agent names another', 'kernel.started', 'refuted', answers({ kernel: { release: '6.1.193', version: '#2 SMP 2025-01-01' } })],
  ['empty console, no agent', 'kernel.started', 'unknown', { console: empty, ...absent }],
  [
    'banner only by a process',
    'kernel.started',
    'unknown',
    { ...absent, ...on({ banner: { ...line(banner, 50, true), version: banner } }) },
  ],
  ['second banner after a panic', 'kernel.started', 'refuted', on({ panic, laterBanner: line(banner, 70, true), banners: 2 })],
  ['second banner without cause', 'kernel.started', 'unknown', on({ laterBanner: line(banner, 70, true), banners: 2 })],

  ['swiotlb=force never arrived', 'cmdline.effective', 'refuted', {}, args(...given, 'swiotlb=force'), 'missing: swiotlb=force'],
  ['changed', 'cmdline.effective', 'refuted', {}, args(...given.with(1, 'panic=0')), 'changed: panic=0 is panic=1'],
  ['added', 'cmdline.effective', 'refuted', {}, args(...given.slice(1)), 'added by somebody else: console=ttyS0'],
  [
    'doubled root= (case 06)',
    'cmdline.effective',
    'refuted',
    { console: fixture('root-twice'), ...absent },
    {
      commandLine: {
        given:
          'console=ttyS0 reboot=k panic=1 root=/dev/sda rw rootfstype=ext4 rootwait net.ifnames=0 ip=192.168.100.2::192.168.100.1:255.255.255.0::eth0:off'.split(
            ' ',
          ),
        addedForVmm: [],
        appendedByVmm: ['root=/dev/vda', 'rw'],
      },
    },
    'doubled: root=/dev/sda root=/dev/vda',
  ],
  ['/proc/cmdline differs', 'cmdline.effective', 'refuted', answers({ cmdline: `${given.join(' ')} x=1` }), {}, '/proc/cmdline: added'],
  ['only the agent', 'cmdline.effective', 'proved', { console: empty }],
  ['neither', 'cmdline.effective', 'unknown', { console: empty, ...absent }],
  [
    'cut by printk, no agent',
    'cmdline.effective',
    'unknown',
    { ...absent, ...on({ commandLine: { ...line('x', 2), args: `${given.slice(0, 3).join(' ')} roo`, form: 'saved', cut: true } }) },
  ],
  [
    'long enough to be cut, and whole',
    'cmdline.effective',
    'proved',
    { ...absent, ...on({ commandLine: { ...line('x', 2), args: given.join(' '), form: 'saved', cut: true } }) },
  ],
  [
    'cut by printk, agent has it whole',
    'cmdline.effective',
    'proved',
    on({ commandLine: { ...line('x', 2), args: `${given.slice(0, 3).join(' ')} roo`, form: 'saved', cut: true } }),
  ],
  ['no launch plan', 'cmdline.effective', 'unknown', {}, args()],
  [
    'printed by a process only',
    'cmdline.effective',
    'unknown',
    { ...absent, ...on({ commandLine: { ...line('x', 90, true), args: given.join(' '), form: 'saved', cut: false } }) },
  ],

  ['nothing named', 'cmdline.understood', 'proved', {}, {}, 'lab.console'],
  [
    'ip= without IP_PNP',
    'cmdline.understood',
    'refuted',
    { console: fixture('no-ip-pnp'), ...answers({ addresses: [] }) },
    {},
    'without effect: ip=192.168.100.3',
  ],
  [
    'ip= without IP_PNP, and nobody saw an address',
    'cmdline.understood',
    'refuted',
    { console: fixture('no-ip-pnp'), ...absent, arp: null },
    {},
    'without effect: ip=192.168.100.3',
  ],
  [
    'ip= without IP_PNP, and the address is there',
    'cmdline.understood',
    'proved',
    { console: fixture('no-ip-pnp'), ...absent },
    {},
    'is for the initrd or user space',
  ],
  [
    'ip= without IP_PNP, and the initrd says that it set it',
    'cmdline.understood',
    'proved',
    {
      console: {
        ...fixture('no-ip-pnp'),
        ipConfig: { ...line('i', 40, true), device: 'eth0', address: '192.168.100.3', gateway: null, mask: null, mac: null, by: 'initrd' },
      },
      ...absent,
      arp: null,
    },
    {},
    'is for the initrd or user space',
  ],
  [
    'ip= read by the image',
    'cmdline.understood',
    'proved',
    { console: fixture('no-ip-pnp') },
    { golden: { ...golden, userspaceArgs: ['ip'] } },
    'is not a parameter of this kernel and is for this golden image itself',
  ],
  ['Linux 4.14 never says', 'cmdline.understood', 'unknown', { console: fixture('founding-4.14'), ...absent }],
  ['Linux 5.13 never says', 'cmdline.understood', 'unknown', on({ banner: { ...line('b', 1), version: 'Linux version 5.13.19 (x)' } })],
  ['Linux 5.14 would say', 'cmdline.understood', 'proved', on({ banner: { ...line('b', 1), version: 'Linux version 5.14.0 (x)' } })],
  [
    'notices are not shown',
    'cmdline.understood',
    'unknown',
    on({ commandLine: { ...line('Command line: x', 2), args: given.join(' '), form: 'early', cut: false } }),
  ],
  ['quiet console', 'cmdline.understood', 'unknown', { console: empty }],
  ['list cut', 'cmdline.understood', 'unknown', on({ unknownParameters: { ...line('u', 30), tokens: ['foo'], cut: true } })],

  ['option not built', 'kernel.config', 'refuted', {}, kernel({ config: { CONFIG_VIRTIO_NET: 'n' } })],
  ['module without initrd (case 05)', 'kernel.config', 'refuted', {}, kernel({ config: { VIRTIO_BLK: 'm' } })],
  [
    'module in the initrd',
    'kernel.config',
    'proved',
    {},
    {
      golden: {
        ...golden,
        kernel: { ...golden.kernel, config: { VIRTIO_BLK: 'm', HW_RANDOM_VIRTIO: 'm' } },
        requires: ['VIRTIO_BLK', 'HW_RANDOM_VIRTIO'],
        initrd: { blob: hash, bytes: 1, modules: ['kernel/drivers/block/virtio_blk.ko', 'virtio-rng.ko.xz'] },
      },
    },
  ],
  ['module that the root may have', 'kernel.config', 'unknown', {}, kernel({ config: { VSOCKETS: 'm' } })],
  ['required option nobody knows', 'kernel.config', 'unknown', {}, { golden: { ...golden, requires: ['VSOCKETS'] } }],
  ['config not known', 'kernel.config', 'unknown', {}, kernel({ configKnownBy: 'none' })],
  ['other kernel runs', 'kernel.config', 'unknown', {}, kernel({ banner: 'Linux version 5' })],
  [
    'IP_PNP off, image reads ip=',
    'kernel.config',
    'proved',
    {},
    { golden: { ...golden, userspaceArgs: ['ip'], requires: ['IP_PNP'], kernel: { ...golden.kernel, config: { IP_PNP: 'n' } } } },
  ],

  ['256 asked, 128 there', 'memory.size', 'refuted', {}, { memoryMiB: 256 }],
  ['1 MiB too little', 'memory.size', 'refuted', {}, { memoryMiB: 129 }],
  ['exactly 1 MiB too little', 'memory.size', 'refuted', on({ memory: { ...line('Memory:', 9), availableKiB: 1, totalKiB: 127 * 1_024 } })],
  ['1 MiB too much', 'memory.size', 'refuted', {}, { memoryMiB: 127 }],
  ['mem= leaves less', 'memory.size', 'proved', {}, { memoryMiB: 512, ...args(...given, 'mem=128M') }],
  ['agent alone cannot prove it', 'memory.size', 'unknown', { console: empty }],
  ['agent alone can refute it', 'memory.size', 'refuted', { console: empty }, { memoryMiB: 512 }],
  ['agent has more than asked', 'memory.size', 'refuted', { console: empty }, { memoryMiB: 64 }],
  ['nobody told', 'memory.size', 'unknown', { console: empty, ...absent }],

  ['two asked, one there', 'cpu.count', 'refuted', {}, { vcpus: 2 }],
  ['agent sees another count', 'cpu.count', 'refuted', answers({ cpus: 2 })],
  ['maxcpus= asks for fewer', 'cpu.count', 'proved', {}, { vcpus: 4, ...args(...given, 'maxcpus=1') }],
  ['nobody told', 'cpu.count', 'unknown', { console: empty, ...absent }],

  ['another device', 'root.mounted', 'refuted', {}, args('root=/dev/vdb', 'rw')],
  ['another file system', 'root.mounted', 'refuted', {}, args('root=/dev/vda', 'rw', 'rootfstype=xfs')],
  ['read-only although rw', 'root.mounted', 'refuted', { console: fixture('readonly-systemd'), ...absent }],
  ['read-only now although rw', 'root.mounted', 'refuted', answers({ root: { device: '/dev/vda', fstype: 'ext4', options: 'ro' } })],
  [
    'ro asked, made rw by the image',
    'root.mounted',
    'proved',
    on({ rootMounted: { ...line('VFS: x', 20), device: '/dev/vda', fstype: 'ext4', readonly: true, by: 'kernel' } }),
    args('root=/dev/vda', 'ro'),
    'made read-write by the image',
  ],
  ['no driver (panic)', 'root.mounted', 'refuted', { console: fixture('no-ext4'), ...absent }, {}, 'Unable to mount root fs'],
  ['root= by UUID', 'root.mounted', 'proved', {}, args('root=UUID=1-2', 'rw')],
  ['nobody said', 'root.mounted', 'unknown', { console: empty, ...absent }],
  [
    'overlay above',
    'root.mounted',
    'unknown',
    { console: empty, ...answers({ root: { device: 'overlay', fstype: 'overlay', options: 'rw' } }) },
  ],
  [
    'initrd without file system type',
    'root.mounted',
    'unknown',
    { ...absent, ...on({ rootMounted: { ...line('i', 20, true), device: '/dev/vda', fstype: null, readonly: false, by: 'initrd' } }) },
    {},
    'not told: file system',
  ],

  ['panic after ready', 'init.finished', 'refuted', { ...on({ panic }), ...absent }, {}, 'after PID 1 had finished'],
  ['panic line of a guest whose agent answers', 'init.finished', 'proved', on({ panic })],
  [
    'guest went down',
    'init.finished',
    'refuted',
    { ...on({ shutdown: { ...line('reboot: Power down', 60, true), how: 'power-off' } }), ...absent },
  ],
  ['banner on a console that was told to be quiet', 'kernel.started', 'unknown', { ...on({}), ...absent }, args('quiet', ...given)],
  ['memory line on a quiet console', 'memory.size', 'unknown', { ...on({}), ...absent }, args('loglevel=4', ...given)],
  ['ro asked, and nobody saw the mount', 'root.mounted', 'unknown', { console: empty }, args('root=/dev/vda', 'ro', 'rootfstype=ext4')],
  [
    'systemd degraded',
    'init.finished',
    'refuted',
    answers({ init: { name: 'systemd', state: 'degraded', failedUnits: ['novnc.service'], networkManagers: [] } }),
    {},
    'novnc.service',
  ],
  [
    'systemd running, failure is over',
    'init.finished',
    'proved',
    {
      console: fixture('readonly-systemd'),
      ...answers({ init: { name: 'systemd', state: 'running', failedUnits: [], networkManagers: [] } }),
    },
    {},
    'over now',
  ],
  [
    'systemd starting',
    'init.finished',
    'unknown',
    answers({ init: { name: 'systemd', state: 'starting', failedUnits: [], networkManagers: [] } }),
  ],
  ['failed unit on the console only', 'init.finished', 'refuted', { console: fixture('readonly-systemd'), ...absent }],
  [
    'image says not ready',
    'init.finished',
    'refuted',
    on({ initFinished: null, initProblem: line('linstock-init: FAILED: not ready', 41, true) }),
  ],
  ['started, nothing more', 'init.finished', 'unknown', on({ initFinished: null })],
  ['nothing', 'init.finished', 'unknown', { console: empty, ...absent }],

  ['asked and silent', 'agent.ready', 'refuted', { agent: { is: 'silent', why: 'nothing within 2 s' } }],
  ['no channel', 'agent.ready', 'unknown', absent],

  [
    'replaced by the image (case 03a)',
    'net.address',
    'refuted',
    { console: fixture('networkd-drops-address'), ...answers({ addresses: [{ link: 'eth0', address: '169.254.1.1', prefix: 16 }] }) },
    {},
    'then systemd-networkd started',
  ],
  ['gone', 'net.address', 'refuted', answers({ addresses: [] })],
  ['another prefix', 'net.address', 'refuted', answers({ addresses: [{ link: 'eth0', address: '192.168.100.3', prefix: 16 }] })],
  ['another MAC', 'net.address', 'refuted', answers({ links: [{ name: 'eth0', mac: '02:00:00:00:00:09', state: 'up', mtu: 1 }] })],
  ['no agent, ARP answered', 'net.address', 'proved', absent],
  [
    'no agent, ARP silent',
    'net.address',
    'unknown',
    { ...absent, arp: { is: 'silent', text: 'no reply' } },
    {},
    'set to 192.168.100.3 by the kernel',
  ],
  ['kernel set another', 'net.address', 'refuted', { ...absent, arp: null }, { wiring: { ...wiring, address: '192.168.100.9' } }],
  ['set, not seen since', 'net.address', 'unknown', { ...absent, arp: null }],

  ['silent', 'net.layer2', 'refuted', { arp: { is: 'silent', text: 'no reply' } }],
  [
    'another MAC alone',
    'net.layer2',
    'refuted',
    { arp: { is: 'answered', macs: ['02:00:00:00:00:09'], text: 'x' } },
    {},
    'answers instead',
  ],
  ['two MACs (case 04)', 'net.layer2', 'refuted', { arp: { is: 'answered', macs: [mac, '02:00:00:00:00:09'], text: 'x' } }, {}, 'and also'],
  ['case of letters', 'net.layer2', 'proved', { arp: { is: 'answered', macs: [mac.toUpperCase()], text: 'x' } }],
  ['not asked', 'net.layer2', 'unknown', { arp: null }],

  ['route by another bridge (case 11a)', 'net.path', 'refuted', { route: { device: 'br0', text: 'dev br0' } }],
  ['ping lost', 'net.path', 'refuted', { ping: { is: 'silent', text: '0 received' } }],
  ['no default route (case 03b)', 'net.path', 'refuted', answers({ routes: [] })],
  ['another gateway', 'net.path', 'refuted', answers({ routes: [{ destination: '0.0.0.0/0', gateway: '192.168.1.1', link: 'eth0' }] })],
  ['gateway silent', 'net.path', 'refuted', { guestPing: { is: 'silent', text: '0 received' } }],
  ['guest not asked', 'net.path', 'unknown', { ...absent, guestPing: null }],
  ['host not looked at', 'net.path', 'unknown', { route: null }],

  ['no way out', 'net.egress', 'refuted', { egress: { is: 'silent', text: 'nothing' } }],
  ['not tried', 'net.egress', 'unknown', { egress: null }],

  ['refused', 'port.6080', 'refuted', { ...steps(['tcp', 'refused']), ...answers({ listening: [] }) }, {}, 'nothing in the guest listens'],
  [
    'loopback only (case 07b)',
    'port.6080',
    'refuted',
    { ...steps(['tcp', 'refused']), ...answers({ listening: [{ address: '127.0.0.1', port: 6080, process: 'x' }] }) },
    {},
    'on 127.0.0.1 only',
  ],
  [
    'VNC down behind the WebSocket (case 29)',
    'port.6080',
    'refuted',
    steps(['tcp', 'open'], ['http', 'status'], ['websocket', 'upgraded'], ['rfb', 'closed']),
    {},
    'rfb: closed',
  ],
  ['chain ends early', 'port.6080', 'unknown', steps(['tcp', 'open'], ['http', 'status'])],
  [
    'a lower level is enough',
    'port.6080',
    'proved',
    steps(['tcp', 'open'], ['http', 'status'], ['websocket', 'garbage']),
    { ports: [{ port: 6080, level: 'http' }] },
  ],
  ['not probed', 'port.6080', 'unknown', { ports: [] }],
  [
    'user network: open says nothing',
    'port.6080',
    'unknown',
    { ...steps(['tcp', 'open']), ...absent },
    { network: { kind: 'user', bridge: null }, ports: [{ port: 6080, level: 'tcp' }] },
  ],
  [
    'user network: the guest listens',
    'port.6080',
    'proved',
    steps(['tcp', 'open']),
    { network: { kind: 'user', bridge: null }, ports: [{ port: 6080, level: 'tcp' }] },
  ],

  ['minutes behind (restored)', 'clock.offset', 'refuted', answers({ clockUnixMs: now - 300_000 })],
  ['ahead', 'clock.offset', 'refuted', answers({ clockUnixMs: now + 60_000 })],
  ['answer too slow to tell', 'clock.offset', 'unknown', { agent: { is: 'answers', at: now, ms: 5_000, facts: guest } }],
  ['no agent', 'clock.offset', 'unknown', absent],

  ['not seeded', 'random.seeded', 'refuted', answers({ randomSeeded: false })],
  ['by the console', 'random.seeded', 'proved', absent],
  ['nobody told', 'random.seeded', 'unknown', { console: empty, ...absent }],
];

describe('each condition', () => {
  it.each(table)('%s: %s is %s', (_, id, verdict, seen, want, says) => {
    const found = look(id, seen, want);
    expect([found.verdict, found.observed]).toEqual([verdict, found.observed]);
    if (says !== undefined) expect(found.observed).toContain(says);
    if (verdict === 'proved') expect(found.evidence.length).toBeGreaterThan(0);
    else expect(found.next).toMatch(/\S/);
    expect(found.next ?? '').not.toMatch(/time[d ]?out|too slow/i);
  });

  it('has a row for each verdict of each condition', () => {
    const seen = new Set([
      ...table.map(([, id, verdict]) => `${id} ${verdict}`),
      ...examine(asked, sight).conditions.map((c) => `${c.id} proved`),
    ]);
    const lacking = conditionIds(asked).flatMap((id) =>
      ['proved', 'refuted', 'unknown'].filter((v) => !seen.has(`${id} ${v}`)).map((v) => `${id} ${v}`),
    );
    expect(lacking).toEqual([]);
  });
});

describe('what is asked for', () => {
  const user: Partial<Asked> = { network: { kind: 'user', bridge: null }, egress: false };
  const userSight: Partial<Sight> = { arp: null, ping: null, route: null };

  it('leaves out what a user-mode network cannot show, lists it, and can be verified', () => {
    const proof = examine({ ...asked, ...user }, { ...sight, ...userSight });
    expect(proof.conditions.filter((c) => !c.asked).map((c) => [c.id, c.verdict])).toEqual([
      ['net.layer2', 'unknown'],
      ['net.path', 'unknown'],
    ]);
    expect(proof).toMatchObject({ verified: 'proved', furthest: 'random.seeded' });
  });

  it('leaves out what only an agent can show for an image without one', () => {
    const agentless = { ...asked, egress: false, golden: { ...golden, agent: false } };
    const proof = examine(agentless, { ...sight, ...absent });
    expect(proof.verified).toBe('proved');
    expect(proof.conditions.find((c) => c.id === 'agent.ready')).toMatchObject({ asked: false, verdict: 'unknown' });
    expect(askedConditions({ ...agentless, ...user })).not.toContain('net.address');
  });

  it('does not wait for the word of an init that may never give it', () => {
    const silent = { ...absent, ...on({ initFinished: null }) };
    const verified = (init: 'systemd' | 'other' | undefined, seen: Partial<Sight> = silent): string =>
      examine({ ...asked, egress: false, golden: { ...golden, agent: false, init } }, { ...sight, ...seen }).verified;
    expect(verified('other')).toBe('proved');
    expect(verified('systemd')).toBe('unknown');
    expect(verified(undefined)).toBe('unknown');
    expect(verified('other', { ...absent, ...on({ initProblem: line('linstock-init: FAILED', 50, true), initFinished: null }) })).toBe(
      'refuted',
    );
    // with an agent it is the agent that tells
    expect(examine({ ...asked, egress: false, golden: { ...golden, init: 'other' } }, { ...sight, ...silent }).verified).toBe('unknown');
  });

  it('stays unknown when an image with an agent has none', () =>
    expect(examine({ ...asked, egress: false }, { ...sight, ...absent }).verified).toBe('unknown'));
  it('lists egress only when it is asked for', () => expect(conditionIds({ ...asked, egress: false })).not.toContain('net.egress'));
  it('stops at the first gap', () =>
    expect(examine({ ...asked, memoryMiB: 256 }, sight)).toMatchObject({ verified: 'refuted', furthest: 'kernel.config' }));
  it('has reached nothing without a VMM', () =>
    expect(examine(asked, { ...sight, vmm: { ...sight.vmm, alive: false } }).furthest).toBeNull());
});

describe('next', () => {
  it('names the panic before anything that could not happen after it', () => {
    expect(look('agent.ready', { ...on({ panic }), ...absent }).next).toMatch(
      /^Console line 60, "Kernel panic - not syncing: Attempted to kill init!"/,
    );
    expect(look('agent.ready', { vmm: { ...sight.vmm, alive: false }, ...absent }).next).toMatch(/^vmm\.started/);
  });
});

describe('properties', () => {
  const nasty = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom('', '\u001b[31mx', '\u202e', 'a\nb', '192.168.100.3'),
  );
  const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value);
  const facts: fc.Arbitrary<GuestFacts> = fc.record({
    cmdline: orNull(nasty),
    kernel: orNull(fc.record({ release: nasty, version: nasty })),
    memoryKiB: orNull(fc.record({ total: fc.double(), available: fc.nat() })),
    cpus: orNull(fc.double()),
    uptimeMs: orNull(fc.nat()),
    links: orNull(fc.array(fc.record({ name: nasty, mac: nasty, state: nasty, mtu: fc.nat() }))),
    addresses: orNull(fc.array(fc.record({ link: nasty, address: nasty, prefix: fc.nat() }))),
    routes: orNull(fc.array(fc.record({ destination: nasty, gateway: orNull(nasty), link: nasty }))),
    listening: orNull(fc.array(fc.record({ address: nasty, port: fc.constantFrom(6080, 1), process: orNull(nasty) }))),
    resolvers: orNull(fc.array(nasty)),
    root: orNull(fc.record({ device: nasty, fstype: nasty, options: nasty })),
    init: orNull(fc.record({ name: nasty, state: orNull(nasty), failedUnits: fc.array(nasty), networkManagers: fc.array(nasty) })),
    clockUnixMs: orNull(fc.double()),
    randomSeeded: orNull(fc.boolean()),
  });
  const ping = fc.record({ is: fc.constantFrom('answered' as const, 'silent' as const), ms: fc.nat(), text: nasty });
  const sights: fc.Arbitrary<Sight> = fc.record({
    at: fc.nat(),
    vmm: fc.record({
      alive: fc.boolean(),
      version: orNull(nasty),
      expectedVersion: orNull(nasty),
      pid: orNull(fc.nat()),
      cgroup: orNull(nasty),
    }),
    console: fc.oneof(
      fc.constantFrom(healthy, empty, fixture('no-ext4'), fixture('readonly-systemd'), fixture('root-twice'), fixture('no-ip-pnp')),
      fc
        .array(
          fc.oneof(
            nasty,
            fc.constantFrom(
              'Linux version ',
              'Memory: 1K/2K available',
              'Unknown kernel command line parameters "',
              'Run /init as init process',
            ),
          ),
        )
        .map((t) => readConsole(t.join('\n'))),
    ),
    agent: fc.oneof(
      fc.record({ is: fc.constantFrom('absent' as const, 'silent' as const), why: nasty }),
      fc.record({ is: fc.constant('answers' as const), at: fc.nat(), ms: fc.double(), facts }),
    ) as fc.Arbitrary<Sight['agent']>,
    arp: orNull(fc.record({ is: fc.constantFrom('answered' as const), macs: fc.array(nasty), text: nasty })),
    ping: orNull(ping),
    route: orNull(fc.record({ device: nasty, text: nasty })),
    guestPing: orNull(ping),
    egress: orNull(ping),
    ports: fc.array(
      fc.record({
        port: fc.constantFrom(6080, 80),
        steps: fc.array(
          fc.record({
            level: fc.constantFrom<PortLevel[]>('tcp', 'http', 'websocket', 'rfb'),
            ok: fc.boolean(),
            answer: fc.constantFrom<PortAnswer[]>('open', 'refused', 'garbage'),
            text: nasty,
          }),
        ),
      }),
    ),
  });
  const askeds: fc.Arbitrary<Asked> = fc.record({
    golden: fc
      .record({ agent: fc.boolean(), config: fc.dictionary(nasty, fc.constantFrom('y' as const, 'm' as const, 'n' as const)) })
      .map(({ agent, config }) => ({ ...golden, agent, requires: Object.keys(config), kernel: { ...golden.kernel, config } })),
    memoryMiB: fc.nat(),
    vcpus: fc.nat(),
    ports: fc.constantFrom(asked.ports, []),
    wiring: fc.constant(wiring),
    accelerator: nasty,
    egress: fc.boolean(),
    commandLine: fc.record({
      given: fc.oneof(fc.constant(given), fc.array(nasty)),
      addedForVmm: fc.array(nasty),
      appendedByVmm: fc.array(nasty),
    }),
    network: fc.constantFrom(asked.network, { kind: 'user' as const, bridge: null }),
  });

  it('never throws, never proves without evidence, never shows a control character, keeps the order', () => {
    fc.assert(
      fc.property(askeds, sights, (want, seen) => {
        const proof = examine(want, seen);
        expect(proof.conditions.map((c) => c.id)).toEqual(conditionIds(want));
        for (const c of proof.conditions) {
          if (c.verdict === 'proved') expect(c.evidence.length).toBeGreaterThan(0);
          else expect(c.next).toBeTruthy();
          // eslint-disable-next-line no-control-regex
          expect(JSON.stringify([c.expected, c.observed, c.next, c.evidence.map((e) => e.text)])).not.toMatch(
            /\\u00|[\u0080-\u009f\u202a-\u202e]|\\n/,
          );
        }
        const counted = proof.conditions.filter((c) => c.asked).map((c) => c.verdict);
        expect(proof.verified).toBe(counted.includes('refuted') ? 'refuted' : counted.includes('unknown') ? 'unknown' : 'proved');
      }),
      { numRuns: 300 },
    );
  });

  it('with less to see never proves more', () => {
    fc.assert(
      fc.property(fc.subarray(['arp', 'ping', 'route', 'guestPing', 'egress', 'agent', 'console'] as const), (hidden) => {
        const less: Partial<Sight> = Object.fromEntries(
          hidden.map((key) => [key, key === 'agent' ? absent.agent : key === 'console' ? empty : null]),
        );
        for (const c of examine(asked, { ...sight, ...less }).conditions) expect([c.id, c.verdict]).not.toEqual([c.id, 'refuted']);
      }),
    );
  });
});
