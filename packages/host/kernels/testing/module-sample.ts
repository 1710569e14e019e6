/** A made-up kernel module: as much of ELF as depmod and modinfo look at. */
export function moduleSample(name: string, o: { depends?: string; alias?: string } = {}): Buffer {
  const modinfo = Buffer.from(
    [`name=${name}`, `depends=${o.depends ?? ''}`, ...(o.alias === undefined ? [] : [`alias=${o.alias}`])].join('\0') + '\0',
  );
  const names = Buffer.from('\0.modinfo\0.shstrtab\0');
  const [modinfoAt, namesAt] = [64, 64 + modinfo.length];
  const sectionsAt = Math.ceil((namesAt + names.length) / 8) * 8;
  const file = Buffer.alloc(sectionsAt + 3 * 64);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(1, 16); // relocatable
  file.writeUInt16LE(62, 18); // x86-64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(sectionsAt), 40);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(64, 58);
  file.writeUInt16LE(3, 60);
  file.writeUInt16LE(2, 62);
  modinfo.copy(file, modinfoAt);
  names.copy(file, namesAt);
  const section = (index: number, nameAt: number, type: number, at: number, bytes: number): void => {
    const header = file.subarray(sectionsAt + index * 64);
    header.writeUInt32LE(nameAt, 0);
    header.writeUInt32LE(type, 4);
    header.writeBigUInt64LE(BigInt(at), 24);
    header.writeBigUInt64LE(BigInt(bytes), 32);
  };
  section(1, 1, 1, modinfoAt, modinfo.length);
  section(2, 10, 3, namesAt, names.length);
  return file;
}
