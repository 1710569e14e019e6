import { resolve } from 'node:path';
import { z } from 'zod';
import { FaultError } from '@linstock/contract';
import { parseSubnet } from '@linstock/core';
import { clone } from './build-info.ts';

/** The only reader of settings from the environment. Unknown LINSTOCK_ names are refused: a typo must not vanish. */
const schema = z.strictObject({
  LINSTOCK_STATE: z.string().min(1).optional(),
  LINSTOCK_SUBNET: z
    .string()
    .refine((text) => parseSubnet(text) !== null, 'must be an IPv4 network such as 192.168.100.0/24, /8 to /30')
    .optional(),
  /** what VMs run on when nobody asks for another: `qemu`, `firecracker`, `stub` (tests and benches) */
  LINSTOCK_VMM: z.enum(['qemu', 'firecracker', 'stub']).optional(),
  /** what the stub executes in place of a VMM (benches) */
  LINSTOCK_STUB: z.string().startsWith('/', 'must be an absolute path').optional(),
  LINSTOCK_QEMU: z.string().startsWith('/', 'must be an absolute path').optional(),
  /** Firecracker binaries, with their jailers beside them */
  LINSTOCK_FIRECRACKER: z
    .string()
    .regex(/^\/[^:]*(?::\/[^:]*)*$/, 'must be absolute paths with : between them')
    .optional(),
  LINSTOCK_JAILER: z.enum(['on', 'off']).optional(),
  LINSTOCK_ACCELERATOR: z.enum(['kvm', 'tcg']).optional(),
  LINSTOCK_EGRESS_PROBE: z
    .string()
    .regex(/^[^\s:]+:\d{1,5}$/, 'must be host:port')
    .optional(),
  /** slots of the network that are made ahead of need */
  LINSTOCK_SPARES: z.coerce.number().int().min(0).max(100).optional(),
  LINSTOCK_NETWORK: z.enum(['bridge', 'user']).optional(),
});

export type Config = {
  stateFolder: string;
  /** of the network, when it is made; null = not set */
  subnet: string | null;
  /** what VMs run on when nobody asks for another; null = what the probe boots and the binaries suggest */
  vmm: 'qemu' | 'firecracker' | 'stub' | null;
  /** the stub's program; null = its own */
  stub: string | null;
  qemu: string;
  /** where to look for Firecracker; null = the usual places */
  firecrackers: readonly string[] | null;
  /** false: Firecracker never runs through a jailer; for development */
  jailer: boolean;
  /** overrides the probe boot; for people who test */
  accelerator: 'kvm' | 'tcg' | null;
  /** what a guest should reach beyond the host, as part of its proof; null = not asked */
  egressProbe: { host: string; port: number } | null;
  /** how many slots of a bridge network are made ahead of need: making one while somebody waits takes 10 to 20 ms */
  spares: number;
  /** overrides what the privilege suggests */
  network: 'bridge' | 'user' | null;
};

export function readConfig(environment: Record<string, string | undefined>): Config {
  const ours = Object.fromEntries(Object.entries(environment).filter(([key, value]) => key.startsWith('LINSTOCK_') && value !== undefined));
  const result = schema.safeParse(ours);
  if (!result.success) {
    const problems = result.error.issues.map((i) =>
      i.code === 'unrecognized_keys' ? `${i.keys.join(', ')} is not a setting of Linstock` : `${i.path.join('.')}: ${i.message}`,
    );
    throw new FaultError('request-invalid', { problems: `in the environment, ${problems.join('; ')}` });
  }
  const e = result.data;
  const probe = e.LINSTOCK_EGRESS_PROBE?.split(':');
  return {
    stateFolder: resolve(e.LINSTOCK_STATE ?? `${clone}/.linstock/state`),
    subnet: e.LINSTOCK_SUBNET ?? null,
    vmm: e.LINSTOCK_VMM ?? null,
    stub: e.LINSTOCK_STUB ?? null,
    qemu: e.LINSTOCK_QEMU ?? '/usr/bin/qemu-system-x86_64',
    firecrackers: e.LINSTOCK_FIRECRACKER?.split(':') ?? null,
    jailer: e.LINSTOCK_JAILER !== 'off',
    accelerator: e.LINSTOCK_ACCELERATOR ?? null,
    egressProbe: probe?.[0] && probe[1] ? { host: probe[0], port: Number(probe[1]) } : null,
    spares: e.LINSTOCK_SPARES ?? 8,
    network: e.LINSTOCK_NETWORK ?? null,
  };
}
