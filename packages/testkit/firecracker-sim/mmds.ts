/** The data of the metadata service (api_server/request, vmm/src/mmds): a JSON value, RFC 7396 patches, a limit that is answered with 413, never in snapshots. */
import { Fault } from './fault.ts';
import type { Json } from './json.ts';
import { atLeast, type SimVersion } from './versions.ts';

export class MmdsStore {
  readonly #version: SimVersion;
  readonly #limit: number;
  #value: Json = null;
  #filled = false;
  #configured = false;

  constructor(version: SimVersion, limit: number) {
    this.#version = version;
    this.#limit = limit;
  }

  /** Nothing stored reads as an empty object. */
  get value(): Json {
    return this.#value ?? {};
  }

  configured(): void {
    this.#configured = true;
  }

  /** From 1.15 a running VM without a configured service has no store. */
  checkRuntime(): void {
    if (!this.#configured && atLeast(this.#version, '1.15.0')) throw new Fault('MMDS error: The MMDS data store is not initialized.');
  }

  put(value: Json): null {
    this.#fits(value);
    this.#value = value;
    this.#filled = true;
    return null;
  }

  patch(patch: Json): null {
    if (!this.#filled) throw new Fault('MMDS error: The MMDS data store is not initialized.');
    const value = merge(this.#value, patch);
    this.#fits(value);
    this.#value = value;
    return null;
  }

  #fits(value: Json): void {
    if (Buffer.byteLength(JSON.stringify(value)) > this.#limit)
      throw new Fault("MMDS limit exceeded error: The MMDS patch request doesn't fit.", 413);
  }
}

/** RFC 7396. */
function merge(target: Json, patch: Json): Json {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const before = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  const result = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, merge(result.get(key) ?? null, value));
  }
  return Object.fromEntries(result);
}
