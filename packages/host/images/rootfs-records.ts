/** The records of root file systems in a store, as they lie there: rootfs/NAME/DIGEST.json. Reads only, and makes no folder. */
import { join } from 'node:path';
import { rootfsRecordSchema } from '@linstock/contract';
import type { RootfsRecord } from '@linstock/contract';
import { listFolder, readTextIfThere } from '../tools/files.ts';

/** Oldest first. A record that cannot be read is none: what it was about is built again. */
export async function readRootfsRecords(store: string, name?: string): Promise<{ path: string; record: RootfsRecord }[]> {
  const found: { path: string; record: RootfsRecord }[] = [];
  for (const one of name === undefined ? await listFolder(join(store, 'rootfs')) : [name]) {
    const folder = join(store, 'rootfs', one);
    for (const file of (await listFolder(folder)).filter((word) => word.endsWith('.json'))) {
      const path = join(folder, file);
      const record = recordIn((await readTextIfThere(path)) ?? '');
      if (record !== undefined) found.push({ path, record });
    }
  }
  return found.toSorted((a, b) => a.record.createdAt - b.record.createdAt);
}

/**
 * Those whose images are kept although no golden version is made of them: of each name and kernel the newest. What it took the place of goes like
 * any other file that nobody needs. Pure.
 */
export function heldRootfs(records: readonly RootfsRecord[]): RootfsRecord[] {
  const newest = new Map<string, RootfsRecord>();
  for (const record of records.toSorted((a, b) => a.createdAt - b.createdAt))
    newest.set(`${record.name} ${record.madeWith['modules'] ?? ''}`, record);
  return [...newest.values()];
}

function recordIn(text: string): RootfsRecord | undefined {
  try {
    const parsed = rootfsRecordSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined; // not JSON
  }
}
