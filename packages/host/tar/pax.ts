/** Records of a PAX extended header: `LENGTH KEY=VALUE\n`; the length counts itself. Pure. Source: POSIX.1-2024 pax, "pax Extended Header". */

export type PaxRecords = ReadonlyMap<string, Buffer>;

/** Attributes of a file system, as star(5) and all after it write them. */
export const PAX_XATTR = 'SCHILY.xattr.';

export function paxRecord(key: string, value: Uint8Array | string): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** Null for what is damaged. */
export function parsePax(body: Buffer): PaxRecords | null {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 ? '' : body.toString('latin1', at, Math.min(space, at + 8));
    const length = /^\d{1,7}$/.test(digits) ? Number(digits) : 0;
    const last = at + length - 1;
    const equals = body.indexOf(0x3d, space);
    if (length === 0 || last >= body.length || body[last] !== 0x0a || equals < 0 || equals > last) return null;
    records.set(body.toString('utf8', space + 1, equals), body.subarray(equals + 1, last));
    at = last + 1;
  }
  return records;
}
