export * from './fragment.ts';
export * from './kconfig.ts';
export * from './make-output.ts';
export * from './unmet.ts';
