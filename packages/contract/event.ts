import { z } from 'zod';

/** One entry of the append-only log, CloudEvents 1.0 names plus a gap-free sequence. */
export const eventSchema = z.object({
  seq: z.int(),
  id: z.string(),
  source: z.string(),
  type: z.string().meta({ description: 'e.g. `vm.phase`, `vm.wish`, `operation.ended`, `boot.proved`' }),
  subject: z.string(),
  time: z.number(),
  data: z.record(z.string(), z.unknown()),
});
export type LinstockEvent = z.infer<typeof eventSchema>;
