/** The host as it is now, for one VM: links, rules, routes, settings and what it is short of, then probes under a capture. Changes nothing. */
import { join } from 'node:path';
import type { EvidenceDocument } from '@linstock/contract';
import { bridgeName, inside, Page } from '@linstock/core';
import { namespaceState } from '../network/network.ts';
import { listFolder } from '../tools/files.ts';
import { cgroup2Mount } from '../tools/procs.ts';
import { Capture } from './capture.ts';
import { lookAtImageFiles } from './image-files.ts';
import { add, lookBy, lookInto, type Look } from './look.ts';
import type { HostOrder } from './order.ts';
import { probeForward, probeHost, probePorts } from './probes.ts';

/** One look, `ms`. */
const lookMs = 4_000;

export async function hostPage(o: HostOrder, signal: AbortSignal): Promise<EvidenceDocument> {
  const page = new Page();
  if (!o.live)
    page.section('host').line('note: this boot is over; its namespace, TAP and address are gone, and the host is shown as it is now');
  const bridged = o.network.kind === 'bridge';
  const probed = o.live && o.guest;
  const capture = bridged && probed ? await Capture.start(o, signal) : null;
  const [links, machine] = await Promise.all([bridged ? lookAtLinks(o, signal) : [], lookAtMachine(o, signal)]);
  for (const { section, looks } of links) {
    page.section(section);
    add(page, looks);
  }
  if (probed) {
    page.section('probes');
    const dropsBefore = bridged ? await reversePathDrops(signal) : null;
    add(page, bridged ? await probeHost(o, signal) : []);
    add(page, bridged ? await probePorts(o, signal) : await probeForward(o, signal));
    if (dropsBefore) add(page, [dropsBefore, await reversePathDrops(signal)]);
  } else if (o.live) page.section('probes').line('note: not probed: the stub has no guest that could answer');
  if (capture) {
    page.section('capture');
    add(page, await capture.end());
  }
  page.section('image files');
  add(page, await lookAtImageFiles(o.files));
  page.section('machine');
  add(page, machine);
  return page.document('host', 'host', o.live ? null : 'this boot is over: the host is shown as it is now, and was not probed');
}

type Section = { section: string; looks: readonly Look[] };

async function lookAtLinks({ mark, network, wiring, live }: HostOrder, signal: AbortSignal): Promise<Section[]> {
  const bridge = bridgeName(mark, network.index);
  const limits = { signal, timeoutMs: lookMs };
  const by = (...argv: string[]): Promise<Look> => lookBy(argv, limits);
  const namespace = live ? await namespaceState(wiring.netns) : 'absent';
  const within = (...argv: string[]): Promise<Look> => by('ip', 'netns', 'exec', wiring.netns, ...argv);
  const slot =
    namespace === 'there'
      ? Promise.all([
          within('ip', '-d', '-s', 'link', 'show', inside.tap),
          within('ip', '-d', 'link', 'show', inside.bridge),
          within('ip', '-d', '-s', 'link', 'show', inside.uplink),
          within('ip', '-br', 'addr'),
          within('bridge', 'link'),
          learned(within('bridge', 'fdb', 'show', 'br', inside.bridge)),
        ])
      : [];
  type Looks = readonly (readonly [section: string, looks: readonly Promise<Look>[]])[];
  // of a boot that is over there is no link any more, and what is learned of its address is another VM's
  const links: Looks = !live
    ? []
    : [
        [
          'links',
          [by('ip', '-d', '-s', 'link', 'show', bridge), by('ip', '-d', '-s', 'link', 'show', wiring.port), by('ip', '-br', 'addr')],
        ],
        ['bridge', [by('bridge', 'link')]],
        ['fdb', [learned(by('bridge', 'fdb', 'show', 'br', bridge))]],
        ['neigh', [by('ip', 'neigh', 'show')]],
      ];
  const sections: Looks = [
    ...links,
    ['routes', [by('ip', 'route', 'show'), by('ip', 'route', 'get', wiring.address), by('ip', 'rule', 'show')]],
    ['sysctl', [settings(bridge)]],
    ['firewall', [by('nft', '-t', 'list', 'ruleset'), by('iptables-save')]],
  ];
  const seen = await Promise.all(sections.map(async ([section, looks]) => ({ section, looks: await Promise.all(looks) })));
  const inner = await slot;
  if (!live) return seen;
  const note = { shown: `ip netns list | grep -w ${wiring.netns}`, output: namespace === 'absent' ? '' : wiring.netns };
  return [...seen, { section: `slot: inside the network namespace ${wiring.netns}`, looks: [note, ...inner] }];
}

