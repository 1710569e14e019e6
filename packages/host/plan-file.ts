import { join } from 'node:path';
import { z } from 'zod';
import { readTextIfThere, syncFile, syncFolder, writeWhole } from './tools/files.ts';
import { bootFile } from './tools/paths.ts';
import type { LaunchPlan } from './vmm/vmm.ts';

const tokens = z.array(z.string());
const schema = z.object({
  argv: tokens,
  commandLine: z.object({ given: tokens, addedForVmm: tokens, appendedByVmm: tokens }),
  /** of the VMM and the host as they were at the launch: a later proof of this boot is about these, whatever was upgraded since */
  vmm: z.enum(['qemu', 'firecracker', 'stub']).default('qemu'), // older plans did not say it
  vmmVersion: z.string(),
  accelerator: z.string(),
});
/** What was planned for one boot, kept in its folder. */
export type PlanFile = z.infer<typeof schema>;

/** Puts the plan in place; `settled` resolves when it is on the disk. */
export async function writePlan(
  folder: string,
  plan: LaunchPlan,
  host: Pick<PlanFile, 'vmm' | 'vmmVersion' | 'accelerator'>,
): Promise<{ settled: Promise<void> }> {
  const path = join(folder, bootFile.plan);
  const { argv, commandLine } = plan;
  await writeWhole(path, JSON.stringify({ argv, commandLine, ...host }, null, 1));
  return { settled: syncFile(path).then(() => syncFolder(folder)) };
}

/** Null when there is none, or none that can be read: then nothing is known about what was asked of this boot. */
export async function readPlan(folder: string): Promise<PlanFile | null> {
  const text = await readTextIfThere(join(folder, bootFile.plan));
  if (text === undefined) return null;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return null; // half a file after a power cut, or somebody's editor: unknown, not fatal
  }
}
