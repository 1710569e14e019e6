import type { BuildOrder, BuildView, Fault } from '@linstock/contract';

/** A build that ends its controller each time is not begun for ever. */
export const MOST_TRIES = 3;

export type BuildDecision =
  /** nothing to do: it is under way, or over */
  | { do: 'wait' }
  /** nobody is at it: it begins, or begins again where the last try stopped */
  | { do: 'begin' }
  /** somebody asked for its end, and it is under way here */
  | { do: 'stop' }
  | { do: 'end'; fault: Fault };

/** What is next for a build. Pure. `live`: this controller is at it. */
export function decideBuild(build: Pick<BuildView, 'state' | 'cancelBy' | 'tries' | 'subject'>, live: boolean): BuildDecision {
  const { cancelBy, tries, subject } = build;
  if (build.state !== 'running') return { do: 'wait' };
  if (cancelBy !== null) return live ? { do: 'stop' } : { do: 'end', fault: { code: 'build-cancelled', data: { subject, by: cancelBy } } };
  if (live) return { do: 'wait' };
  return tries < MOST_TRIES ? { do: 'begin' } : { do: 'end', fault: { code: 'build-interrupted', data: { subject, tries } } };
}

/** What is built, in words: two builds of the same would do the same twice, so only one is under way at a time. */
export function subjectOf(order: BuildOrder): string {
  switch (order.what) {
    case 'golden':
      return `golden ${order.name ?? order.recipe}`;
    case 'rootfs':
      return `rootfs ${order.recipe}`;
    case 'kernel':
      return `kernel ${order.name ?? order.series}`;
  }
}

export function newBuild(id: string, order: BuildOrder, by: string, now: number): BuildView {
  const operation = { id, kind: `${order.what}.build`, subject: subjectOf(order), by, state: 'running' as const, openedAt: now };
  return { ...operation, endedAt: null, fault: null, order, steps: [], far: null, tries: 0, cancelBy: null, result: null };
}
