import type { Scenario } from '../scenario.ts';

/** The process around the guest. */
export const vmm: readonly Scenario[] = [
  {
    name: 'vmm-killed',
    breaks: 'somebody kills the VMM by SIGKILL',
    truth: { outcome: 'failed', code: 'vmm.killed-by-signal', alsoTrue: ['host.vmm-not-attached-to-tap'] },
    break: async (b) => {
      await b.host('kill', '-KILL', String(await b.pid()));
      await b.becomes('failed');
    },
  },
  {
    name: 'vmm-paused',
    breaks: 'the VM was paused, and nobody resumed it',
    truth: { outcome: 'failed', code: 'vmm.paused' },
    break: async (b) => void (await b.world.send('POST', `/v1/vms/${b.vm.id}/actions/pause?until=paused`, {}, 20)),
  },
  {
    name: 'vmm-stopped',
    breaks: 'the process of the VMM is stopped by SIGSTOP',
    truth: { outcome: 'failed', code: 'vmm.process-stopped' },
    break: async (b) => {
      const pid = String(await b.pid());
      await b.host('kill', '-STOP', pid);
      b.undo(() => b.host('kill', '-CONT', pid));
    },
  },
  {
    name: 'stopped-on-request',
    breaks: 'nothing; somebody stopped the VM, and now wonders why it does not answer',
    truth: { outcome: 'failed', code: 'control.vm-stopped-on-request' },
    break: async (b) => void (await b.world.send('POST', `/v1/vms/${b.vm.id}/actions/stop?until=stopped`, {}, 60)),
  },
];
