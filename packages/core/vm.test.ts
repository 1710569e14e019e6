import { describe, expect, it } from 'vitest';
import { sentenceOf, type Fault, type Proof } from '@linstock/contract';
import { aVm, aClaim } from '@linstock/testkit';
import { allowedIn, decideVm, limits, reachOf, stateOf, type Decision, type Phase, type Seen, type Vm, type Wish } from './vm.ts';

const now = 1_000_000;
const fault: Fault = { code: 'vmm-ended', data: { hint: 'x' } };
const proof = (verified: Proof['verified']): Proof => ({ verified, at: now, furthest: 'agent.ready', conditions: [] });
const seen = (vmm: Seen['vmm'], more: Partial<Seen> = {}): Seen => ({ hostBoot: 'hb', vmm, proof: null, ...more });
const absent = seen({ is: 'absent' });
const booting = seen({ is: 'alive', guest: 'unknown' });
const up = seen({ is: 'alive', guest: 'up' });
const paused = seen({ is: 'alive', guest: 'paused' });
const ended = seen({ is: 'ended', hint: 'exit code 1' });
const panicked = seen({ is: 'panicked', line: 'Kernel panic - not syncing: no init', process: 'alive' });

const claimed = new Set<Phase>(['wiring', 'launching', 'booting', 'proving', 'up', 'asking', 'autopsy', 'killing', 'unwiring']);
const at = (phase: Phase, more: Partial<Vm> = {}): Vm =>
  aVm({ phase, claim: claimed.has(phase) ? aClaim({ hostBoot: 'hb' }) : null, ...more });

/** One word for a decision, so that the table can be read. */
function word(decision: Decision): string {
  switch (decision.do) {
    case 'perform':
      return `${decision.step} → ${decision.then.phase ?? ('boot' in decision.then ? 'release' : 'same')}`;
    case 'record': {
      const { phase, fault: why, boot } = decision.change;
      return `→ ${phase ?? 'same'}${why ? ` (${why.code})` : ''}${boot && 'take' in boot ? ' take' : ''}`;
    }
    default:
      return decision.do;
  }
}

type Row = [phase: Phase, wish: Wish, sight: Seen, decision: string, more?: Partial<Vm>];

