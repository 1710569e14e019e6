import fc from 'fast-check';
import { expect, it } from 'vitest';
import { aClaim, aVm } from '@linstock/testkit';
import { decideVm, limits, type Change, type Phase, type Seen, type Vm, type Wish } from './vm.ts';

const wishes = fc.constantFrom<Wish>('running', 'paused', 'stopped', 'absent');
const sights = fc.constantFrom<Seen['vmm']>(
  { is: 'absent' },
  { is: 'alive', guest: 'unknown' },
  { is: 'alive', guest: 'up' },
  { is: 'alive', guest: 'paused' },
  { is: 'panicked', line: 'Kernel panic', process: 'ended' },
  { is: 'ended', hint: 'exit 1' },
);
const verdicts = fc.constantFrom('proved', 'refuted', 'unknown', null);
const turns = fc.array(
  fc.record({ wish: fc.option(wishes), vmm: sights, verdict: verdicts, reboot: fc.boolean(), forMs: fc.nat(200_000) }),
  { maxLength: 120 },
);

/** What a store would do with a change, in small. */
function apply(vm: Vm, change: Change, hostBoot: string, now: number): Vm {
  const claim = change.boot === undefined ? vm.claim : 'take' in change.boot ? aClaim({ hostBoot: change.boot.take }) : null;
  return {
    ...vm,
    claim,
    phase: change.phase ?? vm.phase,
    fault: change.fault === undefined ? vm.fault : change.fault,
    paused: change.paused ?? vm.paused,
    verified: change.proof?.verified ?? vm.verified,
    reprove: change.reprove ?? vm.reprove,
    deadline: change.deadlineInMs === undefined ? vm.deadline : change.deadlineInMs === null ? null : now + change.deadlineInMs,
    stumble: null,
  };
}

const withClaim = new Set<Phase>(['wiring', 'launching', 'booting', 'proving', 'up', 'asking', 'autopsy', 'killing', 'unwiring']);

it('holds a claim exactly in the phases that own something, whatever is wished and seen', () => {
  fc.assert(
    fc.property(turns, (list) => {
      let vm = aVm({ phase: 'new' });
      let hostBoot = 'hb';
      let now = 0;
      for (const turn of list) {
        now += turn.forMs;
        if (turn.reboot) hostBoot += '+';
        if (turn.wish && vm.wish !== 'absent') vm = { ...vm, wish: turn.wish, fault: null };
        const seen: Seen = {
          hostBoot,
          vmm: turn.vmm,
          proof: turn.verdict && { verified: turn.verdict, at: now, furthest: null, conditions: [] },
        };
        const decision = decideVm(vm, seen, now);
        expect(decideVm(vm, seen, now)).toEqual(decision);
        if (decision.do === 'record') vm = apply(vm, decision.change, hostBoot, now);
        if (decision.do === 'perform') vm = apply(vm, decision.then, hostBoot, now);
        expect(vm.claim !== null).toBe(withClaim.has(vm.phase));
      }
    }),
  );
});

it('comes to rest in a bounded number of turns once the world holds still', () => {
  fc.assert(
    fc.property(
      wishes,
      fc.constantFrom<Phase>(
        'new',
        'rooting',
        'idle',
        'wiring',
        'launching',
        'booting',
        'proving',
        'up',
        'asking',
        'autopsy',
        'killing',
        'unwiring',
        'unrooting',
      ),
      (wish, phase) => {
        let vm = aVm({
          phase,
          wish,
          claim: withClaim.has(phase) ? aClaim({ hostBoot: 'hb' }) : null,
          deadline: phase === 'asking' ? limits.asking : null,
        });
        let alive = withClaim.has(phase);
        let paused = false;
        let now = 0;
        for (let turn = 0; turn < 400; turn += 1) {
          now += 1_000;
          const seen: Seen = {
            hostBoot: 'hb',
            vmm: alive ? { is: 'alive', guest: paused ? 'paused' : 'up' } : { is: 'absent' },
            proof: { verified: 'proved', at: now, furthest: null, conditions: [] },
          };
          const decision = decideVm(vm, seen, now);
          if (decision.do === 'rest') return;
          if (decision.do === 'wait') continue;
          if (decision.do === 'perform') {
            if (decision.step === 'launch') alive = true;
            if (decision.step === 'end-vmm' || decision.step === 'ask-off') alive = false;
            if (decision.step === 'pause' || decision.step === 'resume') paused = decision.step === 'pause';
          }
          vm = apply(vm, decision.do === 'perform' ? decision.then : decision.change, 'hb', now);
        }
        throw new Error(`no rest from ${phase} with wish ${wish}; ended in ${vm.phase}`);
      },
    ),
  );
});
