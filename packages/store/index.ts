export { openStore, type StoreOptions } from './open.ts';
export { holdFile } from './hold-file.ts';
