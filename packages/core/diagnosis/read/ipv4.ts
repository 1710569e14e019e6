import { parseAddress } from '../../wiring.ts';

/** Arithmetic on IPv4 addresses in text. Whatever is no address is null. */

export function prefixOfMask(mask: string): number | null {
  if (/^\d{1,2}$/.test(mask)) return Number(mask) <= 32 ? Number(mask) : null;
  const number = parseAddress(mask);
  if (number === null) return null;
  const bits = number.toString(2).padStart(32, '0');
  return /^1*0*$/.test(bits) ? (bits.indexOf('0') === -1 ? 32 : bits.indexOf('0')) : null;
}

export function sameSubnet(a: string, b: string, prefix: number): boolean {
  const [x, y] = [parseAddress(a), parseAddress(b)];
  if (x === null || y === null) return false;
  const size = 2 ** (32 - prefix);
  return Math.floor(x / size) === Math.floor(y / size);
}

export const ipv4 = '(?:\\d{1,3}\\.){3}\\d{1,3}';
export const macPattern = '[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}';
export const macOf = (text: string): string => text.toLowerCase();
