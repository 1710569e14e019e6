import { resolve } from 'node:path';
import { z } from 'zod';
import { clone } from './build-info.ts';

/** The only reader of settings from the environment. Unknown LINSTOCK_ names are refused: a typo must not vanish. */
const schema = z.strictObject({
  LINSTOCK_STATE: z.string().min(1).optional(),
  LINSTOCK_SUBNET: z.string().optional(),
  /** `qemu`, `stub` (tests and benches) */
  LINSTOCK_VMM: z.enum(['qemu', 'stub']).optional(),
  LINSTOCK_QEMU: z.string().startsWith('/', 'must be an absolute path').optional(),
  LINSTOCK_ACCELERATOR: z.enum(['kvm', 'tcg']).optional(),
  LINSTOCK_EGRESS_PROBE: z.string().regex(/^[^\s:]+:\d{1,5}$/, 'must be host:port').optional(),
  LINSTOCK_NETWORK: z.enum(['bridge', 'user']).optional(),
});

export type Config = {
  stateFolder: string;
  subnet: string;
  vmm: 'qemu' | 'stub';
  qemu: string;
  /** overrides the probe boot; for people who test */
  accelerator: 'kvm' | 'tcg' | null;
  /** what a guest should reach beyond the host, as part of its proof; null = not asked */
  egressProbe: { host: string; port: number } | null;
  /** overrides what the privilege suggests */
  network: 'bridge' | 'user' | null;
};

export function readConfig(environment: Record<string, string | undefined>): Config {
  const ours = Object.fromEntries(Object.entries(environment).filter(([key, value]) => key.startsWith('LINSTOCK_') && value !== undefined));
  const result = schema.safeParse(ours);
  if (!result.success) {
    const problems = result.error.issues.map((i) => (i.code === 'unrecognized_keys' ? `${i.keys.join(', ')} is not a setting of Linstock` : `${i.path.join('.')}: ${i.message}`));
    throw new Error(`the environment cannot be used: ${problems.join('; ')}`);
  }
  const e = result.data;
  const probe = e.LINSTOCK_EGRESS_PROBE?.split(':');
  return {
    stateFolder: resolve(e.LINSTOCK_STATE ?? `${clone}/.linstock/state`),
    subnet: e.LINSTOCK_SUBNET ?? '192.168.100.0/24',
    vmm: e.LINSTOCK_VMM ?? 'qemu',
    qemu: e.LINSTOCK_QEMU ?? '/usr/bin/qemu-system-x86_64',
    accelerator: e.LINSTOCK_ACCELERATOR ?? null,
    egressProbe: probe?.[0] && probe[1] ? { host: probe[0], port: Number(probe[1]) } : null,
    network: e.LINSTOCK_NETWORK ?? null,
  };
}
