/**
 * Fragments: pieces of a kernel configuration that say what is asked for. Stricter than Kconfig, which passes over what it does not
 * understand: here a line that means nothing is refused by its number. Pure; never throws.
 */

export type Asked = { option: string; value: string; line: number };
export type Fragment = { name: string; text: string; asked: readonly Asked[] };

const MAX_BYTES = 1024 * 1024;
const MAX_LINE = 2_000;
const MAX_OPTIONS = 20_000;
const MAX_PROBLEMS = 5;

/** y, m, n, a decimal or hexadecimal number, or a text in quotes. */
const VALUE = /^(?:[ymn]|-?\d{1,20}|0[xX][0-9a-fA-F]{1,16}|"(?:[^"\\]|\\["\\])*")$/;

export function readFragment(name: string, text: string): { ok: true; fragment: Fragment } | { ok: false; say: string } {
  if (text.length > MAX_BYTES)
    return { ok: false, say: `${name} has more than ${MAX_BYTES} characters, which is no fragment of a configuration` };
  const asked = new Map<string, Asked>();
  const problems: string[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = index + 1;
    const wrong = (what: string): void => void problems.push(`line ${line}: ${what}`);
    if (raw.length > MAX_LINE) wrong(`it has more than ${MAX_LINE} characters`);
    const one = raw.length > MAX_LINE ? null : meaningOf(raw.trim());
    if (one === 'nothing' || one === null) continue;
    if (one === 'unclear') {
      wrong(`${JSON.stringify(raw.trim().slice(0, 80))} is neither CONFIG_NAME=value nor "# CONFIG_NAME is not set" nor a comment`);
      continue;
    }
    const before = asked.get(one.option);
    if (before !== undefined && before.value !== one.value) wrong(`CONFIG_${one.option} is asked for otherwise in line ${before.line}`);
    asked.set(one.option, { ...one, line });
    if (asked.size > MAX_OPTIONS) return { ok: false, say: `${name} names more than ${MAX_OPTIONS} options` };
  }
  if (problems.length === 0) return { ok: true, fragment: { name, text, asked: [...asked.values()] } };
  const more = problems.length > MAX_PROBLEMS ? `; and ${problems.length - MAX_PROBLEMS} more` : '';
  return { ok: false, say: `${name}, ${problems.slice(0, MAX_PROBLEMS).join('; ')}${more}` };
}

function meaningOf(line: string): 'nothing' | 'unclear' | Omit<Asked, 'line'> {
  if (line === '') return 'nothing';
  if (line.startsWith('#')) {
    const off = /^# ?CONFIG_(\w+) is not set$/.exec(line)?.[1];
    return off === undefined ? 'nothing' : { option: off, value: 'n' };
  }
  const [, option, value] = /^CONFIG_(\w{1,200})=(.*)$/.exec(line) ?? [];
  return option === undefined || value === undefined || !VALUE.test(value) ? 'unclear' : { option, value };
}

/** What several fragments ask for together: of two that name an option the later one is right. */
export function layFragments(fragments: readonly Fragment[]): ReadonlyMap<string, Asked & { from: string }> {
  const all = new Map<string, Asked & { from: string }>();
  for (const { name, asked } of fragments) for (const one of asked) all.set(one.option, { ...one, from: name });
  return all;
}

/** As `KCONFIG_ALLCONFIG` reads it. */
export function askingText(all: ReadonlyMap<string, Asked>): string {
  return [...all.values()].map(({ option, value }) => `CONFIG_${option}=${value}\n`).join('');
}
