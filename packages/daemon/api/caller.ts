/** Who calls, and how they want the answer. Made once per request, at the border. */
export type Caller = {
  who: string;
  requestId: string;
  /** fires when the client has gone */
  signal: AbortSignal;
  /** `Prefer: wait=`, `ms`; 0 = answer at once */
  waitMs: number;
  /** `If-Match`, the resource version the change is meant for */
  ifMatch: number | null;
  /** `Idempotency-Key` with what it stands for; null when none was sent */
  once: { scope: string; key: string; bodyHash: string } | null;
  /** `Last-Event-ID`, where an event stream resumes */
  lastEventId: number | null;
  wantsStream: boolean;
};
