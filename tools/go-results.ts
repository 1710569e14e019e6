/** What `go test -json` says, counted the way vitest counts: each leaf once, a package that does not build as one failure. Pure. */
export type Counts = { passed: number; failed: number; skipped: number };
export type GoResults = Counts & {
  /** a line each: a test that failed or was skipped, with its last words */
  lines: readonly string[];
};

type Event = { Action?: unknown; Package?: unknown; Test?: unknown; Output?: unknown };

/** How much of a failing test's output is shown. */
const MOST_OUTPUT_LINES = 30;

export function readGoEvents(output: string): GoResults {
  const ends = new Map<string, 'pass' | 'fail' | 'skip'>();
  const said = new Map<string, string[]>();
  for (const line of output.split('\n')) {
    const event = parse(line);
    if (event === null || typeof event.Package !== 'string') continue;
    const name = `${event.Package} ${typeof event.Test === 'string' ? event.Test : ''}`.trim();
    if (event.Action === 'pass' || event.Action === 'fail' || event.Action === 'skip') ends.set(name, event.Action);
    if (event.Action === 'output' && typeof event.Output === 'string') said.set(name, [...(said.get(name) ?? []), event.Output.trimEnd()]);
  }
  const names = [...ends.keys()];
  const lines: string[] = [];
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [name, end] of ends) {
    const isPackage = !name.includes(' ');
    const within = names.filter((other) => other.startsWith(isPackage ? `${name} ` : `${name}/`));
    // A package or a parent ends as its parts do; it counts only when it failed and none of its parts did.
    if (
      isPackage
        ? end !== 'fail' || within.some((part) => ends.get(part) === 'fail')
        : within.length > 0 && (end !== 'fail' || within.some((part) => ends.get(part) === 'fail'))
    )
      continue;
    counts[end === 'pass' ? 'passed' : end === 'fail' ? 'failed' : 'skipped'] += 1;
    const words = (said.get(name) ?? []).filter((word) => !/^\s*(?:===|---) /.test(word));
    if (end === 'skip') lines.push(`  skipped: ${name}: ${words.at(-1)?.trim() ?? 'no reason given'}`);
    if (end === 'fail') lines.push(`  FAILED: ${name}`, ...words.slice(-MOST_OUTPUT_LINES).map((word) => `    ${word.trim()}`));
  }
  return { ...counts, lines };
}

function parse(line: string): Event | null {
  if (!line.startsWith('{')) return null;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    // go mixes its own words into the stream when a build fails; they are shown from standard error.
    return null;
  }
}
