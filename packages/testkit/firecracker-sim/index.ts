/** What tests of others use of the simulator. */
export { jailerAt, simulatorAt, type SimulatorOptions } from './executables.ts';
export { fateNames, type Fate, type FateName } from './fates.ts';
export { atLeast, has, isSimVersion, oneOfEachMinor, simVersions, snapshotFormat, type SimVersion } from './versions.ts';
export { defaultBootArgs } from './boot.ts';
export { whyNoGuest } from './guest-probe.ts';
export { randomCalls } from './random-requests.ts';
export { runScript } from './run-script.ts';
