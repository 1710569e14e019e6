export { catalogue, entryOf, layerOf } from './catalogue.ts';
export { diagnose } from './diagnose.ts';
export { maskSecrets } from './text.ts';
export { Condenser } from './condense.ts';
