import { z } from 'zod';

/** What `kernel inspect`, `check` and `diff` tell. Options are named without `CONFIG_`. */

export const optionValueSchema = z.enum(['yes', 'module', 'no', 'unknown']);
export type OptionValue = z.infer<typeof optionValueSchema>;

export const knownBySchema = z
  .enum(['ikconfig', 'config-file', 'proved-by', 'absent-proved', 'implied', 'arch', 'version', 'nothing'])
  .meta({
    description:
      'ikconfig: the configuration inside of the kernel. config-file: one that was given or found. proved-by: something in the kernel that only this option puts there. absent-proved: that is not there, and what would be beside it is. implied: another option that is known cannot be without it. arch, version: Kconfig leaves no choice.',
  });
export type KnownBy = z.infer<typeof knownBySchema>;

export const knownOptionSchema = z.strictObject({
  option: z.string(),
  value: optionValueSchema,
  setting: z.string().nullable().meta({ description: 'the text or number it is set to, where it is not y, m or n' }),
  builtIn: z.boolean().nullable().meta({ description: 'false also where module and no cannot be told apart; null: not known' }),
  by: knownBySchema,
  how: z.string().meta({ description: 'the evidence in words, or why there is none' }),
  offset: z.int().nullable().meta({ description: 'where the evidence lies in the unpacked kernel' }),
});
export type KnownOption = z.infer<typeof knownOptionSchema>;

export const kernelReportSchema = z.strictObject({
  file: z.string(),
  bytes: z.int(),
  format: z.enum(['ELF vmlinux', 'bzImage', 'arm64 Image', 'EFI zboot']),
  wrapped: z.string().nullable().meta({ description: 'how the whole file is compressed, as Image.gz is' }),
  compression: z.string().meta({ description: 'of the kernel inside of the file; none where it lies bare' }),
  arch: z.string(),
  release: z.string().nullable(),
  banner: z.string().nullable(),
  build: z.strictObject({
    user: z.string().nullable(),
    host: z.string().nullable(),
    compiler: z.string().nullable(),
    number: z.string().nullable(),
    date: z.string().nullable(),
    flags: z.array(z.string()),
  }),
  unpackedBytes: z.int().nullable().meta({ description: 'of the kernel proper; null when it could not be unpacked' }),
  unreadable: z.string().nullable().meta({ description: 'why the kernel proper could not be read; options are then unknown' }),
  boot: z.array(z.strictObject({ protocol: z.string(), works: z.boolean(), detail: z.string() })),
  leastMemoryMiB: z.int().nullable().meta({ description: 'the end of its highest segment: with less it dies without a word' }),
  initrd: z.strictObject({ embedded: z.enum(['yes', 'no', 'unknown']), why: z.string() }),
  config: z.strictObject({
    by: z.enum(['ikconfig', 'config-file', 'none']),
    file: z.string().nullable(),
    refused: z.array(z.strictObject({ file: z.string(), why: z.string() })),
  }),
  options: z.array(knownOptionSchema),
});
export type KernelReport = z.infer<typeof kernelReportSchema>;

export const requirementVerdictSchema = z.enum(['met', 'missing', 'unknown', 'not-applicable']);
export type RequirementVerdict = z.infer<typeof requirementVerdictSchema>;

export const judgedRequirementSchema = z.strictObject({
  id: z.string(),
  level: z.enum(['required', 'advised']),
  verdict: requirementVerdictSchema,
  needs: z.string().meta({ description: 'the options, in words' }),
  found: z.string().meta({ description: 'what of it is known, and how' }),
  why: z.string(),
  symptom: z.string().nullable().meta({ description: 'what the console or the VMM shows when it is missing' }),
  next: z.string().nullable().meta({ description: 'what would settle or cure it' }),
  source: z.string(),
});
export type JudgedRequirement = z.infer<typeof judgedRequirementSchema>;

export const kernelCheckSchema = z.strictObject({
  kernel: kernelReportSchema,
  target: z.strictObject({
    vmm: z.enum(['firecracker', 'qemu']),
    version: z.string().nullable(),
    transport: z.enum(['mmio', 'pci']),
    needs: z.array(z.string()),
    golden: z.string().nullable().meta({ description: 'the golden version whose needs were asked for, `name@version`' }),
  }),
  verdict: z.enum(['fits', 'missing', 'unknown']),
  requirements: z.array(judgedRequirementSchema),
  noPart: z.array(z.strictObject({ option: z.string(), found: z.string(), why: z.string() })),
});
export type KernelCheck = z.infer<typeof kernelCheckSchema>;

export const kernelDiffSchema = z.strictObject({
  a: kernelReportSchema,
  b: kernelReportSchema,
  facts: z.array(z.strictObject({ fact: z.string(), a: z.string(), b: z.string() })),
  options: z.array(z.strictObject({ option: z.string(), a: knownOptionSchema, b: knownOptionSchema })),
  oneSided: z.array(z.strictObject({ option: z.string(), a: knownOptionSchema, b: knownOptionSchema })),
});
export type KernelDiff = z.infer<typeof kernelDiffSchema>;
