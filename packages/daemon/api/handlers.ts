import type { Handlers } from './app.ts';
import { buildHandlers } from './builds.ts';
import { caseHandlers } from './cases.ts';
import { goldenHandlers } from './goldens.ts';
import { metricsHandlers } from './metrics.ts';
import { otherHandlers } from './others.ts';
import type { Parts } from './parts.ts';
import { vmHandlers } from './vms.ts';

/** Every route's handler: a missing one does not compile. */
export function handlersOf(parts: Parts): Handlers {
  return {
    ...vmHandlers(parts),
    ...caseHandlers(parts),
    ...metricsHandlers(parts),
    ...goldenHandlers(parts),
    ...buildHandlers(parts),
    ...otherHandlers(parts),
  };
}
