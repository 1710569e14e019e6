/** The records of kernels in a store, as they lie there: kernels/NAME/VERSION/record.json. Reads only, and makes no folder. */
import { join } from 'node:path';
import { kernelRecordSchema } from '@linstock/contract';
import type { KernelRecord } from '@linstock/contract';
import { listFolder, readTextIfThere } from '../tools/files.ts';

export const KERNEL_RECORD = 'record.json';

export type FoundRecord = {
  name: string;
  version: number;
  path: string;
  /** undefined: damaged */
  record: KernelRecord | undefined;
};

export function kernelLine(store: string, name: string): string {
  return join(store, 'kernels', name);
}

/** Every record, by name and version; a number without a record is that of a kernel that was deleted. */
export async function readKernelRecords(store: string): Promise<FoundRecord[]> {
  const found: FoundRecord[] = [];
  for (const name of await listFolder(join(store, 'kernels'))) {
    const numbers = (await listFolder(kernelLine(store, name))).filter((word) => /^[1-9]\d{0,8}$/.test(word)).map(Number);
    for (const version of numbers.toSorted((a, b) => a - b)) {
      const path = join(kernelLine(store, name), String(version), KERNEL_RECORD);
      const text = await readTextIfThere(path);
      if (text !== undefined) found.push({ name, version, path, record: parseKernelRecord(text, name, version) });
    }
  }
  return found;
}

export function parseKernelRecord(text: string, name: string, version: number): KernelRecord | undefined {
  try {
    const parsed = kernelRecordSchema.safeParse(JSON.parse(text));
    return parsed.success && parsed.data.name === name && parsed.data.version === version ? parsed.data : undefined;
  } catch {
    // Not JSON: the caller says that the record is damaged, which is all there is to know.
    return undefined;
  }
}
