/** The kernel that will be given against the modules in the image. */
import type { Rule } from './rule.ts';

/** What a guest needs before user space can help. */
const NEEDED: Readonly<Record<string, string>> = { VIRTIO_NET: 'the network interface', VIRTIO_BLK: 'the root disk' };

export const kernelRules: readonly Rule[] = [
  {
    id: 'kernel.modules-of-another',
    severity: 'warning',
    finds: 'the module trees in the image are of other kernel releases than the kernel',
    why: 'modprobe looks in /lib/modules/<release of the running kernel> and nowhere else: nothing in the image can be loaded, which matters as soon as a driver is a module.',
    fix: 'Install the modules of the kernel that is given, or give the kernel that the modules are of.',
    predicts: 'modprobe: FATAL: Module … not found in directory /lib/modules/…',
    refutes: null,
    look: ({ modules }, { kernel }) =>
      kernel === null || modules.length === 0 || modules.some(({ release, count }) => release === kernel.release && count > 0)
        ? []
        : modules.map(({ release }) => ({
            path: `/lib/modules/${release}`,
            what: `It is for Linux ${release}, and the kernel is ${kernel.release}.`,
          })),
  },
  {
    id: 'kernel.modules-missing',
    severity: 'warning',
    finds: 'the kernel has a driver that every guest needs as a module, and the image has no module tree of it',
    why: 'Without an initrd that brings it, the device is never driven.',
    fix: 'Give an initrd with the modules, install them into the image, or build the driver into the kernel.',
    predicts: 'For VIRTIO_BLK: Cannot open root device; for VIRTIO_NET: no eth0, and 12 s of silence while the kernel waits for it',
    refutes: 'root.mounted',
    look: ({ modules }, { kernel }) =>
      kernel === null || modules.some(({ release, count }) => release === kernel.release && count > 0)
        ? []
        : Object.entries(NEEDED)
            .filter(([option]) => kernel.config[option] === 'm' && kernel.initrdModules?.includes(option.toLowerCase()) !== true)
            .map(([option, what]) => ({
              path: `/lib/modules/${kernel.release}`,
              what: `The kernel has ${what} as a module (CONFIG_${option}=m), and there are no modules of it here: an initrd must bring it.`,
            })),
  },
];
