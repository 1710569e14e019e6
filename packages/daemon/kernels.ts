export { askable, checkTargetOf, lookAtTwoKernels, lookIntoKernel, lookWhetherKernelFits } from '@linstock/host/kernels';
