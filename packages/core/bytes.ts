/** Reading numbers and text out of bytes, without Node. Pure; what lies outside of the bytes reads as zero or as nothing. */

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

export function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
}

/** 64 bits as a number: exact up to 2^53, which is more than any file or guest memory; above it, close enough to be refused. */
export function u64(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) + u32(bytes, at + 4) * 0x1_0000_0000;
}

/** One character per byte. */
export function latin1(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  const end = Math.min(to, bytes.length);
  for (let at = Math.max(0, from); at < end; at++) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}

/** Whether the bytes at a place are this text, a character per byte. */
export function isAt(bytes: Uint8Array, at: number, text: string): boolean {
  if (at < 0 || at + text.length > bytes.length) return false;
  for (let index = 0; index < text.length; index++) if (bytes[at + index] !== text.charCodeAt(index)) return false;
  return true;
}
