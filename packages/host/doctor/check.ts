/** What a check is: data, and one pure function from what was read to a finding. */
import type { Grade, HostVerdict } from '@linstock/contract';
import type { Answer, HostReadings, KernelFile, Reading } from './readings.ts';

export type Check = {
  id: string;
  grade: Grade;
  expected: string;
  /** for a `must` of production also what the risk is, so that a development host can judge for itself */
  why: string;
  /** what to do when it is bad */
  fix: string;
  look(host: HostReadings): Finding;
};

/** `expected` and `fix` only where they differ from what the check says. */
export type Finding = { verdict: HostVerdict; read: string; expected?: string; fix?: string; needsRoot?: boolean };

export const ok = (read: string): Finding => ({ verdict: 'ok', read });
export const bad = (read: string, more: Pick<Finding, 'expected' | 'fix'> = {}): Finding => ({ verdict: 'bad', read, ...more });
export const notApplicable = (read: string): Finding => ({ verdict: 'not-applicable', read });
/** Unknown is an answer: what could not be read is never taken for what it should be. `fix` is how to get to know. */
export const unknown = (read: string, fix: string): Finding => ({ verdict: 'unknown', read, fix });
export const onlyRoot = (read: string): Finding => ({ ...unknown(read, 'Run linstock doctor as root.'), needsRoot: true });

export const isForbidden = (errno: string): boolean => errno === 'EACCES' || errno === 'EPERM';

/** What may not be read: root may, or nobody can. */
export function unread(host: HostReadings, what: string, errno: string): Finding {
  if (host.uid !== 0 && isForbidden(errno)) return onlyRoot(`${what} may only be read by root (${errno})`);
  return unknown(`${what} cannot be read (${errno})`, `Look at it by hand: cat ${what}`);
}

/** A check of one file: what its absence means differs, what its being unreadable means does not. */
export function byFile(host: HostReadings, path: KernelFile, absent: Finding, judge: (text: string) => Finding): Finding {
  return byReading(host, path, host.files[path], absent, judge);
}

export function byReading(host: HostReadings, path: string, reading: Reading, absent: Finding, judge: (text: string) => Finding): Finding {
  if (reading.is === 'absent') return absent;
  return reading.is === 'text' ? judge(reading.text.trim()) : unread(host, path, reading.errno);
}

/** A check of what a tool printed. `lacking`: the program is not there. */
export function byAnswer(answer: Answer, lacking: Finding, judge: (ran: Extract<Answer, { is: 'ran' }>) => Finding): Finding {
  if (answer.is === 'absent') return lacking;
  if (answer.is === 'ran') return judge(answer);
  return answer.needsRoot ? onlyRoot(answer.why) : unknown(answer.why, 'Ask it by hand.');
}

/** The text of a file, or null for whatever reason: for what is only told beside. */
export function textOf(reading: Reading): string | null {
  return reading.is === 'text' ? reading.text.trim() : null;
}

/** A whole number and nothing else; null for anything that is none. */
export function wholeNumber(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

export function notANumber(path: string, text: string): Finding {
  return unknown(`${path} says ${JSON.stringify(text.slice(0, 60))}, which is no number`, `Look at it by hand: cat ${path}`);
}

/** The value behind a name in files such as /proc/self/status: `Name:\tvalue`. */
export function valueOf(text: string, name: string): string | null {
  const line = text.split('\n').find((one) => one.startsWith(`${name}:`));
  return line === undefined ? null : line.slice(name.length + 1).trim();
}

/** `1 GiB`, `350 MiB`. */
export function size(bytes: number): string {
  const mib = bytes / 1_048_576;
  return mib >= 10_240 ? `${Math.round(mib / 1024)} GiB` : mib >= 1024 ? `${(mib / 1024).toFixed(1)} GiB` : `${Math.round(mib)} MiB`;
}

/** At most so many are named, and how many more there are. */
export function some(items: readonly string[], most = 6): string {
  return items.length <= most ? items.join(', ') : `${items.slice(0, most).join(', ')} and ${items.length - most} more`;
}

/** Whether this host is itself a guest; null when its processors were not read. */
export function isGuest(host: HostReadings): boolean | null {
  const flags = cpuFlags(host);
  return flags === null ? null : flags.includes('hypervisor');
}

export function cpuFlags(host: HostReadings): readonly string[] | null {
  const text = textOf(host.files['/proc/cpuinfo']);
  const flags = text === null ? undefined : /^flags\s*:\s*(.*)$/m.exec(text)?.[1];
  return flags === undefined ? null : flags.split(' ');
}

/** MemTotal in bytes. */
export function memoryBytes(host: HostReadings): number | null {
  const kib = /^MemTotal:\s*(\d{1,15}) kB$/m.exec(textOf(host.files['/proc/meminfo']) ?? '')?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}
