/**
 * Firecracker's metrics: one JSON object per line, at the start, each minute, when asked to, at an end (docs/metrics.md). Pure; any bytes give a
 * value, and every loop has a limit. A line says of most things what happened *since the line before*, of some what is true now, and does not
 * mark which is which: `isState` is that table. A lost line is lost counts, so sums are lower bounds.
 */

/** `values` by dotted path: `block_root.read_bytes`, `vcpu.exit_io_in_agg.max_us`. `at`: `ms` since the epoch, as Firecracker says. */
export type Metrics = { at: number; values: ReadonlyMap<string, number> };

/** A line with 18 devices has some 20 KB. */
const mostLineBytes = 256 * 1024;
const mostValues = 8_192;
const mostKeyLength = 80;

/** What is true now, and not a count since the last line. */
export function isState(path: string): boolean {
  return (
    path.startsWith('latencies_us.') ||
    path.startsWith('api_server.process_startup_') ||
    path === 'vmm.panic_count' ||
    path === 'seccomp.num_faults' ||
    (path.startsWith('signals.') && path !== 'signals.sigpipe') ||
    path.endsWith('.min_us') ||
    path.endsWith('.max_us')
  );
}

/** null: not a line of metrics. Keys that we do not know are kept, values that are no numbers are passed over. */
export function parseMetrics(line: string): Metrics | null {
  if (line.length > mostLineBytes) return null;
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    // Half a line is what a process leaves that was killed while it wrote.
    return null;
  }
  if (!isPlain(json)) return null;
  const at = json['utc_timestamp_ms'];
  if (typeof at !== 'number' || !Number.isSafeInteger(at) || at < 0) return null;
  const values = new Map<string, number>();
  const take = (path: string, value: unknown, depth: number): void => {
    if (values.size >= mostValues) return;
    if (typeof value === 'number' && Number.isFinite(value)) values.set(path, value);
    if (depth === 0 || !isPlain(value)) return;
    for (const [key, inner] of Object.entries(value)) if (key.length <= mostKeyLength) take(`${path}.${key}`, inner, depth - 1);
  };
  for (const [group, value] of Object.entries(json)) {
    if (group !== 'utc_timestamp_ms' && group.length <= mostKeyLength) take(group, value, 2);
  }
  return { at, values };
}

/** Counts are added up, states replaced. What one of the two lacks is 0: versions add and remove keys. */
export function addMetrics(total: Metrics | null, next: Metrics): Metrics {
  if (total === null) return next;
  const values = new Map(total.values);
  for (const [path, value] of next.values) {
    if (values.has(path) || values.size < mostValues) values.set(path, isState(path) ? value : (values.get(path) ?? 0) + value);
  }
  return { at: next.at, values };
}

/** All whole lines of a piece of the file, in order; what stands behind the last line feed is left to the next piece. */
export function metricsIn(text: string): { metrics: readonly Metrics[]; rest: string } {
  const lines = text.split('\n');
  const rest = lines.pop() ?? '';
  return { metrics: lines.map(parseMetrics).filter((metrics) => metrics !== null), rest: rest.length > mostLineBytes ? '' : rest };
}

/** One value; 0 when it is not there, as Firecracker leaves out what does not exist in its version. */
export function valueOf(metrics: Metrics | null, path: string): number {
  return metrics?.values.get(path) ?? 0;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
