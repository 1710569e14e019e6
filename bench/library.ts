/**
 * Library mode against @earendil-works/gondolin, A-B-A-B in one process, both executing the same stub program as their QEMU: from `create` to
 * the exec of the VMM. Gondolin is installed by this bench, by npm, in the exact version of bench/gondolin/package.json.
 *
 * What each side does by default for one VM:
 *   Linstock: settings resolved and stored (SQLite, synchronous=FULL), slot and boot claimed, namespace with TAP on a bridge, private
 *             overlay disk, cgroup, keeper; the VM outlives the program.
 *   gondolin: options resolved, overlay disk by qemu-img, network stack, file server and its sockets in the process; the VM is a child of
 *             the program. Its `barest` row is without overlay (QEMU's own snapshot), without network and without file server.
 *
 * Linstock has no HTTP here: the handlers of the controller are called as functions.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openController, readConfig } from '@linstock/daemon';
import { surveyHost } from '@linstock/host';
import { execFile, execTime, realNow } from './parts/program.ts';
import { note, taken } from './parts/samples.ts';
import { settled, Stage, until } from './parts/stage.ts';

export type LibraryPair = { linstock: number; gondolin: number; barest: number };
export type Library = { gondolin: string; pairs: readonly LibraryPair[] };

const home = join(import.meta.dirname, 'gondolin');
const version = '0.12.0';
const pairs = 40;
const calmMs = 400;

type GondolinVm = { start(): Promise<void>; close(): Promise<void> };
type Gondolin = { VM: { create(options: Record<string, unknown>): Promise<GondolinVm> } };

async function loadGondolin(): Promise<Gondolin> {
  const entry = join(home, 'node_modules/@earendil-works/gondolin/dist/src/index.js');
  if (!existsSync(entry)) execFileSync('npm', ['install', '--no-audit', '--no-fund'], { cwd: home, stdio: 'inherit' });
  return (await import(entry)) as Gondolin;
}

export async function library(): Promise<void> {
  const { VM } = await loadGondolin();
  const stage = await Stage.make({ subnet: '10.78.6.0/24', stub: true });
  const over = new AbortController();
  try {
    const { paths } = stage;
    const config = { ...readConfig(stage.environment), stateFolder: stage.stateFolder };
    const { facts } = await surveyHost({ ...config, paths, now: Date.now(), signal: over.signal });
    const silent = { info: () => undefined, error: (entry: object, text: string) => note(`  ${text} ${JSON.stringify(entry)}`) };
    const controller = await openController(config, facts, silent);
    const running = controller.run(over.signal);
    const caller = {
      who: 'bench',
      requestId: 'bench',
      signal: over.signal,
      waitMs: 0,
      ifMatch: null,
      once: null,
      lastEventId: null,
      wantsStream: false,
    };
    const { handlers } = controller;

    const boots = (): string[] => (existsSync(paths.boots) ? readdirSync(paths.boots) : []);
    const linstock = async (): Promise<number> => {
      const before = new Set(boots());
      const began = realNow();
      const answer = await handlers['vm.create'](
        {
          params: {},
          query: { until: 'accepted' },
          body: { golden: 'tiny', network: 'default', bootArgs: { add: [], replace: [], remove: [] }, start: true },
        } as never,
        caller,
      );
      const at = await until(
        () =>
          boots()
            .filter((boot) => !before.has(boot))
            .map((boot) => execTime(join(paths.boot(boot), execFile)))[0] ?? null,
      );
      const id = answer.is === 'document' ? answer.body.vm.id : '';
      await handlers['vm.delete']({ params: { id }, query: { until: 'deleted' }, body: undefined } as never, { ...caller, waitMs: 60_000 });
      await settled(calmMs);
      return at - began;
    };

    // the stub leaves its time in the working folder, which is ours when gondolin starts it
    const workplace = join(stage.folder, 'gondolin');
    mkdirSync(workplace);
    process.chdir(workplace);
    const assets = { kernelPath: '', initrdPath: '', rootfsPath: '' };
    const [golden] = await (
      await import('node:fs/promises')
    )
      .readFile(join(paths.images, 'goldens/tiny/1/manifest.json'), 'utf8')
      .then((text) => [JSON.parse(text) as { kernel: { blob: string }; initrd: { blob: string }; rootfs: { blob: string } }]);
    for (const [key, part] of [
      ['kernelPath', golden?.kernel],
      ['initrdPath', golden?.initrd],
      ['rootfsPath', golden?.rootfs],
    ] as const)
      assets[key] = join(paths.images, 'blobs/sha256', part?.blob ?? '');
    const gondolin = async (options: Record<string, unknown>, sandbox: Record<string, unknown>): Promise<number> => {
      rmSync(execFile, { force: true });
      const began = realNow();
      const vm = await VM.create({ ...options, startTimeoutMs: 0, sandbox: { qemuPath: stage.program, imagePath: assets, ...sandbox } });
      const starting = vm.start().catch(() => undefined); // no guest ever answers; it is closed below
      const at = await until(() => execTime(execFile));
      await vm.close();
      await Promise.race([starting, settled(50)]);
      await settled(calmMs);
      return at - began;
    };
    const byDefault = (): Promise<number> => gondolin({}, {});
    const barest = (): Promise<number> => gondolin({ vfs: null, rootfs: { mode: 'memory' } }, { netEnabled: false });

    process.env['PATH'] = '/usr/sbin:/usr/bin:/sbin:/bin'; // a search through a developer's PATH would be charged to gondolin
    await settled(2_000);
    for (let i = 0; i < 3; i += 1) for (const side of [linstock, byDefault, barest]) await side();
    await taken('library', 'create to exec of the VMM, library mode, against gondolin', async (): Promise<Library> => {
      const measured: LibraryPair[] = [];
      for (let i = 0; i < pairs; i += 1) {
        measured.push({ linstock: await linstock(), gondolin: await byDefault(), barest: await barest() });
        if (i % 10 === 0) note(`  pair ${i + 1} of ${pairs}: ${JSON.stringify(measured.at(-1))}`);
      }
      return { gondolin: version, pairs: measured };
    });
    over.abort();
    await running;
    await controller.close();
  } finally {
    over.abort();
    process.chdir('/');
    await stage.close();
  }
}
