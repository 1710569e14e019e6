import { vmAction } from './action.ts';

export const vmResume = vmAction('resume', 'Let a paused VM go on', 'running', (vms, vm, options) => vms.resume(vm, options));
