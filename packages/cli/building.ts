/** What the commands that build images share: which recipe, what may be taken from before, and how they end. */
import { UsageError, type OptionSpec, type Tools } from './command.ts';
import type { BuildOptions } from './daemon-face.ts';

export const buildOptions = {
  from: {
    kind: 'text',
    flag: '--from <image>',
    doc: 'a container image instead of a recipe: oci:FOLDER, docker-archive:FILE, docker://REFERENCE',
  },
  newest: { kind: 'flag', flag: '--newest', doc: 'ask the archive or the registry, and build again when it has something newer' },
  fresh: { kind: 'flag', flag: '--fresh', doc: 'build everything again, from nothing that was made before' },
} as const satisfies Record<string, OptionSpec>;

type Given = { args: { recipe: string | undefined }; options: { from: string | undefined; newest: boolean; fresh: boolean } };

export function buildOf({ args, options }: Given, { stateFolder, signal, out }: Tools): BuildOptions {
  const named = args.recipe ?? options.from;
  if (named === undefined)
    throw new UsageError('which recipe? A name such as base, a file such as ./mine.json, or --from with a container image');
  if (args.recipe !== undefined && options.from !== undefined) throw new UsageError('a recipe and --from at once: name one of them');
  return {
    stateFolder,
    named,
    cwd: process.cwd(),
    use: options.fresh ? 'fresh' : options.newest ? 'newest' : 'as-built',
    signal,
    progress: (step) => out.progress(step),
  };
}

export const recipeArg = { kind: 'optional', doc: 'a recipe by name (tiny, base, desktop) or by its file (./mine.json)' } as const;
