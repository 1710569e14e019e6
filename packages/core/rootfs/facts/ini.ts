/**
 * Files of `[Section]` and `Key=value`: units and networks of systemd, connections of NetworkManager. Pure; any text gives settings.
 * Source: systemd.syntax(7): a backslash at the end goes on in the next line, comments between do not end it, an empty value of a key that
 * keeps a list forgets what came before.
 */
import { mostLines } from '../view.ts';

export type Setting = { section: string; key: string; value: string; path: string; line: number };

const mostValueLength = 8192;

export function parseIni(text: string, path: string): Setting[] {
  const settings: Setting[] = [];
  let section = '';
  let open: { text: string; line: number } | null = null;
  const lines = text.split('\n', mostLines);
  lines.forEach((raw, index) => {
    const trimmed = raw.trim();
    if (/^[#;]/.test(trimmed)) return;
    if (open === null && trimmed === '') return;
    const line: { text: string; line: number } = open ?? { text: '', line: index + 1 };
    if (trimmed.endsWith('\\') && index + 1 < lines.length) {
      open = { text: `${line.text}${trimmed.slice(0, -1)} `.slice(0, mostValueLength), line: line.line };
      return;
    }
    open = null;
    const whole = `${line.text}${trimmed}`;
    const head = /^\[([^\]]*)\]$/.exec(whole);
    if (head !== null) {
      section = head[1] ?? '';
      return;
    }
    const equals = whole.indexOf('=');
    if (equals <= 0) return;
    const value = whole.slice(equals + 1).trim();
    settings.push({ section, key: whole.slice(0, equals).trim(), value: value.slice(0, mostValueLength), path, line: line.line });
  });
  return settings;
}

/** Every value that counts of a key that keeps a list. */
export function valuesOf(settings: readonly Setting[], section: string, key: string): Setting[] {
  const own = settings.filter((setting) => setting.section === section && setting.key === key);
  return own.slice(own.findLastIndex(({ value }) => value === '') + 1);
}

/** The value that counts of a key that keeps its last one. */
export function lastOf(settings: readonly Setting[], section: string, key: string): Setting | null {
  return valuesOf(settings, section, key).at(-1) ?? null;
}

export function wordsOf(settings: readonly Setting[], section: string, key: string): string[] {
  return valuesOf(settings, section, key).flatMap(({ value }) => value.split(/\s+/).filter((word) => word !== ''));
}

/** systemd's yes and no (parse_boolean); null for other words. */
export function booleanOf(value: string): boolean | null {
  const word = value.toLowerCase();
  if (['1', 'yes', 'y', 'true', 't', 'on'].includes(word)) return true;
  return ['0', 'no', 'n', 'false', 'f', 'off'].includes(word) ? false : null;
}
