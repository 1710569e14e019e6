import { z } from 'zod';

/** What a probe boot showed: the only thing that decides which accelerator is used. */
export const probeBootSchema = z.object({
  accelerator: z.enum(['kvm', 'tcg']),
  works: z.boolean(),
  evidence: z.string().meta({ description: 'what was run and what it answered, one line' }),
  ms: z.number(),
});
export type ProbeBoot = z.infer<typeof probeBootSchema>;

/** One VMM of a host. Several of one name and different versions may be side by side. */
export const vmmFactsSchema = z.object({
  name: z.enum(['qemu', 'firecracker', 'stub']),
  path: z.string(),
  version: z.string(),
  usable: z.boolean().meta({ description: 'whether a VM may be made for it on this host' }),
  why: z.string().meta({ description: 'what was seen that makes it usable or not; for people' }),
  jailer: z.string().nullable().meta({ description: 'path of the jailer that it is run through; null: without one' }),
  confinement: z.string().meta({ description: 'what its process is shut in; for people' }),
  abilities: z.array(z.string()).meta({ description: 'what this exact version can do, by name' }),
});
export type VmmFacts = z.infer<typeof vmmFactsSchema>;

export const hostFactsSchema = z.object({
  accelerator: z.enum(['kvm', 'tcg']).meta({ description: 'what VMs run on here, by the probe boot' }),
  probes: z.array(probeBootSchema),
  tscKhz: z.int().nullable().meta({ description: 'host TSC frequency as the calibration boot found it; null with KVM' }),
  vmms: z.array(vmmFactsSchema).meta({ description: 'newest first of each name' }),
  usualVmm: z.enum(['qemu', 'firecracker', 'stub']).meta({ description: 'what a VM runs on when nobody asks for another' }),
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
