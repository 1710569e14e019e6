/**
 * Whole runs of a binary as data, from its arguments and its configuration file to its end or to a VM that runs, and what is compared of
 * them: how it ended, its log, its words, the groups of its metrics.
 */
import { eventually } from '../eventually.ts';
import { Bench, inItsOwnNetwork } from './run.ts';
import { has, type Since, type SimVersion } from './versions.ts';

export type WholeRun = {
  name: string;
  args: readonly string[];
  /** an object or a text is written; `c.json` is then given as --config-file */
  config?: unknown;
  needsKvm?: true;
  since?: Since;
};

const log = ['--log-path', 'log', '--show-level'];
const drives = [{ drive_id: 'root', path_on_host: 'disk', is_root_device: true }];
const good = {
  'boot-source': { kernel_image_path: 'guest', boot_args: 'console=ttyS0 reboot=k panic=1' },
  'machine-config': { vcpu_count: 1, mem_size_mib: 64 },
  drives,
};
const full = {
  ...good,
  drives: [...drives, { drive_id: 'data', path_on_host: 'disk', is_root_device: false, is_read_only: true }],
  'network-interfaces': [
    { iface_id: 'eth0', host_dev_name: 'tap0', guest_mac: '06:00:00:00:00:01' },
    { iface_id: 'eth1', host_dev_name: 'tap1' },
  ],
  vsock: { guest_cid: 3, uds_path: 'v.sock' },
  entropy: {},
  balloon: { amount_mib: 0, deflate_on_oom: true },
};

export const wholeRuns: readonly WholeRun[] = [
  { name: 'a VM that runs', config: full, args: [...log, '--level', 'Info', '--metrics-path', 'met'], needsKvm: true },
  { name: 'one without an API', config: good, args: [...log, '--no-api'], needsKvm: true },
  { name: 'with a boot timer', config: good, args: [...log, '--boot-timer'], needsKvm: true },
  { name: 'over PCI', config: full, args: [...log, '--enable-pci'], needsKvm: true, since: { since: '1.13.0' } },
  { name: 'what is no kernel', config: { ...good, 'boot-source': { kernel_image_path: 'text' } }, args: log, needsKvm: true },
  {
    name: 'the same without an API',
    config: { ...good, 'boot-source': { kernel_image_path: 'text' } },
    args: [...log, '--no-api'],
    needsKvm: true,
  },
  { name: 'no kernel', config: { ...good, 'boot-source': { kernel_image_path: 'none' } }, args: log },
  { name: 'no drive', config: { ...good, drives: [{ ...drives[0], path_on_host: 'none' }] }, args: log },
  { name: 'two roots', config: { ...good, drives: [...drives, { ...drives[0], drive_id: 'b' }] }, args: log },
  { name: 'no TAP', config: { ...good, 'network-interfaces': [{ iface_id: 'eth0', host_dev_name: 'lo' }] }, args: log },
  { name: 'no folder for the vsock', config: { ...good, vsock: { guest_cid: 3, uds_path: 'no/v' } }, args: log },
  { name: 'an unknown field', config: { ...good, vsock: { guest_cid: 3, uds_path: 'v', bogus: 1 } }, args: log },
  { name: 'a missing section', config: { 'boot-source': good['boot-source'] }, args: log },
  { name: 'no JSON', config: '{', args: log },
  { name: 'no memory', config: { ...good, 'machine-config': { vcpu_count: 1, mem_size_mib: 0 } }, args: log },
  { name: 'three threads of two', config: { ...good, 'machine-config': { vcpu_count: 3, mem_size_mib: 64, smt: true } }, args: log },
  { name: 'a balloon that is larger than the guest', config: { ...good, balloon: { amount_mib: 100, deflate_on_oom: true } }, args: log },
  { name: 'no configuration', args: [...log, '--config-file', 'none'] },
  { name: 'no metadata', config: good, args: [...log, '--metadata', 'none'] },
  { name: 'metadata that is no JSON', config: good, args: [...log, '--metadata', 'text'] },
  { name: 'no folder for the log', config: good, args: ['--log-path', 'no/log'] },
  { name: 'no folder for the metrics', config: good, args: [...log, '--metrics-path', 'no/met'] },
  { name: 'a level that is none', args: ['--level', 'loud'] },
  { name: 'an argument twice', args: ['--id', 'a', '--id', 'b'] },
  { name: 'an argument without its value', args: ['--id'] },
  { name: 'an unknown argument', args: ['--bogus'] },
  { name: 'a word', args: ['word'] },
  { name: 'an id with a _', args: ['--id', 'a_b'] },
  { name: 'an id that is empty', args: ['--id', ''] },
  { name: '--no-api alone', args: ['--no-api'] },
  { name: 'no filter', args: ['--seccomp-filter', 'none'] },
  { name: 'a filter and none', args: ['--seccomp-filter', 'text', '--no-seccomp'] },
  { name: 'a size that is no number', args: ['--http-api-max-payload-size', 'x'] },
  { name: 'a path that is too long', args: ['--api-sock', `/${'x'.repeat(120)}`] },
  { name: '--version', args: ['--version'] },
  { name: '--snapshot-version', args: ['--snapshot-version'] },
];

