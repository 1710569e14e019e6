/** How a VM looks: the same in `vm list`, `vm show`, after a change, and in `up`. */
import type { BootView, VmView } from '@linstock/contract';
import { exitCodes, type ExitCode, type Tools } from './command.ts';
import { moment, plain, proofSummary, verdictCell, type Cell, type Paint } from './render.ts';
import type { Changed } from '@linstock/sdk';

const statePaint: Partial<Record<VmView['state'], Paint>> = {
  running: 'green',
  failed: 'red',
  starting: 'yellow',
  creating: 'yellow',
  stopping: 'yellow',
  deleting: 'yellow',
  deleted: 'dim',
};

export function stateCell(vm: VmView): Cell {
  const paint = statePaint[vm.state];
  return paint === undefined ? vm.state : { text: vm.state, paint };
}

/** Only a VM that is up has something to prove; for another one the verdict would be about the past. */
export function verifiedCell(vm: VmView): Cell {
  return vm.state === 'stopped' || vm.state === 'deleted' ? '-' : verdictCell(vm.verified);
}

export function reachOf(vm: VmView): string {
  return vm.reach.map((one) => `${one.port}→${one.host}:${one.hostPort}`).join(' ') || '-';
}

export function vmPairs(vm: VmView): (readonly [string, Cell | readonly string[]])[] {
  return [
    ['name', vm.name],
    ['id', vm.id],
    ['state', stateCell(vm)],
    ['verified', verifiedCell(vm)],
    ...(vm.says === null ? [] : [['fault', { text: vm.says, paint: 'red' }] as const]),
    ...(vm.stumble === null ? [] : [['retrying', `after ${vm.stumble.code}: ${Object.values(vm.stumble.data).join(' ')}`] as const]),
    ['phase', `${vm.phase} (wish: ${vm.wish})`],
    ['golden', `${vm.golden.name}@${vm.golden.version}  ${vm.golden.digest.slice(0, 12)}`],
    ['machine', `${vm.vcpus} vCPU, ${vm.memoryMiB} MiB, ${vm.vmm}${vm.vmmVersion === null ? '' : ` ${vm.vmmVersion}`}`],
    ['network', `${vm.network}  ${vm.address ?? 'no address'}  ${vm.mac ?? ''}`],
    ['reach', vm.reach.map((one) => `port ${one.port} at ${one.host}:${one.hostPort}`)],
    ['boot', vm.boot ?? '-'],
    ['operation', vm.operation ?? '-'],
    ['allowed', vm.allowed.join(', ') || '-'],
    ['created', moment(vm.createdAt)],
    ['version', String(vm.version)],
  ];
}

export function bootPairs(boot: BootView): (readonly [string, Cell | readonly string[]])[] {
  return [
    ['boot', boot.id],
    ['vm', `${boot.vmName}  ${boot.vm}`],
    ['kind', boot.kind],
    ['started', moment(boot.startedAt)],
    [
      'ended',
      boot.endedAt === null
        ? '-'
        : `${moment(boot.endedAt)}${boot.end === null ? '' : `  ${boot.end.reason}, by ${boot.end.actor}${boot.end.exit === null ? '' : ` (${boot.end.exit})`}`}`,
    ],
    ['golden', `${boot.golden.name}@${boot.golden.version}  ${boot.golden.digest.slice(0, 12)}`],
    ['vmm', `${boot.vmm}${boot.vmmVersion === null ? '' : ` ${boot.vmmVersion}`}, ${boot.accelerator}`],
    ['network', `${boot.address}  ${boot.mac}`],
    ['asked args', boot.requestedArgs.join(' ') || '-'],
    ['added args', boot.addedArgs.join(' ') || '-'],
    ['effective', boot.effectiveArgs ?? 'not seen on the console'],
    ['console', `${boot.consoleBytes} bytes`],
    ['proof', boot.proof === null ? 'not examined yet' : proofSummary(boot.proof)],
    ...(boot.fault === null
      ? []
      : [['fault', { text: `${boot.fault.code}: ${Object.values(boot.fault.data).join(' ')}`, paint: 'red' }] as const]),
  ];
}

/** What a wait shows while it lasts. */
export function watching(tools: Tools): { onAccepted(vm: VmView): void; onView(vm: VmView): void } {
  const show = (vm: VmView): void => {
    const trouble = vm.stumble === null ? '' : `, trying again after ${vm.stumble.code}`;
    tools.out.progress({ name: `${vm.name}: ${vm.state}, ${plain(vm.phase)}${trouble}` });
  };
  return { onAccepted: show, onView: show };
}

/** The end of every command that changed a VM. `more` is put before it in the JSON document. */
export async function settled(tools: Tools, changed: Changed, goal: string | undefined, more: object = {}): Promise<ExitCode> {
  tools.out.quiet();
  const { vm, operation, reached } = changed;
  await tools.out.page(
    { ...more, vm, operation, reached: goal === undefined ? null : reached },
    vmPairs(vm).filter(([name]) => ['name', 'id', 'state', 'verified', 'fault', 'network', 'reach', 'operation'].includes(name)),
  );
  if (reached) return exitCodes.done;
  tools.out.say(
    `${vm.name} is not ${goal ?? 'there'} yet; the time to wait was up. The operation goes on: ${tools.self} vm show ${vm.name}`,
  );
  return exitCodes.timedOut;
}
