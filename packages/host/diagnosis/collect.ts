/**
 * Everything that this host can tell of one boot, as text documents in the shapes that people paste: the only part of a diagnosis that acts, and
 * it only looks. Each look stands by itself, has a bound of time and size, and says why when it could not be made. Works for a boot that is over:
 * what was kept of it is told, and the host as it is now.
 */
import { constants } from 'node:os';
import type { BootId, EvidenceDocument } from '@linstock/contract';
import { Page, requestedPage, withoutSecrets, type Vm, type Wiring } from '@linstock/core';
import type { AgentLine } from '../agent-lines.ts';
import type { ConsoleKeeper } from '../vmm/console-log.ts';
import { readPlan } from '../plan-file.ts';
import { commandOf, pidsBearing } from '../tools/procs.ts';
import type { Vmm } from '../vmm/vmm.ts';
import type { ImageFile } from './image-files.ts';
import { lookAtGuest } from './guest-looks.ts';
import { hostPage } from './host-page.ts';
import { vmmPage } from './vmm-page.ts';

/** Of a console: where a boot happens, and what it said last. */
const consoleHeadBytes = 384 * 1024;
const consoleTailBytes = 128 * 1024;

export type EvidenceOrder = {
  vm: Vm;
  boot: BootId;
  /** whether the boot still has its lease on this host */
  live: boolean;
  wiring: Wiring;
  mark: string;
  stateFolder: string;
  files: readonly ImageFile[];
  /** folder of the boot */
  folder: string;
  vmm: Vmm;
  console: ConsoleKeeper;
  /** asked for when its turn comes */
  agent(): Promise<AgentLine>;
  now(): number;
};

export async function collectEvidence(o: EvidenceOrder, signal: AbortSignal): Promise<EvidenceDocument[]> {
  const { vm, boot, live, wiring, mark, folder } = o;
  const { network, ports } = vm.settings;
  const plan = await readPlan(folder);
  const guest = o.vmm.name !== 'stub';
  const looks: readonly [EvidenceDocument['kind'], Promise<EvidenceDocument>][] = [
    ['requested', Promise.resolve(requestedPage({ vm, boot, mark, wiring, plan }))],
    ['console', consolePage(o.console)],
    ['vmm-log', lookAtVmm(o, plan)],
    ['host', hostPage({ mark, network, wiring, ports, boot, stateFolder: o.stateFolder, files: o.files, live, guest }, signal)],
    ['guest', live && guest ? o.agent().then((line) => lookAtGuest(line, wiring.gateway, o.now)) : Promise.resolve(noGuest(live))],
  ];
  return Promise.all(
    looks.map(async ([kind, look]) => {
      try {
        return await look;
      } catch (error) {
        const why = `it could not be looked at: ${error instanceof Error ? error.message : String(error)}`;
        return new Page().line(why).document(kind, kind, why);
      }
    }),
  );
}

async function lookAtVmm(o: EvidenceOrder, plan: Awaited<ReturnType<typeof readPlan>>): Promise<EvidenceDocument> {
  const { vmm, boot, folder, live } = o;
  const sight = await vmm.look(boot, folder);
  const asked = live && sight.is === 'alive' ? await vmm.ask(boot, folder) : null;
  const pid = live && sight.is === 'alive' ? pidOf(o, plan) : null;
  return vmmPage({ folder, plan, sight, asked, pid, signals: constants.signals });
}

/** Of a VMM whose API is silent: by what was launched, among the processes that bear the mark of the boot. */
function pidOf({ mark, boot }: EvidenceOrder, plan: Awaited<ReturnType<typeof readPlan>>): number | null {
  return pidsBearing(`LINSTOCK_UNIT=${mark}/${boot}`).find((pid) => commandOf(pid)[0] === plan?.argv[0]) ?? null;
}

function noGuest(live: boolean): EvidenceDocument {
  const why = live ? 'the stub has no guest' : 'this boot is over, so there is no guest to ask';
  return new Page().section('guest').line(why).document('guest', 'guest', why);
}

/** As the guest wrote it, but for secrets: readers clean what they show. */
async function consolePage(keeper: ConsoleKeeper): Promise<EvidenceDocument> {
  const { oldest, newest } = await keeper.bounds();
  const named = (text: string, cut: string | null): EvidenceDocument => ({
    kind: 'console',
    name: 'console',
    text: withoutSecrets(text),
    cut,
  });
  const trimmed = oldest > 0 ? `its first ${oldest} bytes were given back to the disk; ` : '';
  if (newest - oldest <= consoleHeadBytes + consoleTailBytes) {
    const { bytes } = await keeper.read(oldest, newest - oldest);
    return named(bytes.toString('utf8'), oldest > 0 ? trimmed.slice(0, -2) : null);
  }
  const [head, tail] = [await keeper.read(oldest, consoleHeadBytes), await keeper.tail(consoleTailBytes)];
  const left = tail.from - (head.from + head.bytes.length);
  const cut = `${trimmed}${left} bytes in its middle are left out`;
  return named(`${head.bytes.toString('utf8')}\n[${left} bytes are left out here]\n${tail.bytes.toString('utf8')}`, cut);
}
