/**
 * Text from a guest, made fit to be shown: control characters (also C1 and the Unicode direction marks, which can turn a terminal line
 * around) become `.`, and the length is bounded.
 */
export function quote(text: string, most = 120): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, '.');
  return clean.length > most ? `${clean.slice(0, most).replace(/[\ud800-\udbff]$/, '')}…` : clean;
}

/** Bytes from a guest as such text, each byte a character. */
export function quoteBytes(bytes: Uint8Array, most = 60): string {
  return quote(Buffer.from(bytes.subarray(0, most + 1)).toString('latin1'), most);
}
