import { vmAction } from './action.ts';

export const vmPause = vmAction('pause', 'Hold the processors of a VM', 'paused', (vms, vm, options) => vms.pause(vm, options));
