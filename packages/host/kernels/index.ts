export { checkTargetOf, lookAtTwoKernels, lookIntoKernel, lookWhetherKernelFits } from './look.ts';
export { askable } from '@linstock/core/kernel';
