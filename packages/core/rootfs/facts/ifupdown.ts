/**
 * /etc/network/interfaces, as ifupdown, ifupdown-ng and busybox's ifup read it. Pure.
 * Source: interfaces(5); busybox networking/ifupdown.c.
 */
import { baseName, namesIn, tellingLines, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';
import { matchesGlob } from './glob.ts';

export type Stanza = {
  name: string;
  method: string;
  path: string;
  line: number;
  options: readonly { key: string; value: string }[];
};
export type Ifupdown = {
  /** interfaces that `ifup -a` brings up, with the line that says so */
  auto: readonly { name: string; path: string; line: number }[];
  stanzas: readonly Stanza[];
};

const MAIN = '/etc/network/interfaces';
const mostFiles = 64;

export function ifupdownOf(view: ImageView): Ifupdown {
  const auto: { name: string; path: string; line: number }[] = [];
  const stanzas: (Stanza & { options: { key: string; value: string }[] })[] = [];
  const queue = [MAIN];
  for (let at = 0; at < queue.length && at < mostFiles; at++) {
    const path = queue[at] ?? MAIN;
    let open: (typeof stanzas)[number] | null = null;
    for (const { text, line } of tellingLines(textOf(view, path) ?? '')) {
      const [key = '', ...words] = text.split(/\s+/);
      if (key === 'auto' || key.startsWith('allow-')) {
        // allow-hotplug: udev brings it up as soon as the interface appears, which is at once.
        for (const name of words) auto.push({ name, path, line });
        open = null;
      } else if (key === 'iface') {
        const [name = '', family = 'inet', method = ''] = words;
        open = family === 'inet' && words.length >= 3 ? { name, method, path, line, options: [] } : null;
        if (open !== null) stanzas.push(open);
      } else if (key === 'source' || key === 'source-directory') {
        queue.push(...sourced(view, words[0] ?? '', key === 'source-directory'));
        open = null;
      } else if (key === 'mapping') open = null;
      else open?.options.push({ key, value: words.join(' ') });
    }
  }
  return { auto, stanzas };
}

/** `source` takes a pattern for the last name, `source-directory` takes every file with a plain name. */
function sourced(view: ImageView, given: string, whole: boolean): string[] {
  const pattern = given.startsWith('/') ? given : `/etc/network/${given}`;
  const folder = whole ? pattern.replace(/\/+$/, '') : pattern.slice(0, pattern.lastIndexOf('/'));
  const fits = (name: string): boolean => (whole ? /^[\w-]+$/.test(name) : matchesGlob(baseName(pattern), name) && !name.startsWith('.'));
  return namesIn(view, folder)
    .filter(fits)
    .map((name) => `${folder}/${name}`);
}

export function optionOf(stanza: Stanza, key: string): string | null {
  return stanza.options.find((option) => option.key === key)?.value ?? null;
}
