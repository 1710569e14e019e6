import { vmAction } from './action.ts';

export const vmStart = vmAction('start', 'Start a VM that is stopped or failed', 'running', (vms, vm, options) => vms.start(vm, options));