export function wholeRunsOf(version: SimVersion, kvm: boolean): readonly WholeRun[] {
  return wholeRuns.filter(({ since, needsKvm }) => (since === undefined || has(version, since)) && (kvm || needsKvm !== true));
}

export type Outcome = { end: string; log: string; out: string; err: string; metrics: string; line: string };

/** `guest`: a kernel that writes its command line to the console and then idles. */
export async function outcomeOf(run: WholeRun, guest: Uint8Array, binary: (bench: Bench) => string): Promise<Outcome> {
  const bench = new Bench();
  try {
    for (const [name, content] of Object.entries({ guest, log: '', met: '' })) bench.write(name, content);
    if (run.config !== undefined) bench.write('c.json', run.config);
    const socket = run.args.includes('--no-api') || run.args.includes('--api-sock') ? [] : ['--api-sock', 'api'];
    const config = run.config === undefined ? [] : ['--config-file', 'c.json'];
    const [program, ...args] = inItsOwnNetwork([binary(bench), ...socket, ...config, ...run.args]);
    const { child } = bench.run(program, args);
    const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
    const lineOf = (): string => /(?:Kernel command line: |^)(console=ttyS0[^\r\n]*)\r?\n/m.exec(bench.read('out'))?.[1] ?? '';
    // Asking would do: but a request that comes before the VM runs changes how a failure ends.
    await eventually(() => isOver() || (/Successfully started/.test(bench.read('log') + bench.read('out')) && lineOf() !== ''));
    return {
      end: isOver() ? String(child.exitCode ?? child.signalCode) : 'runs',
      log: ownLines(bench.read('log')),
      out: isOver() ? plain(bench.read('out')) : '',
      err: /^Error: \w+/.exec(bench.read('err'))?.[0] ?? plain(bench.read('err')),
      metrics: groups(bench.read('met')),
      line: lineOf(),
    };
  } finally {
    await bench.done();
  }
}

/** What Firecracker logs, without what only this KVM makes it say, and without a line that comes from another thread at its leisure. */
function ownLines(text: string): string {
  return plain(text)
    .split('\n')
    .filter((line) => line.startsWith('<time>') && !/immediate_exit|API server started/.test(line))
    .join('\n');
}

function plain(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+/g, '<time>')
    .replaceAll(/took \d+ us/g, 'took N us')
    .replaceAll(/panicked at \S+/g, 'panicked at <place>')
    .replaceAll(/.*API server started.*\n/g, '')
    .replaceAll(/\/tmp\/[\w./-]+/g, '<path>');
}

function groups(metrics: string): string {
  const names = metrics
    .split('\n')
    .slice(0, -1)
    .flatMap((line) => Object.keys(JSON.parse(line) as object));
  return [...new Set(names)].toSorted().join(' ');
}
