/** For `*.real.test.ts`: what this machine lacks for a test, as the reason to print. Not used by the product. */
import { exec } from '../tools/exec.ts';

/** The reason why tests with these programs cannot run here, or undefined. */
export async function lacks(...programs: readonly string[]): Promise<string | undefined> {
  const missing: string[] = [];
  for (const program of programs) {
    const result = await exec([program, '--version'], { timeoutMs: 20_000 });
    if (result.spawnError !== null) missing.push(program);
  }
  return missing.length === 0 ? undefined : `not installed here: ${missing.join(', ')}`;
}
