/** What the controller knows of a boot: who ended it and why, its timeline, and what differs from the last good boot of the same image. Pure. */
import { sentenceOf, type BootView, type EvidenceDocument, type Instant } from '@linstock/contract';
import { limits, stateOf, type Vm } from '../vm.ts';
import type { HistoryEntry } from '../ports.ts';
import { Page, pairs } from './page.ts';

export type ControllerOrder = {
  now: Instant;
  vm: Vm;
  /** the newest; null before the first */
  boot: BootView | null;
  /** the newest other boot of the same golden version of which each condition was proved; null when there is none */
  good: BootView | null;
  /** newest first */
  history: readonly HistoryEntry[];
  build: { version: string; commit: string | null; startedAt: Instant; current: boolean };
  /** an instant for people: core has no clock and no calendar */
  time(at: Instant): string;
};

export function controllerPage({ now, vm, boot, good, history, build, time }: ControllerOrder): EvidenceDocument {
  const page = new Page().section('controller');
  page.line(
    pairs({
      version: build.version,
      commit: build.commit,
      started: time(build.startedAt),
      uptime_s: Math.round((now - build.startedAt) / 1000),
      // what runs against what is on the disk: a change that was not started was not tried
      code: build.current ? 'as on disk' : 'older than on disk',
    }),
  );
  page.line(pairs({ vm_state: stateOf(vm), phase: vm.phase, wish: vm.wish, wished_by: vm.wishBy, paused: vm.paused ? 'yes' : 'no' }));
  if (vm.fault) page.line(`fault ${vm.fault.code}: ${sentenceOf(vm.fault)}`);
  if (vm.stumble) page.line(`stumble ${vm.stumble.code}: ${sentenceOf(vm.stumble)}`);
  page.line(
    `deadlines: ${Object.entries(limits)
      .map(([phase, ms]) => `${phase}=${ms / 1000}s`)
      .join(' ')}`,
  );
  if (boot) {
    page.line(
      pairs({ boot: boot.id, kind: boot.kind, started: time(boot.startedAt), ended: boot.endedAt === null ? 'no' : time(boot.endedAt) }),
    );
    if (boot.end) page.line(`ended reason=${boot.end.reason} actor=${boot.end.actor} exit=${boot.end.exit ?? 'unknown'}`);
    page.section('timeline');
    for (const { what, ms } of boot.timeline) page.line(`t+${(ms / 1000).toFixed(3)}s ${what}`);
  }
  page.section('history');
  for (const entry of history.toReversed())
    page.line(`${time(entry.at)} ${entry.phase}: ${entry.decision}: ${entry.outcome} (${Math.round(entry.ms)} ms)`);
  if (boot) {
    page.section('difference from the last good boot of this image');
    if (good === null) page.line('no other boot of this version was proved');
    else page.line(pairs({ good_boot: good.id, started: time(good.startedAt) })).block(differencesOfBoots(good, boot).join('\n'));
  }
  return page.document('controller', 'controller');
}

/** `-` only the good one, `+` only this one; what is equal is not said. */
export function differencesOfBoots(good: BootView, boot: BootView): string[] {
  const found: string[] = [];
  const compare = (what: string, from: string | null, to: string | null): void => {
    if (from !== to) found.push(`- ${what}: ${from ?? 'unknown'}`, `+ ${what}: ${to ?? 'unknown'}`);
  };
  const words = (what: string, from: readonly string[], to: readonly string[]): void => {
    found.push(
      ...from.filter((w) => !to.includes(w)).map((w) => `- ${what}: ${w}`),
      ...to.filter((w) => !from.includes(w)).map((w) => `+ ${what}: ${w}`),
    );
  };
  compare('vmm', `${good.vmm} ${good.vmmVersion ?? '?'} ${good.accelerator}`, `${boot.vmm} ${boot.vmmVersion ?? '?'} ${boot.accelerator}`);
  words('requested', plain(good, good.requestedArgs), plain(boot, boot.requestedArgs));
  words('added', plain(good, good.addedArgs), plain(boot, boot.addedArgs));
  if (good.effectiveArgs !== null && boot.effectiveArgs !== null)
    words('effective', plain(good, good.effectiveArgs.split(' ')), plain(boot, boot.effectiveArgs.split(' ')));
  else compare('effective command line', good.effectiveArgs === null ? null : 'printed', boot.effectiveArgs === null ? null : 'printed');
  const reached = (one: BootView): string[] => [...new Set(one.timeline.map((m) => m.what))];
  words('reached', reached(good), reached(boot));
  for (const { id, verdict } of good.proof?.conditions ?? []) {
    const mine = boot.proof?.conditions.find((c) => c.id === id)?.verdict ?? null;
    if (boot.proof) compare(id, verdict, mine);
  }
  return found.length === 0 ? ['nothing that is recorded differs'] : found;
}

/** Each boot has an address of its own, which is no difference. */
function plain(boot: BootView, args: readonly string[]): string[] {
  return args.map((arg) => (boot.address === '' ? arg : arg.replaceAll(boot.address, 'ADDRESS').replaceAll(boot.vm, 'VM')));
}
