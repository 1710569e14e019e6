import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addMetrics, isState, metricsIn, parseMetrics, valueOf, type Metrics } from './metrics.ts';

const line = (at: number, more: object): string => `${JSON.stringify({ utc_timestamp_ms: at, ...more })}\n`;

test('counts are added up, states replaced, keys that come and go are 0 where they are not', () => {
  const text =
    line(1, {
      vcpu: { failures: 0, exit_io_in: 5, exit_io_in_agg: { min_us: 1, max_us: 9, sum_us: 20 } },
      latencies_us: { pause_vm: 70 },
    }) +
    line(2, {
      vcpu: { failures: 1, exit_io_in: 7, exit_io_in_agg: { min_us: 2, max_us: 4, sum_us: 10 } },
      block_root: { read_bytes: 512 },
    });
  const total = metricsIn(text).metrics.reduce<Metrics | null>(addMetrics, null);
  expect(total?.at).toBe(2);
  expect(Object.fromEntries(total?.values ?? [])).toEqual({
    'vcpu.failures': 1,
    'vcpu.exit_io_in': 12,
    'vcpu.exit_io_in_agg.min_us': 2,
    'vcpu.exit_io_in_agg.max_us': 4,
    'vcpu.exit_io_in_agg.sum_us': 30,
    'latencies_us.pause_vm': 70,
    'block_root.read_bytes': 512,
  });
  expect(valueOf(total, 'net_eth0.rx_bytes_count')).toBe(0);
  expect(valueOf(null, 'vcpu.failures')).toBe(0);
});

test('which are states (SharedStoreMetric in vmm/src/logger/metrics.rs and in the devices)', () => {
  expect(
    [
      'signals.sigbus',
      'signals.sigpipe',
      'vmm.panic_count',
      'seccomp.num_faults',
      'api_server.process_startup_time_us',
      'net.rx_fails',
      'block.read_agg.max_us',
      'block.read_agg.sum_us',
    ].map(isState),
  ).toEqual([true, false, true, true, true, false, true, false]);
});

test('half a line is left for the next piece, and what is no line of metrics is passed over', () => {
  const whole = line(5, { vmm: { panic_count: 0 } });
  const { metrics, rest } = metricsIn(`garbage\n[]\n{"utc_timestamp_ms":"soon"}\n${whole}${whole.slice(0, 20)}`);
  expect(metrics.map(({ at }) => at)).toEqual([5]);
  expect(metricsIn(rest + whole.slice(20)).metrics.map(({ at }) => at)).toEqual([5]);
  expect(metricsIn('x'.repeat(300_000)).rest).toBe('');
  expect(parseMetrics(`${' '.repeat(300_000)}${whole}`)).toBeNull();
});

test('values of a hostile VMM stay bounded: depth, number, names', () => {
  const deep = parseMetrics(JSON.stringify({ utc_timestamp_ms: 1, a: { b: { c: { d: 1 } } }, ['k'.repeat(200)]: { x: 1 } }));
  expect([...(deep?.values.keys() ?? [])]).toEqual([]);
  const many = parseMetrics(
    JSON.stringify({ utc_timestamp_ms: 1, g: Object.fromEntries(Array.from({ length: 9_000 }, (_, i) => [`k${i}`, i])) }),
  );
  expect(many?.values.size).toBe(8_192);
});

test('no text throws, and totals never lose a key', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.dictionary(fc.string(), fc.dictionary(fc.string(), fc.double())).map((d) => line(1, d)),
        ),
      ),
      (pieces) => {
        const { metrics } = metricsIn(pieces.join('\n'));
        const total = metrics.reduce<Metrics | null>(addMetrics, null);
        for (const { values } of metrics) for (const key of values.keys()) expect(total?.values.has(key)).toBe(true);
      },
    ),
    { numRuns: 50 },
  );
});
