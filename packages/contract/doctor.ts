import { z } from 'zod';

/** `must`: security or correctness. `should`: trouble at scale or under load. `may`: speed and room. */
export const gradeSchema = z.enum(['must', 'should', 'may']);
export type Grade = z.infer<typeof gradeSchema>;

export const hostVerdictSchema = z.enum(['ok', 'bad', 'unknown', 'not-applicable']);
export type HostVerdict = z.infer<typeof hostVerdictSchema>;

export const hostCheckSchema = z.object({
  id: z.string().meta({ description: 'check, e.g. `kvm.runs-guests`; it never changes its meaning' }),
  grade: gradeSchema,
  verdict: hostVerdictSchema,
  read: z.string().meta({ description: 'what was read and from where, cleaned of control characters' }),
  expected: z.string(),
  why: z.string().meta({ description: 'the reason for the check, one sentence or two' }),
  fix: z.string().nullable().meta({ description: 'what to do; null when there is nothing to do' }),
  needsRoot: z.boolean().meta({ description: 'whether it is unknown only because whoever asked is not root' }),
});
export type HostCheck = z.infer<typeof hostCheckSchema>;

const count = z.int().min(0);
export const doctorReportSchema = z.object({
  kernel: z.string().meta({ description: 'release of the kernel of this host' }),
  root: z.boolean(),
  at: z.number().meta({ description: 'when it was looked at, `ms` since the epoch' }),
  checks: z.array(hostCheckSchema),
  summary: z.object({
    ok: count,
    bad: count,
    unknown: count,
    notApplicable: count,
    /** of `bad`: these decide the exit code */
    badMusts: count,
    /** of `unknown`: they may hide a bad one */
    unknownMusts: count,
    /** of `unknown`: root would get an answer */
    needRoot: count,
  }),
});
export type DoctorReport = z.infer<typeof doctorReportSchema>;
