import type { Scenario } from '../scenario.ts';

/** Nothing is wrong: what a diagnosis must not find. */
const well = { outcome: 'ok', code: null } as const;

export const healthy: readonly Scenario[] = [
  { name: 'healthy', breaks: 'nothing', truth: well, fast: true },
  {
    name: 'healthy-with-noise',
    breaks: 'nothing; the boot arguments of the founding case, of which some are unknown to the kernel and some have no effect',
    truth: well,
    vm: { memoryMiB: 256, bootArgs: { add: ['biosdevname=0', 'random.trust_cpu=on', 'iommu=off', 'swiotlb=force'] } },
  },
  {
    name: 'healthy-read-only',
    breaks: 'nothing; the root file system is read-only as it was asked for',
    truth: well,
    vm: { bootArgs: { add: ['ro'], remove: ['rw'] } },
  },
  {
    name: 'healthy-flood',
    breaks: 'nothing; two thousand lines on the console before the guest is ready',
    truth: well,
    vm: { bootArgs: { add: ['linstock.test.flood=2000'] } },
  },
  {
    name: 'healthy-without-mask',
    breaks: 'nothing; ip= has no mask, and the one that is taken instead is the right one',
    truth: well,
    vm: { bootArgs: { replace: ['ip={address}::{gateway}:::eth0:off'] } },
  },
  {
    name: 'healthy-two-cpus',
    breaks: 'nothing; two processors and more memory than the image asks for',
    truth: well,
    vm: { vcpus: 2, memoryMiB: 384 },
  },
];
