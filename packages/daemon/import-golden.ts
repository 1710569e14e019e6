import { access, constants } from 'node:fs/promises';
import { resolve } from 'node:path';
import { FaultError, type FirecrackerSettings, type GoldenManifest } from '@linstock/contract';
import {
  addGolden,
  faultOfRefusal,
  importConfig,
  ImageStore,
  lookAtGolden,
  Paths,
  type AddGoldenRequest,
  type ImportChange,
  type LookedAt,
} from '@linstock/host';
import { newestVersion } from '@linstock/host/lint';
import { findRunning } from './background.ts';
import { clock } from './clock.ts';
import type { Progress } from './progress.ts';

export type ImportOptions = {
  /** the configuration file: how a person called it, its bytes, and where its relative paths begin */
  file: string;
  bytes: Uint8Array;
  folder: string;
  /** of the golden image */
  name: string;
  /** whether the VM will run on Firecracker */
  onFirecracker: boolean;
  /** whose image store it goes into; null keeps nothing: everything is looked at, and that is all */
  stateFolder: string | null;
  signal: AbortSignal;
  progress: Progress;
};
export type ImportedGolden = {
  /** null when nothing was kept */
  golden: { name: string; version: number } | null;
  /** whether this version was made now; false: the same content was there already */
  made: boolean;
  kernel: string;
  rootfsBytes: number;
  memoryMiB: number;
  vcpus: number;
  bootArgs: readonly string[];
  firecracker: FirecrackerSettings | null;
  changes: readonly ImportChange[];
  /** of the file itself, by the lint; its errors are a refusal */
  warnings: readonly { at: string; what: string; fix: string }[];
};

/**
 * A golden image from a Firecracker configuration file. The controller of the folder must run, because this writes into its image store and
 * what uses it is asked of it; both may be at work at once, as the store takes writers one after the other.
 */
export async function importGolden(o: ImportOptions): Promise<ImportedGolden> {
  // the newest takes what any older one takes, but for an eighteenth device
  const imported = importConfig(o.bytes, newestVersion(), o.onFirecracker);
  if (imported.is === 'refused') throw new FaultError('config-refused', { file: o.file, problems: imported.says.join(' ') });
  const { vm } = imported;
  const request: AddGoldenRequest = {
    name: o.name,
    kernelPath: resolve(o.folder, vm.kernel),
    rootfsPath: resolve(o.folder, vm.disk.path),
    ...(vm.initrd === null ? {} : { initrdPath: resolve(o.folder, vm.initrd) }),
    machine: { vcpus: vm.vcpus, memoryMiB: vm.memoryMiB },
    bootArgs: vm.bootArgs,
    progress: o.progress,
    signal: o.signal,
  };
  const kept = o.stateFolder === null ? null : await keep(request, o.stateFolder, o.signal);
  const looked = kept?.looked ?? (await lookAtGolden(request));
  if (!looked.ok) throw faultOfRefusal(looked, o.folder);
  const bzImage: readonly ImportChange[] =
    looked.kernelIs === 'bzImage'
      ? [
          {
            at: '/boot-source/kernel_image_path',
            says: 'This is a bzImage, which Firecracker up to 1.16.1 does not start: the vmlinux in it is taken.',
          },
        ]
      : [];
  return {
    golden: kept === null ? null : { name: kept.golden.name, version: kept.golden.version },
    made: kept?.made ?? false,
    kernel: looked.kernel.facts.release,
    rootfsBytes: looked.rootfs.bytes,
    memoryMiB: vm.memoryMiB,
    vcpus: vm.vcpus,
    bootArgs: vm.bootArgs,
    firecracker: vm.firecracker,
    changes: [...bzImage, ...imported.changes],
    warnings: imported.findings.filter(({ severity }) => severity === 'warning').map(({ at, what, fix }) => ({ at, what, fix })),
  };
}

type Kept = { golden: GoldenManifest; made: boolean; looked: LookedAt };

async function keep(request: AddGoldenRequest, stateFolder: string, signal: AbortSignal): Promise<Kept> {
  if ((await findRunning(stateFolder, signal)) === null)
    throw new FaultError('daemon-unreachable', { url: stateFolder, hint: 'an import needs the controller of this folder on this host' });
  const { images } = new Paths(stateFolder);
  await access(images, constants.W_OK).catch((cause: unknown) => {
    throw new FaultError(
      'host-lacks-permission',
      { what: `writing to ${images}`, hint: 'import as the user whom the controller runs as' },
      { cause },
    );
  });
  process.umask(0o077); // what is made here is for its owner only
  const store = new ImageStore({ folder: images, now: clock.now });
  await store.open();
  const before = await store.versions(request.name);
  const added = await addGolden(store, request);
  if (!added.ok) throw faultOfRefusal(added, stateFolder);
  return { golden: added.golden, made: !before.includes(added.golden.version), looked: added.looked };
}
