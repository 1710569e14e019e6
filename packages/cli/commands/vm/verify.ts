import { vmAction } from './action.ts';

export const vmVerify = vmAction('verify', 'Examine the conditions of the present boot again', 'verified', (vms, vm, options) =>
  vms.verify(vm, options),
);
