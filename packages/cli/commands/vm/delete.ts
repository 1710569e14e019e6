import { vmAction } from './action.ts';

export const vmDelete = vmAction('delete', 'Delete a VM; its boot records stay', 'deleted', (vms, vm, options) => vms.delete(vm, options));
