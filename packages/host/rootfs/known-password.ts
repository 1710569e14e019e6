/**
 * Whether a password hash is made from a word that everybody tries. Promises: bounded work per hash, no password is ever told but one of the list.
 * Read: $1$ (MD5, as in FreeBSD and busybox), $5$ and $6$ (Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512"). Not read: yescrypt, bcrypt, DES.
 */
import { createHash } from 'node:crypto';

/** What image recipes write, and what is tried first on every machine. */
export const KNOWN_PASSWORDS = [
  'root',
  'toor',
  'password',
  'passw0rd',
  'admin',
  'user',
  'test',
  'changeme',
  'secret',
  '123456',
  '12345678',
  'debian',
  'ubuntu',
  'alpine',
  'fedora',
  'linux',
  'vagrant',
  'firecracker',
  'vnc',
  'guest',
  'live',
  'qwerty',
] as const;

/** The default is 5,000; a hash that asks for more work than this is not tried. */
const mostRounds = 10_000;

export function knownPassword(hash: string): string | null {
  const match = /^\$([156])\$(?:rounds=(\d{1,9})\$)?([^$:]{0,16})\$([./0-9A-Za-z]{22,86})$/.exec(hash);
  if (match === null) return null;
  const [, kind, rounds, salt = '', sum] = match;
  const asked = Math.max(1000, Number(rounds ?? 5000));
  if (asked > mostRounds) return null;
  const make = (word: string): string =>
    kind === '1' ? md5crypt(word, salt) : shacrypt(kind === '5' ? 'sha256' : 'sha512', word, salt, asked);
  return KNOWN_PASSWORDS.find((word) => make(word) === sum) ?? null;
}

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Bytes in the order given, three at a time, six bits a letter, the lowest first. */
function letters(digest: Buffer, order: readonly (readonly [number, number, number])[], last: { value: number; count: number }): string {
  const take = (value: number, count: number): string => {
    let text = '';
    for (let index = 0; index < count; index++) text += ALPHABET.charAt((value >> (6 * index)) & 63);
    return text;
  };
  const groups = order.map(([a, b, c]) => take(((digest[a] ?? 0) << 16) | ((digest[b] ?? 0) << 8) | (digest[c] ?? 0), 4));
  return groups.join('') + take(last.value, last.count);
}

const digestOf = (kind: string, ...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash(kind);
  for (const part of parts) hash.update(part);
  return hash.digest();
};

function repeated(bytes: Buffer, length: number): Buffer {
  return Buffer.alloc(length, bytes);
}

function md5crypt(word: string, fullSalt: string): string {
  const key = Buffer.from(word);
  const salt = Buffer.from(fullSalt.slice(0, 8));
  const other = digestOf('md5', key, salt, key);
  const odd: Buffer[] = [];
  for (let bits = key.length; bits > 0; bits >>= 1) odd.push((bits & 1) === 1 ? Buffer.alloc(1) : key.subarray(0, 1));
  let sum = digestOf('md5', key, Buffer.from('$1$'), salt, repeated(other, key.length), ...odd);
  for (let round = 0; round < 1000; round++) {
    const isOdd = round % 2 === 1;
    sum = digestOf('md5', isOdd ? key : sum, ...(round % 3 === 0 ? [] : [salt]), ...(round % 7 === 0 ? [] : [key]), isOdd ? sum : key);
  }
  const order = [
    [0, 6, 12],
    [1, 7, 13],
    [2, 8, 14],
    [3, 9, 15],
    [4, 10, 5],
  ] as const;
  return letters(sum, order, { value: sum[11] ?? 0, count: 2 });
}

function shacrypt(kind: 'sha256' | 'sha512', word: string, saltText: string, rounds: number): string {
  const key = Buffer.from(word);
  const salt = Buffer.from(saltText);
  const b = digestOf(kind, key, salt, key);
  const parts = [key, salt, repeated(b, key.length)];
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? b : key);
  const a = digestOf(kind, ...parts);
  const p = repeated(digestOf(kind, ...Array.from({ length: key.length }, () => key)), key.length);
  const s = repeated(digestOf(kind, ...Array.from({ length: 16 + (a[0] ?? 0) }, () => salt)), salt.length);
  let sum = a;
  for (let round = 0; round < rounds; round++) {
    const isOdd = round % 2 === 1;
    sum = digestOf(kind, isOdd ? p : sum, ...(round % 3 === 0 ? [] : [s]), ...(round % 7 === 0 ? [] : [p]), isOdd ? sum : p);
  }
  return kind === 'sha256'
    ? letters(sum, ORDER_256, { value: ((sum[31] ?? 0) << 8) | (sum[30] ?? 0), count: 3 })
    : letters(sum, ORDER_512, { value: sum[63] ?? 0, count: 2 });
}

/** Each group turns the one before: (a, b, c) → (b + 1, c + 1, a + 1) for SHA-512, (c + 1, a + 1, b + 1) for SHA-256. */
function orders(
  first: readonly [number, number, number],
  count: number,
  turn: (of: readonly [number, number, number]) => readonly [number, number, number],
): (readonly [number, number, number])[] {
  const all = [first];
  for (let at = first; all.length < count; all.push(at)) at = turn(at);
  return all;
}
const ORDER_256 = orders([0, 10, 20], 10, ([a, b, c]) => [c + 1, a + 1, b + 1]);
const ORDER_512 = orders([0, 21, 42], 21, ([a, b, c]) => [b + 1, c + 1, a + 1]);
