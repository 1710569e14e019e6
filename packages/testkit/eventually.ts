/** Looks again until the condition holds, and fails with what it saw last. The bound only says when to give up: no test asserts a time. */
export async function eventually<T>(look: () => T | Promise<T>, holds: (seen: T) => boolean = Boolean, withinMs = 20_000): Promise<T> {
  const until = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (performance.now() > until) throw new Error(`not within ${withinMs} ms; last seen: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
