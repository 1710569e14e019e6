/** Small made-up kernel files for tests: as much of the formats as the parser looks at. Not used by the product. */

export type ElfSample = {
  machine?: number;
  type?: number;
  banner?: string;
  note?: boolean;
  loadEnd?: number;
  interpreter?: boolean;
  loadFileBytes?: number;
  /** follows at a multiple of 8 */
  tail?: Buffer;
};

const ALIGN = 4;

export function elfSample(sample: ElfSample = {}): Buffer {
  const {
    machine = 62,
    type = 2,
    banner = 'Linux version 6.1.99-test (someone@somewhere) #1 SMP\n',
    note = true,
    loadEnd = 0x1e1_0000,
  } = sample;
  const noteBytes = note
    ? Buffer.concat([
        words(4, 3, 1),
        Buffer.from('GNU\0'),
        Buffer.from('abc\0'),
        words(4, 8, 18),
        Buffer.from('Xen\0'),
        words(0x100_0000, 0),
      ])
    : words(4, 0, 1, 0x554e47);
  const headers = sample.interpreter === true ? 3 : 2;
  const dataAt = 64 + headers * 56;
  const start = Buffer.from(`Linux version %s (%s)\0${banner}\0`, 'latin1');
  const gap = sample.tail === undefined ? 0 : (8 - ((dataAt + noteBytes.length + start.length) % 8)) % 8;
  const text = Buffer.concat([start, Buffer.alloc(gap), sample.tail ?? Buffer.alloc(0)]);
  const file = Buffer.alloc(dataAt + noteBytes.length + text.length + ALIGN);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(type, 16);
  file.writeUInt16LE(machine, 18);
  file.writeBigUInt64LE(0x100_0000n, 24);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(headers, 56);
  header(0, 4, dataAt, 0, noteBytes.length, noteBytes.length);
  header(1, 1, dataAt, 0x100_0000, sample.loadFileBytes ?? noteBytes.length + text.length, loadEnd - 0x100_0000);
  if (headers === 3) header(2, 3, dataAt, 0, 4, 4);
  noteBytes.copy(file, dataAt);
  text.copy(file, dataAt + noteBytes.length);
  return file;

  function header(index: number, segment: number, offset: number, physical: number, fileBytes: number, memoryBytes: number): void {
    const at = 64 + index * 56;
    file.writeUInt32LE(segment, at);
    file.writeBigUInt64LE(BigInt(offset), at + 8);
    file.writeBigUInt64LE(BigInt(physical), at + 24);
    file.writeBigUInt64LE(BigInt(fileBytes), at + 32);
    file.writeBigUInt64LE(BigInt(memoryBytes), at + 40);
  }
}

/** A bzImage around an already compressed payload (without the appended size). */
export function bzImageSample(payload: Buffer, unpackedBytes: number, options: { appendSize: boolean } = { appendSize: true }): Buffer {
  const whole = options.appendSize ? Buffer.concat([payload, words(unpackedBytes)]) : payload;
  const setupSectors = 3;
  const at = (setupSectors + 1) * 512 + 64;
  const file = Buffer.alloc(at + whole.length + 100);
  file[0x1f1] = setupSectors;
  file.writeUInt16LE(0xaa55, 0x1fe);
  file.write('HdrS', 0x202, 'latin1');
  file.writeUInt16LE(0x20f, 0x206);
  file.writeUInt16LE(1, 0x236); // XLF_KERNEL_64
  file.writeUInt16LE(0x400, 0x20e);
  file[0x211] = 1;
  file.writeUInt32LE(64, 0x248);
  file.writeUInt32LE(whole.length, 0x24c);
  file.write('6.1.99-test (someone@somewhere) #1 SMP\0', 0x600, 'latin1');
  whole.copy(file, at);
  return file;
}

const BANNER = 'Linux version 6.1.99-test (someone@somewhere) #1 SMP\n\0';

/** The flat image of arm64 with an EFI stub before it. */
export function arm64Sample(banner: string = BANNER): Buffer {
  const file = Buffer.alloc(256);
  file.write('MZ', 0, 'latin1');
  file.writeUInt32LE(file.length, 16);
  file.write('ARM\x64', 0x38, 'latin1');
  file.writeUInt32LE(0x40, 0x3c);
  file.write('PE\0\0\x64\xaa', 0x40, 'latin1');
  return Buffer.concat([file, Buffer.from(banner, 'latin1')]);
}

export function zbootSample(payload: Buffer): Buffer {
  const file = Buffer.alloc(256);
  file.write('MZ\0\0zimg', 0, 'latin1');
  file.writeUInt32LE(file.length, 8);
  file.writeUInt32LE(payload.length, 12);
  file.write('gzip', 24, 'latin1');
  file.writeUInt32LE(0x40, 0x3c);
  file.write('PE\0\0\x64\xaa', 0x40, 'latin1');
  return Buffer.concat([file, payload]);
}

/** An archive of empty files in the newc format, with its end mark. */
export function cpioSample(names: readonly string[]): Buffer {
  const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
  const entry = (name: string): Buffer => {
    const fields = [0, 0o100644, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.length + 1, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
    return padded(Buffer.from(`${header}${name}\0`, 'latin1'));
  };
  const archive = Buffer.concat([...names, 'TRAILER!!!'].map(entry));
  return Buffer.concat([archive, Buffer.alloc((512 - (archive.length % 512)) % 512)]);
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
  return bytes;
}
