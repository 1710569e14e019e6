import { describe, expect, it } from 'vitest';
import type { Because, Cause, Diagnosis } from '@linstock/contract';
import { diagnose } from './diagnosis/index.ts';
import { isGuestWord, panicCauseOf } from './panic.ts';

const line = (n: number, more: Partial<Because> = {}): Because => ({ source: 'console', line: n, text: 'x', ...more });
const cause = (more: Partial<Cause>): Cause => ({
  code: 'boot.kernel-panic',
  title: 'It panicked',
  layer: 'boot',
  confidence: 'likely',
  because: [line(3)],
  fix: { text: '', command: [] },
  disproof: '',
  ...more,
});
const diagnosis = (...causes: Cause[]): Diagnosis => ({
  outcome: 'failed',
  phaseReached: null,
  causes,
  benign: [],
  ruledOut: [],
  missing: [],
});

describe('the cause of a panic', () => {
  it('is the first that is more than a guess, with its line of the console', () => {
    const host = { source: 'host', line: 9, text: 'y' };
    expect(panicCauseOf(diagnosis(cause({ code: 'a', confidence: 'possible' }), cause({ code: 'b', because: [host, line(7)] })))).toEqual({
      code: 'b',
      title: 'It panicked',
      consoleLine: 7,
      guestWord: false,
    });
    expect(panicCauseOf(diagnosis(cause({ because: [host] })))).toMatchObject({ consoleLine: null });
    expect(panicCauseOf(diagnosis(cause({ confidence: 'possible' })))).toBeNull();
    expect(panicCauseOf(diagnosis())).toBeNull();
  });

  it('is the word of the guest when any process could have written each of its lines', () => {
    const forged = line(1, { guestControlled: true });
    expect([isGuestWord([forged]), isGuestWord([forged, line(2)]), isGuestWord([])]).toEqual([true, false, false]);
  });

  it('is read from a console of one init that is not there', () => {
    const text = [
      '[    0.000000] Linux version 6.1.0 (x@y) #1 SMP',
      '[    0.900000] Run /nonexistent as init process',
      '[    0.910000] Kernel panic - not syncing: Requested init /nonexistent failed (error -2).',
      '',
    ].join('\n');
    expect(panicCauseOf(diagnose([{ kind: 'console', name: 'console', text, cut: null }]))).toMatchObject({
      code: 'boot.init-not-found',
      consoleLine: 3,
    });
  });
});