describe('decideVm', () => {
  // the specification: what follows from each phase, wish and sight
  const table: Row[] = [
    ['new', 'running', absent, '→ rooting'],
    ['new', 'running', absent, 'rest', { fault }],
    ['new', 'absent', absent, '→ unrooting'],
    ['new', 'absent', absent, '→ unrooting', { fault }],
    ['rooting', 'running', absent, 'make-disk → wiring'],
    ['rooting', 'absent', absent, '→ unrooting'],
    ['rooting', 'running', absent, '→ new (took-too-long)', { deadline: now }],
    ['rooting', 'running', absent, '→ new (tool-failed)', { deadline: now, stumble: { code: 'tool-failed', data: {} } }],
    ['idle', 'running', absent, '→ wiring take'],
    ['idle', 'paused', absent, '→ wiring take'],
    ['idle', 'stopped', absent, 'rest'],
    ['idle', 'running', absent, 'rest', { fault }],
    ['idle', 'absent', absent, '→ unrooting'],
    ['wiring', 'running', absent, 'make-network → launching'],
    ['wiring', 'stopped', absent, '→ killing'],
    ['wiring', 'absent', absent, '→ killing'],
    ['launching', 'running', absent, 'launch → booting'],
    ['launching', 'running', booting, 'launch → booting'],
    ['launching', 'running', ended, '→ autopsy (vmm-exited-early)'],
    ['launching', 'running', seen({ is: 'ended', hint: 'no PVH note', refused: true }), '→ autopsy (vmm-refused)'],
    ['launching', 'absent', absent, '→ killing'],
    ['booting', 'running', booting, 'wait'],
    ['booting', 'running', up, '→ proving'],
    ['booting', 'running', paused, '→ proving'],
    ['booting', 'running', ended, '→ autopsy (vmm-exited-early)'],
    ['booting', 'running', absent, '→ autopsy (vmm-exited-early)'],
    ['booting', 'running', panicked, '→ autopsy (guest-panicked)'],
    ['booting', 'running', booting, '→ autopsy (took-too-long)', { deadline: now }],
    ['booting', 'stopped', booting, '→ killing'],
    ['proving', 'running', seen(up.vmm, { proof: proof('proved') }), '→ up'],
    ['proving', 'running', seen(up.vmm, { proof: proof('unknown') }), 'wait'],
    ['proving', 'running', seen(up.vmm, { proof: proof('refuted') }), 'wait'],
    ['proving', 'running', seen(up.vmm, { proof: proof('refuted') }), '→ up', { deadline: now }],
    ['proving', 'running', up, '→ up', { deadline: now }],
    ['proving', 'stopped', up, '→ up'],
    ['proving', 'running', ended, '→ autopsy (vmm-ended)'],
    ['proving', 'running', panicked, '→ autopsy (guest-panicked)'],
    ['proving', 'stopped', ended, '→ killing'],
    ['up', 'running', up, 'rest'],
    ['up', 'running', up, '→ proving', { reprove: true }],
    ['up', 'running', paused, 'resume → same'],
    ['up', 'paused', up, 'pause → same'],
    ['up', 'paused', paused, '→ same'],
    ['up', 'paused', paused, 'rest', { paused: true }],
    ['up', 'running', up, '→ same', { paused: true }],
    ['up', 'stopped', up, 'ask-off → asking'],
    ['up', 'stopped', ended, '→ killing'],
    ['up', 'running', ended, '→ autopsy (vmm-ended)'],
    ['up', 'running', absent, '→ autopsy (vmm-ended)'],
    ['up', 'running', panicked, '→ autopsy (guest-panicked)'],
    ['up', 'absent', up, '→ killing'],
    ['asking', 'stopped', up, 'wait'],
    ['asking', 'stopped', up, '→ killing', { deadline: now }],
    ['asking', 'stopped', ended, '→ killing'],
    ['asking', 'absent', up, '→ killing'],
    ['asking', 'stopped', panicked, '→ killing'],
    ['autopsy', 'running', up, '→ killing'],
    ['autopsy', 'absent', ended, '→ killing'],
    ['killing', 'running', up, 'end-vmm → unwiring'],
    ['unwiring', 'running', absent, 'drop-network → idle'],
    ['unrooting', 'absent', absent, 'drop-disk → gone'],
    ['gone', 'absent', absent, 'rest'],
  ];
  it.each(table)('%s, wish %s, sees %j: %s', (phase, wish, sight, decision, more = {}) => {
    expect(word(decideVm(at(phase, { wish, ...more }), sight, now))).toBe(decision);
  });

  it('a panic has its cause in the fault, and says when it is only the word of the guest', () => {
    const cause = { code: 'boot.init-not-found', title: 'There is no such init', consoleLine: 212, guestWord: false };
    const faultOf = (more: object): unknown => {
      const decision = decideVm(at('booting'), seen({ is: 'panicked', line: 'Kernel panic', process: 'alive', ...more }), now);
      return decision.do === 'record' ? decision.change.fault : decision;
    };
    const fault = faultOf({ cause }) as Fault;
    expect(fault.data).toMatchObject({ line: 'Kernel panic', cause: cause.code, title: cause.title, consoleLine: 212 });
    expect(sentenceOf(fault)).toBe(
      'The guest kernel panicked: Kernel panic; the cause: There is no such init (boot.init-not-found, console line 212)',
    );
    expect(sentenceOf(faultOf({ cause: { ...cause, consoleLine: null, guestWord: true } }) as Fault)).toContain(
      '(boot.init-not-found; any process of the guest can write that line)',
    );
    expect(faultOf({ cause: null })).toEqual({ code: 'guest-panicked', data: { line: 'Kernel panic' } });
    expect(sentenceOf({ code: 'guest-panicked', data: { line: 'x' } })).toBe('The guest kernel panicked: x');
    expect(reachOf(at('idle', { wish: 'running', fault }), 'running')).toMatchObject({ is: 'unreachable', fault });
  });

  it('a panic that nobody believed is looked at again and again', () => {
    expect(decideVm(at('up'), seen({ is: 'alive', guest: 'up', doubted: true }), now)).toMatchObject({ do: 'wait' });
  });

  it('takes the way down without a fault when the host rebooted, whatever it sees', () => {
    for (const phase of ['wiring', 'launching', 'booting', 'proving', 'up', 'asking', 'autopsy'] as const) {
      expect(decideVm(at(phase, { wish: 'running' }), seen(up.vmm, { hostBoot: 'another' }), now)).toEqual({
        do: 'record',
        change: { phase: 'killing', deadlineInMs: null },
      });
    }
  });

  it('never gives up on the way down', () => {
    for (const phase of ['killing', 'unwiring', 'unrooting'] as const) {
      expect(decideVm(at(phase, { wish: 'absent', stumble: fault }), absent, now + 10 * limits.booting).do).toBe('perform');
    }
  });

  it('takes a refutation as it is once init has finished and some seconds have gone', () => {
    const refuted: Proof = {
      ...proof('refuted'),
      conditions: [{ id: 'init.finished', verdict: 'proved', asked: true, expected: '', observed: '', evidence: [] }],
    };
    const after = (ms: number, p: Proof): string =>
      word(decideVm(at('proving', { deadline: now + limits.proving - ms }), seen(up.vmm, { proof: p }), now));
    expect(after(1_000, refuted)).toBe('wait');
    expect(after(limits.refuted, refuted)).toBe('→ up');
    expect(after(limits.refuted, proof('refuted'))).toBe('wait'); // init has not finished: everything may still come
    expect(after(limits.refuted, proof('unknown'))).toBe('wait');
  });

  it('keeps the proof that the autopsy saw', () => {
    expect(decideVm(at('autopsy', { fault }), seen(up.vmm, { proof: proof('refuted') }), now)).toMatchObject({
      change: { phase: 'killing', proof: { verified: 'refuted' } },
    });
  });

  it('names the furthest condition and what the next one needs when a boot took too long', () => {
    const reached: Proof = {
      verified: 'unknown',
      at: now,
      furthest: 'root.mounted',
      conditions: [
        {
          id: 'init.finished',
          verdict: 'unknown',
          asked: true,
          expected: 'init reached its goal',
          observed: 'nothing yet',
          evidence: [],
          next: 'the last console lines.',
        },
      ],
    };
    const decision = decideVm(at('booting', { deadline: now }), seen(booting.vmm, { proof: reached }), now);
    expect(decision).toMatchObject({ change: { fault: { data: { furthest: 'root.mounted', needs: 'the last console lines' } } } });
  });

  it('tells why a boot ended when it releases its claim', () => {
    const release = (more: Partial<Vm>): unknown => {
      const decision = decideVm(at('unwiring', more), absent, now);
      return decision.do === 'perform' && decision.then.boot;
    };
    expect(release({ wish: 'running', fault })).toEqual({ release: 'vmm-ended' });
    expect(release({ wish: 'stopped' })).toEqual({ release: 'wished-stopped' });
    expect(release({ wish: 'running' })).toEqual({ release: 'host-rebooted' });
    expect(decideVm(at('unwiring', { wish: 'stopped' }), ended, now)).toMatchObject({ then: { boot: { exit: 'exit code 1' } } });
  });
});

