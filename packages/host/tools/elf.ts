/** Whether an ELF file needs no loader: it has no PT_INTERP header. Its first 4 KiB are enough. Not an ELF file of 64 bits: no. */
export function isStaticElf(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.length < 64 || view.getUint32(0) !== 0x7f454c46 || head[4] !== 2 || head[5] !== 1) return false;
  const table = Number(view.getBigUint64(32, true));
  const size = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  if (size < 4 || count === 0 || table + size * count > head.length) return false;
  const PT_INTERP = 3;
  for (let i = 0; i < count; i += 1) if (view.getUint32(table + i * size, true) === PT_INTERP) return false;
  return true;
}
