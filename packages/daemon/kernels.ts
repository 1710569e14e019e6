export { askable, checkTargetOf, lookAtTwoKernels, lookIntoKernel, lookWhetherKernelFits, needsOfGolden } from '@linstock/host/kernels';
