/** Whether the serial console lets somebody in. */
import type { Rule } from './rule.ts';

export const consoleRules: readonly Rule[] = [
  {
    id: 'console.no-login',
    severity: 'note',
    finds: 'nobody can log in on the serial console',
    why: 'When the network of a guest does not work, its console is the way in that is left, beside the guest agent.',
    fix: 'Start a getty on ttyS0: unmask serial-getty@ttyS0.service, or give inittab the line ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100.',
    predicts: 'The console ends without a login prompt',
    refutes: null,
    look: ({ console }) =>
      console.is === 'none' ? [{ path: console.path, what: `There is no login on the console: ${console.why}.` }] : [],
  },
  {
    id: 'console.getty-waits',
    severity: 'warning',
    finds: 'systemd waits for the terminal of the console, and no udev announces it',
    why: 'serial-getty@ttyS0.service is bound to dev-ttyS0.device, which exists only when udev says so. Without udev the boot waits 90 s for it, is not finished until then, and has no login after it.',
    fix: 'Install udev, or mask serial-getty@ttyS0.service and enable console-getty.service.',
    predicts: 'Timed out waiting for device dev-ttyS0.device - /dev/ttyS0.',
    refutes: 'init.finished',
    look: ({ console }) =>
      console.is === 'waits'
        ? [{ path: console.path, what: 'It waits for /dev/ttyS0 to be announced, and there is no systemd-udevd.' }]
        : [],
  },
];
