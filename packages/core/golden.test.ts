import { describe, expect, test } from 'vitest';
import { aGolden, aProof, aVm, anId } from '@linstock/testkit';
import { diffGoldens } from './golden-diff.ts';
import { decideGolden } from './golden.ts';
import type { Vm } from './vm.ts';

const boot = { id: anId('boot'), proof: aProof('proved') };
const up = (more: Partial<Vm>): Vm => aVm({ phase: 'up', wish: 'running', verified: 'proved', ...more });

describe('what a verification has come to', () => {
  test.each([
    ['on its way', up({ phase: 'booting', verified: null })],
    ['not examined yet', up({ verified: null })],
    ['being examined again', up({ reprove: true })],
  ])('%s: wait', (_, vm) => expect(decideGolden(vm, boot)).toEqual({ do: 'wait' }));

  test('proved: active, by that boot', () => {
    expect(decideGolden(up({}), boot)).toEqual({ do: 'settle', state: 'active', boot: boot.id, why: null });
  });

  test.each([
    [
      'refuted',
      up({ verified: 'refuted' }),
      { ...boot, proof: aProof('refuted') },
      /^its boot is refuted: agent\.ready is refuted \(hello\)$/,
    ],
    [
      'unknown is not proved',
      up({ verified: 'unknown' }),
      { ...boot, proof: aProof('unknown') },
      /^its boot is unknown: agent\.ready is unknown/,
    ],
    [
      'a fault',
      up({ phase: 'idle', verified: null, fault: { code: 'guest-panicked', data: { line: 'not syncing' } } }),
      boot,
      /panicked: not syncing$/,
    ],
    ['stopped by somebody', up({ wish: 'stopped' }), boot, /somebody asked for its VM to be stopped/],
    ['deleted by somebody', undefined, undefined, /its VM was deleted/],
  ])('%s: failed, and why', (_, vm, of, why) => {
    expect(decideGolden(vm, of)).toMatchObject({ do: 'settle', state: 'failed', why: expect.stringMatching(why) as string });
  });
});

describe('what changed between two versions', () => {
  test('nothing, then no part', () => expect(diffGoldens(aGolden(), aGolden()).parts).toEqual([]));

  test('each thing that changed, and no other', () => {
    const a = aGolden({ bootArgs: ['console=ttyS0', 'quiet'], ports: [{ port: 80, level: 'tcp' }] });
    const b = aGolden({
      version: 2,
      bootArgs: ['console=ttyS0', 'panic=1'],
      ports: [{ port: 80, level: 'http' }],
      kernel: { ...a.kernel, config: { ...a.kernel.config, SWIOTLB: 'y' } },
    });
    expect(diffGoldens(a, b)).toMatchObject({ from: 'tiny@1', to: 'tiny@2' });
    expect(diffGoldens(a, b).parts).toEqual([
      { what: 'option SWIOTLB', from: null, to: 'y' },
      { what: 'boot argument', from: 'quiet', to: null },
      { what: 'boot argument', from: null, to: 'panic=1' },
      { what: 'port', from: '80 tcp', to: null },
      { what: 'port', from: null, to: '80 http' },
    ]);
    const swapped = aGolden({ bootArgs: ['quiet', 'console=ttyS0'], ports: a.ports });
    expect(diffGoldens(a, swapped).parts).toEqual([
      { what: 'order of boot arguments', from: 'console=ttyS0 quiet', to: 'quiet console=ttyS0' },
    ]);
  });
});
