import type { GoldenManifest } from '@linstock/contract';
import type { Db } from './dialects/dialect.ts';
import { fromJson, type VmRow } from './rows.ts';

/** Manifests held in memory. One has some kilobytes and an installation some dozens; the rest is read again. */
const mostHeld = 64;

/**
 * A manifest is named by its digest and never changes, so it is stored and parsed once, not once per VM.
 * What it hands out is shared and therefore frozen.
 */
export class GoldenShelf {
  readonly #held = new Map<string, GoldenManifest>();

  /** The manifests of these rows, by digest. */
  async of(db: Db, rows: readonly Pick<VmRow, 'golden'>[]): Promise<ReadonlyMap<string, GoldenManifest>> {
    const found = new Map<string, GoldenManifest>();
    const missing = new Set<string>();
    for (const { golden } of rows) {
      const held = this.#held.get(golden);
      if (held) found.set(golden, held);
      else missing.add(golden);
    }
    if (missing.size > 0) {
      const read = await db
        .selectFrom('goldens')
        .selectAll()
        .where('digest', 'in', [...missing])
        .execute();
      for (const row of read) {
        const manifest = frozen(fromJson<GoldenManifest>({ table: 'goldens', row: row.digest }, 'manifest', row.manifest));
        found.set(row.digest, manifest);
        this.#hold(row.digest, manifest);
      }
    }
    return found;
  }

  #hold(digest: string, manifest: GoldenManifest): void {
    const oldest = this.#held.size >= mostHeld ? this.#held.keys().next().value : undefined;
    if (oldest !== undefined) this.#held.delete(oldest);
    this.#held.set(digest, manifest);
  }
}

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) frozen(part);
    Object.freeze(value);
  }
  return value;
}
