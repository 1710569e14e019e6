import { layerSchema, type Layer } from '@linstock/contract';
import { bootCatalogue } from './catalogue/boot.ts';
import type { CatalogueEntry } from './catalogue/entry.ts';
import { hostCatalogue } from './catalogue/host.ts';
import { netCatalogue } from './catalogue/net.ts';
import { restCatalogue } from './catalogue/rest.ts';
import { wholeCatalogue } from './catalogue/whole.ts';
import { vmmCatalogue } from './catalogue/vmm.ts';

/** Every cause the diagnosis can name. Codes are public and stay. `N` in a code stands for a port. */
export const catalogue: Readonly<Record<string, CatalogueEntry>> = {
  ...bootCatalogue,
  ...netCatalogue,
  ...hostCatalogue,
  ...vmmCatalogue,
  ...restCatalogue,
  ...wholeCatalogue,
};

export const entryOf = (code: string): CatalogueEntry | null => {
  const port = /port-(\d{1,5})-/.exec(code)?.[1];
  const entry = catalogue[code.replace(/port-\d{1,5}-/, 'port-N-')];
  if (entry === undefined) return null;
  if (port === undefined) return entry;
  const named = (text: string): string => text.replaceAll(/\bport N\b/g, `port ${port}`);
  return { ...entry, title: named(entry.title), fix: named(entry.fix), disproof: named(entry.disproof) };
};

const layers = [...layerSchema.options].toSorted((a, b) => b.length - a.length);
export const layerOf = (code: string): Layer => layers.find((layer) => code.startsWith(`${layer}.`)) ?? 'unknown';