/** Each port has permanent entries of its own, and there may be a thousand ports: what was learned is what tells. */
async function learned(fdb: Promise<Look>): Promise<Look> {
  const { shown, output, ...rest } = await fdb;
  const lines = output.split('\n').filter((line) => !line.includes('permanent'));
  return { shown: `${shown} | grep -v permanent`, output: lines.join('\n'), ...rest };
}

async function settings(bridge: string): Promise<Look> {
  const names = [
    'net.ipv4.ip_forward',
    'net.ipv4.conf.all.rp_filter',
    `net.ipv4.conf.${bridge}.rp_filter`,
    `net.ipv4.conf.${bridge}.forwarding`,
    'net.bridge.bridge-nf-call-iptables',
  ];
  const read = await Promise.all(
    names.map(async (name) => {
      // the name of a bridge has no dot, so each dot is a folder
      const path = `/proc/sys/${name.replaceAll('.', '/')}`;
      const { output } = await lookInto(path);
      return output.startsWith('cat: ') ? `sysctl: cannot stat ${path}: No such file or directory` : `${name} = ${output.trim()}`;
    }),
  );
  return { shown: `sysctl ${names.join(' ')}`, output: read.join('\n') };
}

/** Packets that the reverse path filter dropped, of this namespace: it counts nowhere else. */
async function reversePathDrops(signal: AbortSignal): Promise<Look> {
  const look = await lookInto('/proc/self/net/netstat');
  signal.throwIfAborted();
  const [names = [], values = []] = look.output
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '));
  const at = names.indexOf('IPReversePathFilter');
  return {
    shown: 'nstat -az TcpExtIPReversePathFilter',
    output: at === -1 ? '' : `TcpExtIPReversePathFilter       ${values[at] ?? '?'}                  0.0`,
  };
}

const told: ReadonlySet<string> = new Set([
  'memory.current',
  'memory.max',
  'memory.events',
  'memory.pressure',
  'cpu.pressure',
  'pids.current',
]);

async function lookAtMachine({ mark, boot, stateFolder }: HostOrder, signal: AbortSignal): Promise<Look[]> {
  const by = (...argv: string[]): Promise<Look> => lookBy(argv, { signal, timeoutMs: lookMs });
  const mount = process.getuid?.() === 0 ? cgroup2Mount() : null;
  const unit = mount === null ? null : join(mount, `linstock-${mark}`, boot);
  // which of them are there depends on the controllers that this host gave us
  const ours = unit === null ? [] : (await listFolder(unit)).filter((name) => told.has(name)).toSorted();
  return Promise.all([
    by('df', '-P', stateFolder),
    by('df', '-Pi', stateFolder),
    by('ls', '-l', '/dev/kvm', '/dev/net/tun'),
    linesOf('/proc/meminfo', /^(?:MemTotal|MemAvailable|SwapFree|HugePages_Free):/),
    linesOf('/proc/self/limits', /^(?:Limit|Max open files|Max processes)/),
    lookInto('/proc/sys/fs/file-nr'),
    ...['cpu', 'memory', 'io'].map((what) => lookInto(`/proc/pressure/${what}`)),
    ...ours.map((file) => lookInto(join(unit ?? '', file))),
  ]);
}

async function linesOf(path: string, pattern: RegExp): Promise<Look> {
  const look = await lookInto(path);
  const lines = look.output.split('\n').filter((line) => pattern.test(line) || line.startsWith('cat: '));
  return { ...look, output: lines.join('\n') };
}
