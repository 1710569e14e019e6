import type * as daemon from '@linstock/daemon';
import type * as diagnosing from '@linstock/daemon/diagnose';
import type * as kernels from '@linstock/daemon/kernels';
import type * as lint from '@linstock/daemon/lint';

/** What `up`, `down`, `serve` and `doctor` use of the controller's package; loaded only by them, so that other commands start fast. */
export type DaemonFace = Pick<
  typeof daemon,
  'prepare' | 'startInBackground' | 'serve' | 'stop' | 'purge' | 'doctor' | 'exec' | 'isStaticElf'
>;
export type Prepared = Awaited<ReturnType<DaemonFace['prepare']>>;
export type Started = Awaited<ReturnType<DaemonFace['startInBackground']>>;
export type Ran = Awaited<ReturnType<DaemonFace['exec']>>;

/** What the commands that build images use of it. */
export type BuildFace = Pick<typeof daemon, 'buildHere' | 'findRunning' | 'listRootfs' | 'deleteRootfs' | 'readFragmentFile'>;

export function loadBuilder(): Promise<BuildFace> {
  return import('@linstock/daemon');
}

export function loadDaemon(): Promise<DaemonFace> {
  return import('@linstock/daemon');
}

/** What `golden export` and `golden import` use of it. */
export type GoldenFileFace = Pick<typeof daemon, 'exportGoldenFile' | 'importFromGoldenFile'>;

export function loadGoldenFiles(): Promise<GoldenFileFace> {
  return import('@linstock/daemon');
}

/** What `vm import` uses of it. */
export type ImportFace = Pick<typeof daemon, 'importGolden' | 'mostConfigBytes'>;
export type ImportedGolden = daemon.ImportedGolden;

export function loadImport(): Promise<ImportFace> {
  return import('@linstock/daemon');
}

/** The lint, and nothing of a controller. */
export type LintFace = typeof lint;
export type PlacedFinding = lint.PlacedFinding;

export function loadLint(): Promise<LintFace> {
  return import('@linstock/daemon/lint');
}

/** The diagnosis of files, and nothing of a controller. */
export type DiagnoseFace = typeof diagnosing;

export function loadDiagnose(): Promise<DiagnoseFace> {
  return import('@linstock/daemon/diagnose');
}

/** What `rootfs lint` uses of it: it needs no controller, only code that reads images. */
export type RootfsLintFace = Pick<typeof daemon, 'lintRootfs' | 'faultOfRefusal'>;

export function loadRootfsLint(): Promise<RootfsLintFace> {
  return import('@linstock/daemon');
}

/** What the `kernel` commands use: reading files, without a controller and without what one is made of. */
export function loadKernels(): Promise<typeof kernels> {
  return import('@linstock/daemon/kernels');
}

/** What the `kernel` commands use that keep kernels. */
export type KernelStoreFace = Pick<typeof daemon, 'importKernel' | 'listKernels' | 'deleteKernel' | 'findKernel'>;

export function loadKernelStore(): Promise<KernelStoreFace> {
  return import('@linstock/daemon');
}
