import type { Evidence } from '../evidence.ts';
import type { Picture } from '../picture.ts';
import type { Line } from '../text.ts';
import type { Finding } from './rule.ts';

/**
 * Messages that say their cause by themselves, as data: what a program prints when exactly this is wrong. Each family keeps its own table.
 * A signature names its cause only where the message can come from: `where`.
 */
export type Signature = {
  code: string;
  says: RegExp;
  /**
   * `vmm`: words of a VMM, jailer, controller or runtime; `guest`: may be of a guest; `inside`: certainly of one; `host`: kernel log and
   * tools of the host
   */
  where: 'vmm' | 'guest' | 'inside' | 'host' | 'any';
  but?: RegExp;
  confidence?: 'likely' | 'possible';
  /** the VM works in spite of it unless something else is wrong */
  degrades?: true;
  /** only when nothing shows that the VM was reached */
  unlessReached?: true;
};

function comesFrom(line: Line, where: Signature['where']): boolean {
  if (where === 'any') return true;
  if (where === 'inside') return line.console || line.place === 'guest';
  if (where === 'guest')
    return (
      line.console ||
      line.place === 'guest' ||
      (line.kind === 'host' && line.place === 'unknown') ||
      /image|guest|service|unit/.test(line.section)
    );
  return !(line.kind === 'console' && line.console) && line.place !== 'guest';
}

export function bySignature(table: readonly Signature[], e: Evidence, p: Picture): Finding[] {
  const found = new Map<Signature, Line[]>();
  for (const line of e.lines) {
    if (line.body.length < 6 || e.plain.has(line)) continue;
    for (const signature of table) {
      if (!comesFrom(line, signature.where) || !signature.says.test(line.body) || signature.but?.test(line.body)) continue;
      const lines = found.get(signature);
      if (lines === undefined) found.set(signature, [line]);
      else if (lines.length < 3) lines.push(line);
      break;
    }
  }
  return [...found].flatMap(([s, lines]) =>
    s.unlessReached && p.reached !== null && !p.lost
      ? []
      : [
          {
            code: s.code,
            confidence: s.confidence ?? 'likely',
            because: lines.map((l) => p.citeLine(l)),
            ...(s.degrades ? { degrades: true as const } : {}),
          },
        ],
  );
}
