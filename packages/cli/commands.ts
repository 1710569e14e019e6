/** Every command, in the order in which the help shows them. */
import { buildCancel } from './commands/build/cancel.ts';
import { buildList } from './commands/build/list.ts';
import { buildShow } from './commands/build/show.ts';
import type { Command } from './command.ts';
import { bootList } from './commands/boot/list.ts';
import { bootShow } from './commands/boot/show.ts';
import { caseList } from './commands/case/list.ts';
import { caseShow } from './commands/case/show.ts';
import { completionCommand } from './commands/completion.ts';
import { diagnose } from './commands/diagnose.ts';
import { doctor } from './commands/doctor.ts';
import { down } from './commands/down.ts';
import { events } from './commands/events.ts';
import { goldenBuild } from './commands/golden/build.ts';
import { goldenDelete } from './commands/golden/delete.ts';
import { goldenDiff } from './commands/golden/diff.ts';
import { goldenExport } from './commands/golden/export.ts';
import { goldenHistory } from './commands/golden/history.ts';
import { goldenImport } from './commands/golden/import.ts';
import { goldenLint } from './commands/golden/lint.ts';
import { goldenList } from './commands/golden/list.ts';
import { goldenPromote } from './commands/golden/promote.ts';
import { goldenRollback } from './commands/golden/rollback.ts';
import { goldenShow } from './commands/golden/show.ts';
import { goldenVerify } from './commands/golden/verify.ts';
import { health } from './commands/health.ts';
import { hostShow } from './commands/host/show.ts';
import { kernelBuild } from './commands/kernel/build.ts';
import { kernelCheck } from './commands/kernel/check.ts';
import { kernelDelete } from './commands/kernel/delete.ts';
import { kernelDiff } from './commands/kernel/diff.ts';
import { kernelImport } from './commands/kernel/import.ts';
import { kernelInspect } from './commands/kernel/inspect.ts';
import { kernelList } from './commands/kernel/list.ts';
import { labRun } from './commands/lab/run.ts';
import { lint } from './commands/lint.ts';
import { networkList } from './commands/network/list.ts';
import { networkShow } from './commands/network/show.ts';
import { operationShow } from './commands/operation/show.ts';
import { rootfsBuild } from './commands/rootfs/build.ts';
import { rootfsLint } from './commands/rootfs/lint.ts';
import { rootfsDelete } from './commands/rootfs/delete.ts';
import { rootfsList } from './commands/rootfs/list.ts';
import { serve } from './commands/serve.ts';
import { test } from './commands/test.ts';
import { up } from './commands/up.ts';
import { version } from './commands/version.ts';
import { vmBundle } from './commands/vm/bundle.ts';
import { vmConsole } from './commands/vm/console.ts';
import { vmCreate } from './commands/vm/create.ts';
import { vmDelete } from './commands/vm/delete.ts';
import { vmDiagnose } from './commands/vm/diagnose.ts';
import { vmExec } from './commands/vm/exec.ts';
import { vmImport } from './commands/vm/import.ts';
import { vmList } from './commands/vm/list.ts';
import { vmPause } from './commands/vm/pause.ts';
import { vmProof } from './commands/vm/proof.ts';
import { vmResume } from './commands/vm/resume.ts';
import { vmShow } from './commands/vm/show.ts';
import { vmStart } from './commands/vm/start.ts';
import { vmStop } from './commands/vm/stop.ts';
import { vmVerify } from './commands/vm/verify.ts';

export const commands: readonly Command[] = [
  up,
  down,
  vmCreate,
  vmImport,
  vmList,
  vmShow,
  vmProof,
  vmConsole,
  vmBundle,
  vmDiagnose,
  vmExec,
  vmStart,
  vmStop,
  vmPause,
  vmResume,
  vmVerify,
  vmDelete,
  bootList,
  bootShow,
  caseList,
  caseShow,
  goldenBuild,
  goldenList,
  goldenShow,
  goldenLint,
  goldenVerify,
  goldenPromote,
  goldenRollback,
  goldenHistory,
  goldenDiff,
  goldenDelete,
  goldenExport,
  goldenImport,
  rootfsBuild,
  rootfsList,
  rootfsDelete,
  rootfsLint,
  kernelBuild,
  kernelImport,
  kernelList,
  kernelDelete,
  kernelInspect,
  kernelCheck,
  kernelDiff,
  buildList,
  buildShow,
  buildCancel,
  networkList,
  networkShow,
  hostShow,
  operationShow,
  lint,
  diagnose,
  events,
  health,
  doctor,
  serve,
  version,
  test,
  labRun,
  completionCommand(() => commands),
];
