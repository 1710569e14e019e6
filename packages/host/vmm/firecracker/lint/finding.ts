/** What a lint says, and the two ways in which its rules look at a configuration. */
import { cleanText } from '@linstock/core';
import { isRecord } from '../checks.ts';

/**
 * `error`: Firecracker does not start, or what the file asks for cannot come true. `warning`: it starts, and probably not as it was meant.
 * `note`: worth knowing.
 */
export type Severity = 'error' | 'warning' | 'note';
export type Finding = {
  severity: Severity;
  /** JSON pointer (RFC 6901); '' is the whole file */
  at: string;
  what: string;
  why: string;
  fix: string;
};

export type Section = Readonly<Record<string, unknown>>;
export type Say = (severity: Severity, at: string, what: string, why: string, fix: string) => void;

/** More than any true sentence has: a hostile file chooses keys and values that are quoted in it. */
const mostSentence = 600;
const mostPointer = 300;

/** Gathers findings; what came from the file is cleaned and bounded here, once. */
export function gathering(): { findings: Finding[]; say: Say } {
  const findings: Finding[] = [];
  const say: Say = (severity, at, what, why, fix) => {
    const [whatSaid, whySaid, fixSaid] = [what, why, fix].map((text) => cleanText(text, mostSentence)) as [string, string, string];
    findings.push({ severity, at: cleanText(at, mostPointer), what: whatSaid, why: whySaid, fix: fixSaid });
  };
  return { findings, say };
}

/** A section that is there and an object; else one without fields, because what is wrong with it has been said. */
export function section(config: Section, name: string): Section {
  const value = config[name];
  return isRecord(value) ? value : {};
}

/** The entries of a section that is a list. No Firecracker takes more devices than this, and a longer list is a finding of its own. */
export function list(config: Section, name: string): readonly Section[] {
  const value = config[name];
  return Array.isArray(value) ? (value as unknown[]).slice(0, 64).map((entry) => (isRecord(entry) ? entry : {})) : [];
}

/** A value of the file in a sentence. */
export function quoted(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 80);
}
