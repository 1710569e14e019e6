import { expect, test } from 'vitest';
import { FaultError, type Fault, type VmmFacts } from '@linstock/contract';
import { chooseVmm, vmmChoiceOf } from './vmm-choice.ts';

const qemu: VmmFacts = { name: 'qemu', path: '/q', version: '7.2.1', usable: true, why: '', jailer: null, confinement: '', abilities: [] };
const fc = (version: string, usable: boolean): VmmFacts => ({
  ...qemu,
  name: 'firecracker',
  path: `/fc/${version}`,
  version,
  usable,
  why: usable ? 'KVM runs guests' : 'KVM cannot run a guest here: it stood still',
});
const bridge = { kind: 'bridge', name: 'default' } as const;

test.each([
  ['firecracker', { name: 'firecracker', version: null }],
  ['firecracker@1.9.1', { name: 'firecracker', version: '1.9.1' }],
  ['qemu', { name: 'qemu', version: null }],
])('%s', (text, choice) => expect(vmmChoiceOf(text)).toEqual(choice));

test.each([
  ['the newest that can', 'firecracker', [qemu, fc('1.16.1', false), fc('1.9.1', true)], '/fc/1.9.1'],
  ['the exact one', 'firecracker@1.9.1', [fc('1.16.1', true), fc('1.9.1', true)], '/fc/1.9.1'],
  ['QEMU', 'qemu', [fc('1.16.1', true), qemu], '/q'],
])('%s', (_, text, there, path) => expect(chooseVmm(there, vmmChoiceOf(text), bridge).path).toBe(path));

test.each([
  ['none of it', 'firecracker', [qemu], 'Firecracker', /no such VMM, it has: QEMU 7\.2\.1$/],
  ['nothing at all', 'qemu', [], 'QEMU', /it has: none$/],
  ['another version', 'firecracker@1.12.0', [fc('1.9.1', true)], 'Firecracker 1.12.0', /it has: Firecracker 1\.9\.1$/],
  ['none that can', 'firecracker', [fc('1.9.1', false)], 'Firecracker', /^KVM cannot run a guest here: it stood still$/],
])('unable: %s', (_, text, there, vmm, why) => {
  const refused = faultOf(() => chooseVmm(there, vmmChoiceOf(text), bridge));
  expect(refused).toMatchObject({ code: 'vmm-unable', data: { vmm, why: expect.stringMatching(why) as string } });
});

test('unable: a user-mode network has no TAP', () => {
  const network = { kind: 'user', name: 'lonely' } as const;
  const refused = faultOf(() => chooseVmm([fc('1.9.1', true)], vmmChoiceOf('firecracker'), network));
  expect(refused?.data['why']).toContain('lonely');
  expect(chooseVmm([qemu], vmmChoiceOf('qemu'), network)).toBe(qemu);
});

function faultOf(work: () => unknown): Fault | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (!FaultError.is(error)) throw error;
    return error.fault;
  }
}
