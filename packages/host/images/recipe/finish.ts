/** What every image gets at the end, whatever it was made of: our agent, an init, and the folders that a boot mounts on. */
import { imageFault } from '../refusal.ts';
import { INIT_PATH, LINSTOCK_FOLDER, addWhatRuntimesAdd, startOf } from '../oci/start.ts';
import type { ImageConfig } from '../oci/layout.ts';
import { fileNode, folderNode } from '../tree/tree.ts';
import type { Tree } from '../tree/tree.ts';
import { enableUnit } from '../tree/units.ts';
import type { LoadedRecipe } from './load.ts';

/** In the folder of our recipes, and in images with systemd. */
export const AGENT_UNIT = 'linstock-agent.service';

/** `unit`: how systemd starts the agent. */
export type Programs = { agent: Buffer | null; unit: string; init: Buffer | null };

export type Init = { path: string; is: 'systemd' | 'other' };
const SYSTEMD = ['usr/lib/systemd/systemd', 'lib/systemd/systemd'];

/** What becomes PID 1. `config`: of the container image that the tree was made from. */
export async function finish(tree: Tree, loaded: LoadedRecipe, programs: Programs, config: ImageConfig | undefined): Promise<Init> {
  if (loaded.init === 'linstock') {
    if (programs.init === null) throw new Error('an image with our init was built without it');
    if (config === undefined)
      throw imageFault(
        `The recipe ${loaded.name} has "init": "linstock", which starts what a container image starts; it is made from none. Name a program of the tree.`,
      );
    const start = await startOf(config, tree, `The image of ${loaded.name}`);
    // one of its own would be taken for ours
    tree.put(LINSTOCK_FOLDER, folderNode());
    tree.clear(LINSTOCK_FOLDER);
    tree.put(INIT_PATH.slice(1), fileNode(programs.init, 0o755));
    tree.put(`${LINSTOCK_FOLDER}/start.json`, fileNode(`${JSON.stringify(start, null, 2)}\n`));
    if (programs.agent !== null) tree.put(`${LINSTOCK_FOLDER}/agent`, fileNode(programs.agent, 0o755));
    addWhatRuntimesAdd(tree, start.cwd, start);
    return { path: INIT_PATH, is: 'other' };
  }
  if (programs.agent !== null) {
    tree.put('usr/sbin/linstock-agent', fileNode(programs.agent, 0o755));
    if (SYSTEMD.some((path) => tree.seen(path) !== undefined)) {
      tree.put(`etc/systemd/system/${AGENT_UNIT}`, fileNode(programs.unit));
      await enableUnit(tree, AGENT_UNIT);
    }
  }
  addWhatRuntimesAdd(tree, '/', { uid: 0, gid: 0 });
  const init = tree.seen(loaded.init.slice(1));
  if (init?.kind !== 'file' || (init.mode & 0o111) === 0)
    throw imageFault(
      `The tree of ${loaded.name} has no program ${loaded.init}, so nothing could be PID 1. Add one (in Debian the package systemd-sysv), or name another with "init".`,
    );
  return { path: loaded.init, is: SYSTEMD.some((path) => tree.seen(path) === init) ? 'systemd' : 'other' };
}
