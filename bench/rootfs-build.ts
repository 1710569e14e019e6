/**
 * What a build of the recipe `base` costs when nothing of it is there, when one file of it changed, and when nothing did: cold, changed and found,
 * one after the other in each round, in one state folder. Cold takes nothing that was made before (`--fresh`), so each package is fetched from
 * Debian again: its time is also that of the archive and the line to it. Needs root and mmdebstrap.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildHere } from '@linstock/daemon';
import { note, taken } from './parts/samples.ts';

export type RootfsBuildRound = { cold: number; changed: number; found: number };
export type RootfsBuild = { recipe: string; bytes: number; rounds: readonly RootfsBuildRound[] };

const rounds = 3;

export async function rootfsBuild(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'linstock-bench-'));
  const build = async (use: 'as-built' | 'fresh', text: string): Promise<{ ms: number; built: boolean; bytes: number }> => {
    const files = [{ path: 'etc/motd', text }];
    writeFileSync(join(folder, 'recipe.json'), JSON.stringify({ name: 'bench', from: 'base', files }));
    const signal = new AbortController().signal;
    const began = performance.now();
    const order = { what: 'rootfs' as const, recipe: './recipe.json', cwd: folder, use };
    const { rootfs, built } = await buildHere(join(folder, 'state'), order, { signal, progress: () => undefined });
    return { ms: performance.now() - began, built, bytes: rootfs.rootfs.bytes };
  };
  const expect = (built: boolean, wanted: boolean): void => {
    if (built !== wanted) throw new Error(wanted ? 'an image was found that had to be built' : 'an image was built that was there');
  };
  try {
    await taken(
      'rootfs-build',
      'a build of the recipe base: cold, with one file changed, found as it was',
      async (): Promise<RootfsBuild> => {
        const measured: RootfsBuildRound[] = [];
        let bytes = 0;
        for (let round = 0; round < rounds; round += 1) {
          const cold = await build('fresh', `cold ${round}\n`);
          const changed = await build('as-built', `changed ${round}\n`);
          const found = await build('as-built', `changed ${round}\n`);
          for (const [one, wanted] of [
            [cold, true],
            [changed, true],
            [found, false],
          ] as const)
            expect(one.built, wanted);
          bytes = cold.bytes;
          measured.push({ cold: cold.ms, changed: changed.ms, found: found.ms });
          note(`  round ${round + 1} of ${rounds}: ${JSON.stringify(measured.at(-1))}`);
        }
        return { recipe: 'base', bytes, rounds: measured };
      },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
