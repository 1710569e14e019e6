/** The table of the README, from the committed samples: `node bench/table.ts`. */
import type { BootOverhead } from './boot-overhead.ts';
import type { DiskClone } from './disk-clone.ts';
import type { ExecLatency } from './exec-latency.ts';
import type { FirecrackerLaunch } from './firecracker-launch.ts';
import type { DiagnosisBench } from './diagnosis.ts';
import type { KernelInspect } from './kernel-inspect.ts';
import type { Library } from './library.ts';
import type { Many } from './many.ts';
import type { RootfsBuild } from './rootfs-build.ts';
import { quantile, ratios, slope, summary, type Summary } from './parts/numbers.ts';
import { readSamples, type Context } from './parts/samples.ts';

type Row = { what: string; target: string; measured: string; range: string };

const ms = (value: number): string =>
  value >= 1_000 ? `${(value / 1_000).toFixed(2)} s` : value >= 100 ? `${value.toFixed(0)} ms` : `${value.toFixed(1)} ms`;
const span = (s: Summary, unit: (value: number) => string): string => `${unit(s.min)} to ${unit(s.max)}, n = ${s.n}`;
const times = (value: number): string => `${value.toFixed(2)}×`;

export function tables(): string {
  const rows: Row[] = [];
  const contexts: { bench: string; context: Context }[] = [];
  const have = <T>(bench: string, use: (raw: T) => Row[]): void => {
    const samples = readSamples<T>(bench);
    if (samples === null) return;
    rows.push(...use(samples.raw));
    contexts.push({ bench, context: samples.context });
  };

  have<BootOverhead>('boot-overhead', ({ pairs, accelerator }) => {
    const ratio = ratios(pairs.map((p) => ({ a: p.linstock, b: p.bare })));
    const gap = summary(pairs.map((p) => p.linstock - p.console));
    const toLine = ratios(pairs.map((p) => ({ a: p.console, b: p.bare })));
    return [
      {
        what: `create until **verified** over bare QEMU until its console line (${accelerator})`,
        target: '≤ 1.05×',
        measured: times(ratio.p50),
        range: span(ratio, times),
      },
      { what: 'of that: create until the same console line', target: '', measured: times(toLine.p50), range: span(toLine, times) },
      { what: 'of that: from the console line to verified', target: '', measured: ms(gap.p50), range: span(gap, ms) },
    ];
  });
  have<ExecLatency>('exec-latency', ({ rounds }) =>
    [1, 8, 32].map((atOnce) => {
      const s = summary(rounds.filter((r) => r.atOnce === atOnce).flatMap((r) => r.ms));
      return {
        what: `request to exec of the VMM, service mode, ${atOnce} at once`,
        target: atOnce === 1 ? 'p50 ≤ 10 ms, p95 ≤ 25 ms' : '',
        measured: `p50 ${ms(s.p50)}, p95 ${ms(s.p95)}`,
        range: span(s, ms),
      };
    }),
  );
  have<Library>('library', ({ pairs, gondolin }) => {
    const ours = summary(pairs.map((p) => p.linstock));
    const theirs = summary(pairs.map((p) => p.gondolin));
    const barest = summary(pairs.map((p) => p.barest));
    const ratio = ratios(pairs.map((p) => ({ a: p.linstock, b: p.gondolin })));
    const toBarest = ratios(pairs.map((p) => ({ a: p.linstock, b: p.barest })));
    return [
      {
        what: 'create to exec of the VMM, library mode',
        target: '',
        measured: `p50 ${ms(ours.p50)}, p95 ${ms(ours.p95)}`,
        range: span(ours, ms),
      },
      {
        what: `the same by gondolin ${gondolin}, as it comes`,
        target: '',
        measured: `p50 ${ms(theirs.p50)}, p95 ${ms(theirs.p95)}`,
        range: span(theirs, ms),
      },
      { what: 'Linstock over gondolin, pair by pair', target: '≤ 1.00×', measured: times(ratio.p50), range: span(ratio, times) },
      {
        what: 'gondolin without network, file server and overlay',
        target: '',
        measured: `p50 ${ms(barest.p50)}, p95 ${ms(barest.p95)}`,
        range: span(barest, ms),
      },
      { what: 'Linstock over that, pair by pair', target: '', measured: times(toBarest.p50), range: span(toBarest, times) },
    ];
  });
  have<Many>('many', ({ sizes }) => {
    const perVm = (of: (size: Many['sizes'][number]) => number): number => slope(sizes.map((size) => ({ x: size.vms, y: of(size) })));
    const controller = perVm((s) => s.pssKiB) / 1_024;
    const keeper = quantile(sizes.at(-1)?.keeperPssKiB ?? [], 0.5) / 1_024;
    const list = summary(sizes.at(-1)?.list ?? []);
    const execs = sizes.map((s) => `${s.vms}: ${ms(quantile(s.exec, 0.5))}`).join(', ');
    const idle = sizes.map((s) => `${s.vms}: ${((s.idle.cpu / s.idle.seconds) * 100).toFixed(1)} %`).join(', ');
    const lists = sizes.map((s) => `${s.vms}: ${((quantile(s.list, 0.5) / s.vms) * 1_000).toFixed(0)} µs`).join(', ');
    return [
      {
        what: 'memory per live VM, controller and keeper (share of shared pages counted)',
        target: '≤ 0.2 MB',
        measured: `${(controller + keeper).toFixed(2)} MB`,
        range: `controller ${controller.toFixed(3)}, keeper ${keeper.toFixed(3)}`,
      },
      { what: 'list of 1,000', target: '', measured: ms(list.p50), range: span(list, ms) },
      { what: 'list, per VM', target: 'flat', measured: lists, range: '' },
      { what: 'request to exec of one more VM', target: 'flat', measured: execs, range: '' },
      { what: 'CPU of the controller when nobody asks', target: '', measured: idle, range: 'of one core' },
    ];
  });
  have<KernelInspect>('kernel-inspect', (raw) => {
    const ours = summary(raw.pairs.map((p) => p.inspect));
    const ratio = ratios(raw.pairs.map((p) => ({ a: p.inspect, b: p.strings })));
    const command = ratios(raw.pairs.map((p) => ({ a: p.command, b: p.strings })));
    const megabytes = (raw.bytes / 1_000_000).toFixed(0);
    return [
      { what: `looking into a vmlinux of ${megabytes} MB, every option judged`, target: '', measured: ms(ours.p50), range: span(ours, ms) },
      {
        what: 'that over `strings FILE \\| grep CONFIG_`, pair by pair',
        target: '≤ 0.50×',
        measured: times(ratio.p50),
        range: span(ratio, times),
      },
      {
        what: '`linstock kernel inspect` as a command over the same',
        target: '',
        measured: times(command.p50),
        range: span(command, times),
      },
    ];
  });

  have<DiagnosisBench>('diagnosis', ({ bytes, pairs, large }) => {
    const speeds = pairs.map((p) => bytes / 1_000 / p.diagnose);
    const all = summary(speeds);
    const ratio = ratios(pairs.map((p) => ({ a: p.diagnose, b: p.grep })));
    const perSecond = (value: number): string => `${value.toFixed(0)} MB/s`;
    return [
      {
        what: `a console of ${(bytes / 1e6).toFixed(0)} MB to its cause`,
        target: '≥ 100 MB/s',
        measured: perSecond(all.p50),
        range: span(all, perSecond),
      },
      { what: 'that over `grep -c` for one text, pair by pair', target: '', measured: times(ratio.p50), range: span(ratio, times) },
      {
        what: `peak memory over a console of ${(large.bytes / 1e9).toFixed(0)} GB, Node and sources included`,
        target: 'bounded',
        measured: `${(large.peakRssKiB / 1024).toFixed(0)} MiB`,
        range: '',
      },
    ];
  });

  have<DiskClone>('disk-clone', ({ rounds, heldBytes }) => {
    const column = (what: string, of: 'overlay' | 'sparse' | 'reflink'): Row[] => {
      const taken = rounds.flatMap((r) => (r[of] === null ? [] : [{ ms: r[of], a: r[of], b: r.whole }]));
      if (taken.length === 0) return [];
      const all = summary(taken.map((one) => one.ms));
      return [{ what, target: '', measured: `${ms(all.p50)}, ${(ratios(taken).p50 * 100).toFixed(1)} % of it`, range: span(all, ms) }];
    };
    const whole = summary(rounds.map((r) => r.whole));
    return [
      {
        what: `whole copy of an image of 1 GiB with ${heldBytes / 1_048_576} MiB in it`,
        target: '',
        measured: ms(whole.p50),
        range: span(whole, ms),
      },
      ...column('a disk for QEMU (overlay)', 'overlay'),
      ...column('a disk for Firecracker, blocks shared (XFS)', 'reflink'),
      ...column('a disk for Firecracker, no sharing (sparse copy)', 'sparse'),
    ];
  });

  have<RootfsBuild>('rootfs-build', ({ recipe, bytes, rounds }) => {
    const cold = summary(rounds.map((r) => r.cold));
    const changed = ratios(rounds.map((r) => ({ a: r.changed, b: r.cold })));
    const found = ratios(rounds.map((r) => ({ a: r.found, b: r.cold })));
    return [
      {
        what: `build of \`${recipe}\` (${(bytes / 1_000_000).toFixed(0)} MB), nothing of it there, packages fetched`,
        target: '',
        measured: ms(cold.p50),
        range: span(cold, ms),
      },
      { what: 'the same with one file changed, over that', target: '', measured: times(changed.p50), range: span(changed, times) },
      {
        what: 'the same unchanged, over that',
        target: '',
        measured: `${found.p50.toFixed(4)}×`,
        range: span(found, (v) => `${v.toFixed(4)}×`),
      },
    ];
  });

  have<FirecrackerLaunch>('firecracker-launch', ({ versions, calls }) => [
    ...versions.flatMap(({ version, pairs }) => {
      const bare = ratios(pairs.map((p) => ({ a: p.bare, b: p.plain })));
      const jailed = pairs.flatMap((p) => (p.jailed === null ? [] : [{ a: p.jailed, b: p.plain }]));
      return [
        {
          what: `launch to a running Firecracker ${version} over the binary alone`,
          target: '',
          measured: times(bare.p50),
          range: span(bare, times),
        },
        ...(jailed.length === 0
          ? []
          : [{ what: 'the same through its jailer', target: '', measured: times(ratios(jailed).p50), range: span(ratios(jailed), times) }]),
      ];
    }),
    { what: 'API requests until the VM runs', target: '', measured: String(calls.linstock), range: `firecracker-go-sdk: ${calls.goSdk}` },
  ]);

  const notes = contexts.map(
    ({ bench, context: c }) =>
      `\`${bench}\`: ${c.date.slice(0, 16).replace('T', ' ')} UTC, commit ${c.commit}, load ${c.loadBefore[0]?.toFixed(1)} before and ${c.loadAfter[0]?.toFixed(1)} after.`,
  );
  const c = contexts[0]?.context;
  const machine = c
    ? `${c.cores} shared cores (${c.cpu}), ${Math.round(c.memoryMiB / 1_024)} GB, Linux ${c.kernel}, Node ${c.node.slice(1)}, ${c.qemu.replace(/ \(.*/, '')}.`
    : '';
  return [
    '| what | target | median | lowest to highest |',
    '|---|---|---|---|',
    ...rows.map((r) => `| ${r.what} | ${r.target} | ${r.measured} | ${r.range} |`),
    '',
    machine,
    ...notes,
  ].join('\n');
}

if (import.meta.main) process.stdout.write(`${tables()}\n`);
