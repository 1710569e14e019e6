/** What the commands that build share: what is ordered, who builds it, and how its way is shown. */
import { FaultError, type BuildOrder, type BuildResult, type BuildView } from '@linstock/contract';
import { UsageError, type OptionSpec, type Tools } from './command.ts';
import { loadBuilder } from './daemon-face.ts';

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

export function recipeOf({ args, options }: Given): { recipe: string; cwd: string; use: 'fresh' | 'newest' | 'as-built' } {
  const recipe = args.recipe ?? options.from;
  if (recipe === undefined)
    throw new UsageError('which recipe? A name such as base, a file such as ./mine.json, or --from with a container image');
  if (args.recipe !== undefined && options.from !== undefined) throw new UsageError('a recipe and --from at once: name one of them');
  return { recipe, cwd: process.cwd(), use: options.fresh ? 'fresh' : options.newest ? 'newest' : 'as-built' };
}

export const recipeArg = { kind: 'optional', doc: 'a recipe by name (tiny, base, desktop) or by its file (./mine.json)' } as const;

type ResultOf<W> = Extract<BuildResult, { what: W }>;

/** The controller builds where one runs, and goes on when this command ends; where none does, this process builds. */
export async function build<W extends BuildOrder['what']>(order: Extract<BuildOrder, { what: W }>, tools: Tools): Promise<ResultOf<W>> {
  const { out, signal, stateFolder, url } = tools;
  const builder = url === undefined ? await loadBuilder() : null;
  const alone = builder !== null && (await builder.findRunning(stateFolder, signal)) === null;
  const result = alone
    ? await builder.buildHere(stateFolder, order, { signal, progress: (step) => out.progress(step) })
    : await byController(order, tools);
  out.quiet();
  return result as ResultOf<W>; // an order is answered with a result of its kind
}

/** A controller holds each answer for so long; then it is told how far it is. */
const HELD_SECONDS = 1;

async function byController(order: BuildOrder, tools: Tools): Promise<BuildResult> {
  const { out, signal, self } = tools;
  const { builds } = await tools.api();
  let view = await builds.start(order, { signal });
  const { id } = view;
  try {
    for (let shown = 0; view.state === 'running'; view = await builds.show(id, { signal, waitSeconds: HELD_SECONDS }))
      shown = tell(view, shown, out);
  } catch (error) {
    if (signal.aborted) out.say(`The controller goes on with it: ${self} build show ${id}; ${self} build cancel ${id} ends it.`);
    throw error;
  }
  if (view.result === null) throw faultOf(view);
  return view.result;
}

/** Every step is named once, also those that came and went between two answers. */
function tell({ steps, far }: BuildView, shown: number, out: Tools['out']): number {
  for (const { name } of steps.slice(shown, -1)) out.progress({ name });
  const last = steps.at(-1);
  if (last === undefined) out.progress({ name: 'wait for the controller to begin' });
  else
    out.progress({
      name: last.name,
      ...(far === null
        ? {}
        : { done: far.done, ...(far.total === null ? {} : { total: far.total }), ...(far.unit === null ? {} : { unit: far.unit }) }),
    });
  return steps.length;
}

function faultOf({ fault, id }: BuildView): FaultError {
  if (fault === null) throw new Error(`the build ${id} has neither a result nor a fault`);
  return new FaultError(fault.code, fault.data);
}