describe('stateOf and allowedIn', () => {
  it('calls a VM failed only when it rests with a fault', () => {
    expect(stateOf(at('idle', { fault, wish: 'running' }))).toBe('failed');
    expect(stateOf(at('new', { fault, wish: 'running' }))).toBe('failed');
    expect(stateOf(at('killing', { fault, wish: 'running' }))).toBe('stopping');
  });
  it('shows deleting from the wish on, and deleted at the end', () => {
    expect(stateOf(at('up', { wish: 'absent' }))).toBe('deleting');
    expect(stateOf(at('gone', { wish: 'absent' }))).toBe('deleted');
  });
  it('allows delete in every state but those after it', () => {
    for (const [state, actions] of Object.entries(allowedIn))
      expect(actions.includes('delete')).toBe(!['deleting', 'deleted'].includes(state));
  });
});

describe('reachOf', () => {
  type Reach = [goal: Parameters<typeof reachOf>[1], vm: Vm, is: string];
  const rows: Reach[] = [
    ['accepted', at('new'), 'reached'],
    ['running', at('booting'), 'not-yet'],
    ['running', at('proving'), 'reached'],
    ['running', at('autopsy', { fault }), 'unreachable'],
    ['running', at('up', { wish: 'stopped' }), 'unreachable'],
    ['verified', at('proving'), 'not-yet'],
    ['verified', at('up', { verified: 'proved' }), 'reached'],
    ['verified', at('up', { verified: 'proved', reprove: true }), 'not-yet'],
    ['verified', at('up', { verified: 'unknown' }), 'unreachable'],
    ['verified', at('up', { verified: 'refuted' }), 'unreachable'],
    ['verified', at('idle', { fault }), 'unreachable'],
    ['paused', at('up', { wish: 'paused' }), 'not-yet'],
    ['paused', at('up', { wish: 'paused', paused: true }), 'reached'],
    ['paused', at('up'), 'unreachable'],
    ['stopped', at('idle', { wish: 'stopped' }), 'reached'],
    ['stopped', at('idle', { wish: 'stopped', fault }), 'reached'],
    ['stopped', at('killing', { wish: 'stopped' }), 'not-yet'],
    ['stopped', at('up'), 'unreachable'],
    ['deleted', at('gone', { wish: 'absent' }), 'reached'],
    ['deleted', at('unrooting', { wish: 'absent' }), 'not-yet'],
    ['deleted', at('up'), 'unreachable'],
  ];
  it.each(rows)('%s: %j is %s', (goal, vm, is) => {
    expect(reachOf(vm, goal).is).toBe(is);
  });
});
