import { existsSync, readdirSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { calibrateTsc, probeAccelerators, probePathfinder } from './accelerator.ts';

const qemu = spawnSync('sh', ['-c', 'command -v qemu-system-x86_64'], { encoding: 'utf8' }).stdout.trim();
const missing = qemu === '' ? 'qemu-system-x86_64 is not installed' : false;
/** KVM over paravirtualised page tables: it serves only kernels made for it. */
const pvm = existsSync('/sys/module/kvm_pvm');
const never = new AbortController().signal;

describe.skipIf(missing !== false)(`accelerators${missing === false ? '' : ` (skipped: ${missing})`}`, () => {
  test('TCG runs the whole way', async () => {
    expect(await probePathfinder({ qemu, accelerator: 'tcg', signal: never })).toMatchObject({
      accelerator: 'tcg',
      works: true,
      evidence: expect.stringContaining('16 million') as string,
    });
  });

  test('both are probed, the one that works is taken, and TCG comes with a clock', async () => {
    const facts = await probeAccelerators({ qemu, signal: never });
    expect(facts.probes.map((probe) => probe.accelerator)).toEqual(['kvm', 'tcg']);
    expect(facts.accelerator).toBe(facts.probes[0]?.works === true ? 'kvm' : 'tcg');
    if (!existsSync('/dev/kvm') || pvm) expect(facts.accelerator).toBe('tcg');
    if (facts.accelerator === 'tcg') expect(facts.tscKhz).toBeGreaterThan(100_000);
    for (const probe of facts.probes) expect(probe.evidence).not.toMatch(/\n/);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('linstock-probe-'))).toEqual([]);
  });

  test.skipIf(!pvm)('a KVM that runs some instructions but no kernel is found out (needs kvm_pvm)', async () => {
    // with this model QEMU 7.2 does not stumble over MSR 10a first, so that the guest itself is put to the test
    const probe = await probePathfinder({ qemu, accelerator: 'kvm', cpu: 'max,arch-capabilities=off', signal: never });
    expect(probe).toMatchObject({ works: false, evidence: expect.stringMatching(/upper half, then KVM gave up/) as string });
  });

  test('a program that is no QEMU, and one that is not there', async () => {
    expect(await probePathfinder({ qemu: '/bin/false', accelerator: 'tcg', signal: never })).toMatchObject({
      works: false,
      evidence: expect.stringContaining('exit code 1') as string,
    });
    expect(await probePathfinder({ qemu: '/no/qemu', accelerator: 'tcg', signal: never })).toMatchObject({
      works: false,
      evidence: expect.stringContaining('/no/qemu') as string,
    });
    expect(await calibrateTsc({ qemu: '/bin/false', signal: never })).toMatchObject({ tscKhz: null });
  });

  test('two calibrations agree', async () => {
    const [one, two] = [await calibrateTsc({ qemu, signal: never }), await calibrateTsc({ qemu, signal: never })];
    expect(Math.abs((one.tscKhz ?? 0) - (two.tscKhz ?? 1)) / (one.tscKhz ?? 1)).toBeLessThan(0.001);
  });

  test('an abort is an abort', async () => {
    const abort = new AbortController();
    const probing = probeAccelerators({ qemu, signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(probing).rejects.toThrow('enough');
  });
});
