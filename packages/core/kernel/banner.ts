/**
 * The line with which every kernel begins (`linux_banner`, init/version.c), and what it says of the build. Pure; never throws.
 *
 *     Linux version 6.1.99 (user@host) (gcc (Debian 12.2.0-14) 12.2.0, GNU ld 2.40) #1 SMP PREEMPT Mon Nov 24 11:00:00 UTC 2026
 *
 * A bzImage keeps the same without the compiler (arch/x86/boot/version.c). Before 5.8 the compiler stood as `gcc version 7.5.0`.
 */
import { latin1 } from '../bytes.ts';
import type { Version } from '../versions.ts';
import { findNeedles } from './needles.ts';
import type { Range } from './needles.ts';

export type Banner = {
  /** the whole line */
  text: string;
  /** `6.1.0-56-cloud-amd64`: what `uname -r` prints and modules are built for */
  release: string;
  /** null when the release does not begin with two numbers */
  version: Version | null;
  user: string | null;
  host: string | null;
  compiler: string | null;
  /** `1` of `#1`; some distributions put text behind the number */
  buildNumber: string | null;
  /** words such as SMP, PREEMPT, PREEMPT_DYNAMIC */
  flags: readonly string[];
  date: string | null;
};

/** The longest banner kept. */
const MAX_BANNER_CHARS = 400;
/** A kernel has two, and the format string; a piece of one that holds a copy of another kernel has more. */
const MAX_BANNERS = 64;
const START = 'Linux version ';

/** A kernel is looked through in pieces of this size, and no further than its banner. */
const PIECE_BYTES = 4 * 1024 * 1024;

/**
 * The banner of a kernel. Passed over: `Linux version %s`, a format string of the same kernel (a version starts with a digit). Since
 * Linux 6.1 there are two: one of an early link stage without the build number (`… # SMP …`) and the one that is printed (`… #1 SMP …`).
 */
export function bannerIn(file: Uint8Array, ranges: readonly Range[]): Banner | null {
  let text: string | null = null;
  for (const { from, to } of ranges) {
    for (let at = from; at < Math.min(to, file.length); at += PIECE_BYTES) {
      const piece = { from: at, to: Math.min(to, at + PIECE_BYTES + START.length) };
      for (const place of findNeedles(file, [START], [piece], MAX_BANNERS).get(START) ?? []) {
        const line = lineAt(file, place);
        if (!/^Linux version \d/.test(line)) continue;
        if (/ #\d/.test(line)) return readBanner(line);
        text = line;
      }
    }
  }
  return text === null ? null : readBanner(text);
}

/** Printable text from a place to the first byte that is not. */
export function lineAt(file: Uint8Array, at: number): string {
  return (/^[\x20-\x7e]*/.exec(latin1(file, at, at + MAX_BANNER_CHARS))?.[0] ?? '').trimEnd();
}

/** A banner with or without its first two words; null when no release is in it. */
export function readBanner(text: string): Banner | null {
  const rest = text.replace(/^Linux version /, '');
  const release = /^\d\S*/.exec(rest)?.[0];
  if (release === undefined) return null;
  const [builder, afterBuilder] = parenthesised(rest.slice(release.length));
  const [compiler, afterCompiler] = parenthesised(afterBuilder);
  const [user = null, host = null] = builder === null ? [] : splitOnce(builder, '@');
  const build = /#(\d\S*)?(.*)$/.exec(afterCompiler);
  const tail = build?.[2]?.trim() ?? '';
  const flags = /^(?:(?:SMP|PREEMPT\w*)(?: |$))*/.exec(tail)?.[0] ?? '';
  const date = tail.slice(flags.length).trim();
  return {
    text,
    release,
    version: versionOfRelease(release),
    user,
    host,
    compiler,
    buildNumber: build?.[1] ?? null,
    flags: flags.split(' ').filter((word) => word !== ''),
    date: date === '' ? null : date,
  };
}

/** `6.1.0-56-cloud-amd64` is 6.1.0, `6.18` is 6.18.0. */
export function versionOfRelease(release: string): Version | null {
  const match = /^(\d{1,3})\.(\d{1,3})(?:\.(\d{1,5}))?(?!\d)/.exec(release);
  if (match === null) return null;
  const [major = 0, minor = 0, patch = 0] = match.slice(1, 4).map((word) => Number(word ?? 0));
  return { major, minor, patch, text: `${major}.${minor}.${patch}` };
}

/** What stands in the parentheses at the beginning, which may hold others, and what follows. */
function parenthesised(text: string): [inside: string | null, rest: string] {
  const from = text.length - text.trimStart().length;
  if (text[from] !== '(') return [null, text];
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '(') depth++;
    if (text[at] === ')' && --depth === 0) return [text.slice(from + 1, at), text.slice(at + 1)];
  }
  return [null, text];
}

function splitOnce(text: string, mark: string): [string, string | null] {
  const at = text.lastIndexOf(mark);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
}
