/**
 * Text ids carry their kind: `vm_01j…`. Mixing two kinds is a compile error.
 * The part after the underscore is time-sortable, so lists have an order for free.
 */
export type Id<Kind extends string> = `${Kind}_${string}`;
export type VmId = Id<'vm'>;
/** one attempt to bring one VM up: one life of one VMM process */
export type BootId = Id<'boot'>;
export type OperationId = Id<'op'>;
export type HostId = Id<'host'>;

export const idKinds = ['vm', 'boot', 'op', 'net', 'host', 'evt', 'case'] as const;
export type IdKind = (typeof idKinds)[number];

/** milliseconds since the epoch, always from the injected clock */
export type Instant = number;

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'; // Crockford base32: no i, l, o, u

/**
 * 48 bits of time and 80 bits of randomness, as 26 characters (the ULID layout).
 * Pure: the caller brings clock and randomness.
 */
export function makeId<Kind extends IdKind>(kind: Kind, now: Instant, random: Uint8Array): Id<Kind> {
  if (random.length < 10) throw new Error('makeId needs 10 random bytes');
  let time = '';
  for (let rest = now, i = 0; i < 10; i += 1) {
    time = alphabet.charAt(rest % 32) + time;
    rest = Math.floor(rest / 32);
  }
  let tail = '';
  let bits = 0;
  let held = 0;
  for (const byte of random.subarray(0, 10)) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      tail += alphabet.charAt((held >> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return `${kind}_${time}${tail}`;
}

/** True when the text is a well-formed id of that kind. */
export function isId<Kind extends IdKind>(kind: Kind, text: string): text is Id<Kind> {
  return text.startsWith(`${kind}_`) && /^[0-9a-hjkmnp-tv-z]{26}$/.test(text.slice(kind.length + 1));
}
