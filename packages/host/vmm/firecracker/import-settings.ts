/** What a configuration file has that only Firecracker has, as settings of a VM. Pure; the file has passed the lint. */
import type { FirecrackerSettings, RateLimiter, TokenBucket } from '@linstock/contract';
import { isRecord } from './checks.ts';
import { list, section, type Section } from './lint/finding.ts';

export type Kept = {
  settings: FirecrackerSettings;
  /** where in the file each of them stands */
  at: readonly string[];
};

/** `drive`: the index of the one that becomes the disk. */
export function firecrackerSettingsOf(config: Section, drive: number): Kept {
  const at: string[] = [];
  const kept = <K extends keyof FirecrackerSettings>(
    place: string,
    key: K,
    value: FirecrackerSettings[K] | undefined,
  ): Partial<FirecrackerSettings> => {
    if (value === undefined) return {};
    at.push(place);
    return { [key]: value };
  };
  const machine = section(config, 'machine-config');
  const net = list(config, 'network-interfaces')[0];
  const balloon = config['balloon'];
  const settings: FirecrackerSettings = {
    ...kept(`/drives/${drive}/rate_limiter`, 'disk', limiterOf(list(config, 'drives')[drive]?.['rate_limiter'])),
    ...kept('/network-interfaces/0/rx_rate_limiter', 'receive', limiterOf(net?.['rx_rate_limiter'])),
    ...kept('/network-interfaces/0/tx_rate_limiter', 'transmit', limiterOf(net?.['tx_rate_limiter'])),
    ...kept(
      '/machine-config/cpu_template',
      'cpuTemplate',
      templates.find((name) => name === machine['cpu_template']),
    ),
    ...kept('/machine-config/huge_pages', 'hugePages', machine['huge_pages'] === '2M' ? '2M' : undefined),
    ...kept(
      '/balloon',
      'balloon',
      isRecord(balloon) && isCount(balloon['amount_mib'])
        ? {
            amountMiB: balloon['amount_mib'],
            deflateOnOom: balloon['deflate_on_oom'] === true,
            statsEveryS: isCount(balloon['stats_polling_interval_s']) ? balloon['stats_polling_interval_s'] : 0,
          }
        : undefined,
    ),
  };
  return { settings, at };
}

const templates = ['C3', 'T2', 'T2S', 'T2CL', 'T2A'] as const;

function limiterOf(given: unknown): RateLimiter | undefined {
  if (!isRecord(given)) return undefined;
  const [bytes, operations] = [bucketOf(given['bandwidth']), bucketOf(given['ops'])];
  if (bytes === undefined && operations === undefined) return undefined;
  return { ...(bytes === undefined ? {} : { bytes }), ...(operations === undefined ? {} : { operations }) };
}

/** A bucket of size 0, or one that never fills, limits nothing (rate_limiter/mod.rs). */
function bucketOf(given: unknown): TokenBucket | undefined {
  if (!isRecord(given)) return undefined;
  const { size, refill_time: refillMs, one_time_burst: burst } = given;
  if (!isCount(size) || !isCount(refillMs) || size === 0 || refillMs === 0) return undefined;
  return { size, refillMs, ...(isCount(burst) ? { burst } : {}) };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
