export { connect, Linstock, type ConnectOptions } from './client.ts';
export { type CallOptions, type EventOptions, type Input, type JsonRouteName } from './calls.ts';
export {
  Vms,
  type ActOptions,
  type Changed,
  type ConsoleOptions,
  type CreateOptions,
  type DeleteOptions,
  type ExecOptions,
} from './vms.ts';
export { Exec, type ExecEnd, type ExecOutput } from './exec.ts';
export { type WaitOptions, type Waited } from './waiting.ts';
export { type BackOff } from './back-off.ts';
export { problemOf } from './problem.ts';
export { FaultError } from '@linstock/contract';
