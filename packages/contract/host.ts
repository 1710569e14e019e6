import { z } from 'zod';

/** What a probe boot showed: the only thing that decides which accelerator is used. */
export const probeBootSchema = z.object({
  accelerator: z.enum(['kvm', 'tcg']),
  works: z.boolean(),
  evidence: z.string().meta({ description: 'what was run and what it answered, one line' }),
  ms: z.number(),
});
export type ProbeBoot = z.infer<typeof probeBootSchema>;

export const hostFactsSchema = z.object({
  accelerator: z.enum(['kvm', 'tcg']).meta({ description: 'what VMs run on here, by the probe boot' }),
  probes: z.array(probeBootSchema),
  tscKhz: z.int().nullable().meta({ description: 'host TSC frequency as the calibration boot found it; null with KVM' }),
  vmms: z.array(z.object({ name: z.enum(['qemu', 'firecracker']), path: z.string(), version: z.string() })),
  cores: z.int(),
  memoryMiB: z.int(),
  freeDiskMiB: z.int(),
  cgroup: z.enum(['v2', 'none']).meta({ description: 'whether VMs get a cgroup of their own' }),
  root: z.boolean(),
  kernel: z.string(),
  advice: z.array(z.string()).meta({ description: 'what this host lacks and what it would add' }),
  probedAt: z.number(),
});
export type HostFacts = z.infer<typeof hostFactsSchema>;

export const hostViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  facts: hostFactsSchema,
  vms: z.int().meta({ description: 'VMs with a live VMM' }),
});
export type HostView = z.infer<typeof hostViewSchema>;
