import { vmAction } from './action.ts';

export const vmStop = vmAction('stop', 'Stop a VM; its disk stays', 'stopped', (vms, vm, options) => vms.stop(vm, options));
