import { describe, expect, it } from 'vitest';
import type { Because, CaseView, Cause, Diagnosis, Fault, Id, Verdict } from '@linstock/contract';
import { aProof, aVm, anId } from '@linstock/testkit';
import { bounded, casesAfter, causesOf, decideNews, standingOf, type BootSoFar } from './cases.ts';
import type { Vm } from './vm.ts';

const fault: Fault = { code: 'took-too-long', data: {} };
const boot = (id: string, verified: Verdict | null, failed = false): BootSoFar => ({
  id,
  endedAt: null,
  proof: verified === null ? null : aProof(verified),
  fault: failed ? fault : null,
});

describe('what a boot has come to', () => {
  it.each([
    ['proved', false, 'good'],
    ['proved', true, 'bad'],
    ['refuted', false, 'bad'],
    ['unknown', false, 'unknown'],
    ['unknown', true, 'bad'],
    [null, false, 'unknown'],
    [null, true, 'bad'],
  ] as const)('proof %s, with a fault %s: %s', (verified, failed, standing) => {
    expect(standingOf(boot('boot_1', verified, failed))).toBe(standing);
  });
});

describe('what news of a boot asks for', () => {
  const good = boot('boot_1', 'proved');
  const bad = boot('boot_1', 'refuted');
  const unknown = boot('boot_1', 'unknown');
  const later = (verified: Verdict): BootSoFar => boot('boot_2', verified);
  type Row = [what: string, boot: BootSoFar | undefined, newest: BootSoFar | undefined, vm: Vm | undefined, decision: string];
  const rows: Row[] = [
    ['a proved one closes', good, good, aVm(), 'close'],
    ['a proved one that is not the newest says nothing any more', good, later('refuted'), aVm(), 'nothing'],
    ['a bad one is diagnosed', bad, bad, aVm(), 'diagnose'],
    ['a bad one of before, and the newest is not known to be better', bad, later('unknown'), aVm(), 'diagnose'],
    ['a bad one that was cured meanwhile', bad, later('proved'), aVm(), 'nothing'],
    ['unknown neither opens nor closes', unknown, unknown, aVm(), 'nothing'],
    ['a VM that is being deleted', bad, bad, aVm({ wish: 'absent' }), 'nothing'],
    ['a VM that is gone', bad, bad, aVm({ phase: 'gone' }), 'nothing'],
    ['a VM that was forgotten', bad, bad, undefined, 'nothing'],
    ['a boot that was forgotten', undefined, bad, aVm(), 'nothing'],
  ];
  it.each(rows)('%s', (_, given, newest, vm, decision) => {
    expect(decideNews({ vm, boot: given, newest })).toBe(decision);
  });
});

const because = (more: Partial<Because> = {}): Because => ({ source: 'console', line: 3, text: 'x', ...more });
const cause = (code: string, more: Partial<Cause> = {}): Cause => ({
  code,
  title: `about ${code}`,
  layer: 'boot',
  confidence: 'likely',
  because: [because()],
  fix: { text: '', command: [] },
  disproof: '',
  ...more,
});
const diagnosis = (outcome: Diagnosis['outcome'], ...causes: Cause[]): Diagnosis => ({
  outcome,
  phaseReached: null,
  causes,
  benign: [],
  ruledOut: [],
  missing: [],
});

describe('cases', () => {
  const vm = { id: anId('vm'), name: 'web' };
  let made = 0;
  const nextId = (): Id<'case'> => `case_${(made += 1)}`;
  const after = (given: Diagnosis, open: readonly CaseView[] = [], of = 'boot_1', now = 5) =>
    casesAfter({ vm, boot: of, diagnosis: given, now }, open, nextId);

  it('one per cause that is more than a guess', () => {
    const given = diagnosis(
      'failed',
      cause('boot.a'),
      cause('boot.b', { confidence: 'proved' }),
      cause('boot.c', { confidence: 'possible' }),
    );
    expect(after(given)).toMatchObject([
      { is: 'opened', case: { code: 'boot.a', vm: vm.id, vmName: 'web', state: 'open', boots: 1, openedAt: 5, firstBoot: 'boot_1' } },
      { is: 'opened', case: { code: 'boot.b', confidence: 'proved', diagnosis: given } },
    ]);
  });

  it('none of what is unknown, fine, or only missing', () => {
    expect(after(diagnosis('unknown', cause('boot.a')))).toEqual([]);
    expect(after(diagnosis('ok', cause('boot.a')))).toEqual([]);
    expect(after(diagnosis('failed', cause('unknown.evidence-missing', { layer: 'unknown' })))).toEqual([]);
    expect(causesOf(diagnosis('degraded', ...Array.from({ length: 40 }, (_, i) => cause(`boot.${i}`)))).length).toBe(8);
  });

  it('seen again is the same case, counted by boots, with the newest evidence', () => {
    const [opened] = after(diagnosis('failed', cause('boot.a')));
    if (!opened) throw new Error('none was opened');
    const newer = diagnosis('degraded', cause('boot.a', { title: 'worse', because: [because({ guestControlled: true })] }));
    const [again] = after(newer, [opened.case], 'boot_1', 7);
    expect(again).toMatchObject({
      is: 'seen',
      case: { id: opened.case.id, title: 'worse', boots: 1, openedAt: 5, seenAt: 7, guestWord: true },
    });
    const [other] = after(newer, [opened.case], 'boot_2', 9);
    expect(other).toMatchObject({ is: 'seen', case: { boots: 2, firstBoot: 'boot_1', boot: 'boot_2', diagnosis: newer } });
  });

  it('keep no more of a diagnosis than has a bound', () => {
    const huge = diagnosis(
      'failed',
      cause('boot.a', { because: Array.from({ length: 5_000 }, () => because({ text: 'y'.repeat(9_000) })) }),
    );
    expect(JSON.stringify(bounded(huge)).length).toBeLessThan(50_000);
    const small = diagnosis('failed', cause('boot.a'));
    expect(bounded(small)).toEqual(small);
  });
});
