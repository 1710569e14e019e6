export * from './fuse.ts';
export * from './sim-host.ts';
export * from './builders.ts';
export * from './eventually.ts';
export * from './others.ts';
