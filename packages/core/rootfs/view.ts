/**
 * What one sees of a root file system, as questions with answers that are values. The facts (`facts/`) are pure functions of such a view;
 * where the answers come from (an ext4 image, a tar, a folder, a test) is the host's affair.
 *
 * Absence and not being able to look are two answers: nothing is concluded from a place that could not be read.
 */

export type NodeKind = 'file' | 'folder' | 'symlink' | 'device' | 'other';

export type ImageNode = {
  kind: NodeKind;
  /** permission bits */
  mode: number;
  uid: number;
  bytes: number;
  /** of a symlink: where it leads, as written */
  target: string | null;
};

export type Unreadable = { is: 'unreadable'; why: string };
/** `path` is where the way ended: for a link, where it leads. `loop`: links that lead round in circles. */
export type Absent = { is: 'absent'; path: string; loop: boolean };
/** `path` is the place itself, links followed. */
export type Look = { is: 'there'; path: string; node: ImageNode } | Absent | Unreadable;
export type Listed = { name: string; kind: NodeKind };
/** Sorted by name. */
export type Listing = { is: 'there'; path: string; entries: readonly Listed[] } | Absent | Unreadable;
/** `cut`: the file is longer than what was asked for. */
export type Content = { is: 'there'; path: string; bytes: Uint8Array; cut: boolean } | Absent | Unreadable;

export interface ImageView {
  /** links followed */
  stat(path: string): Look;
  /** the last name is not followed when it is a link */
  lstat(path: string): Look;
  list(path: string): Listing;
  read(path: string, mostBytes: number): Content;
}

/** Configuration files have a few KB; what is longer is data. */
export const mostTextBytes = 256 * 1024;

/** The text of a configuration file; null when it is not there or is no text. */
export function textOf(view: ImageView, path: string): string | null {
  const content = view.read(path, mostTextBytes);
  if (content.is !== 'there') return null;
  const text = new TextDecoder().decode(content.bytes);
  // Longer lines are data, and patterns would be slow on them.
  if (text.includes('\0')) return null;
  const lines = text.split('\n');
  return lines.some((line) => line.length > mostLineLength) ? lines.map((line) => line.slice(0, mostLineLength)).join('\n') : text;
}

const mostLineLength = 2048;

export function namesIn(view: ImageView, path: string): readonly string[] {
  const listing = view.list(path);
  return listing.is === 'there' ? listing.entries.map(({ name }) => name) : [];
}

export function isThere(view: ImageView, path: string): boolean {
  return view.stat(path).is === 'there';
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export type Line = { text: string; line: number };

/** Lines that say something: trimmed, neither empty nor a comment. */
export function tellingLines(text: string, comment = '#'): Line[] {
  return text
    .split('\n', mostLines)
    .map((raw, index) => ({ text: raw.trim(), line: index + 1 }))
    .filter((one) => one.text !== '' && !comment.includes(one.text.charAt(0)));
}

/** More than any configuration file has. */
export const mostLines = 20_000;

/** A place that was asked for and could not be read. */
export type Trouble = { path: string; why: string };

/** The same view, and what it could not answer. */
export function watched(view: ImageView): { view: ImageView; troubles: Trouble[] } {
  const troubles: Trouble[] = [];
  const noted = <A extends Look | Listing | Content>(path: string, answer: A): A => {
    if (answer.is === 'unreadable' && !troubles.some((one) => one.path === path)) troubles.push({ path, why: answer.why });
    return answer;
  };
  return {
    troubles,
    view: {
      stat: (path) => noted(path, view.stat(path)),
      lstat: (path) => noted(path, view.lstat(path)),
      list: (path) => noted(path, view.list(path)),
      read: (path, mostBytes) => noted(path, view.read(path, mostBytes)),
    },
  };
}
