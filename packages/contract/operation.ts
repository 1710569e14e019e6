import { z } from 'zod';
import { faultSchema } from './vm.ts';

/** The public face of one change under way. It does no work, and therefore cannot be half done. */
export const operationSchema = z.object({
  id: z.string(),
  kind: z.string().meta({ description: 'e.g. `vm.start`' }),
  subject: z.string(),
  by: z.string().meta({ description: 'who asked' }),
  state: z.enum(['running', 'succeeded', 'failed', 'replaced']),
  openedAt: z.number(),
  endedAt: z.number().nullable(),
  fault: faultSchema.nullable(),
});
export type Operation = z.infer<typeof operationSchema>;
