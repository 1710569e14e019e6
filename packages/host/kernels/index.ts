export { checkTargetOf, lookAtTwoKernels, lookIntoKernel, lookWhetherKernelFits } from './look.ts';
export { askable, needsOfGolden } from '@linstock/core/kernel';
