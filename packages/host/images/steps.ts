/** Says what is being done while it is being done. */
import { join } from 'node:path';
import { listFolder, sizeIfThere } from '../tools/files.ts';
import type { Progress } from './store.ts';

/** How far a step is, asked every second; null where it cannot be known yet. */
export type Measure = () => Promise<{ done: number; total?: number; unit?: string } | null>;
export type Step = <T>(name: string, work: () => Promise<T>, measure?: Measure) => Promise<T>;

/** People see life at least every two seconds; a margin for a busy machine. */
const HEARTBEAT_MS = 1_000;

/** Tells each step when it begins and every second while it lasts. */
export function stepsTo(progress: Progress | undefined): Step {
  return async (name, work, measure) => {
    if (progress === undefined) return work();
    let over = false;
    const tell = (): void => {
      if (measure === undefined) return progress({ name });
      measure().then(
        (far) => {
          if (!over) progress({ name, ...far });
        },
        () => progress({ name }),
      );
    };
    progress({ name });
    const timer = setInterval(tell, HEARTBEAT_MS);
    try {
      return await work();
    } finally {
      over = true;
      clearInterval(timer);
    }
  };
}

/** Bytes of the packages in a folder against what they will have, also of one that is still coming (apt keeps it under its name or in partial/). */
export function packagesBelow(folder: string, total: number): Measure {
  return async () => ({ done: Math.min(await bytesBelow(folder), total), total, unit: 'bytes' });
}

export async function bytesBelow(folder: string): Promise<number> {
  let sum = 0;
  for (const name of await listFolder(folder)) {
    if (name.includes('.deb')) sum += (await sizeIfThere(join(folder, name))) ?? 0;
    else if (name === 'image' || name === 'modules' || name === 'partial') sum += await bytesBelow(join(folder, name));
  }
  return sum;
}
