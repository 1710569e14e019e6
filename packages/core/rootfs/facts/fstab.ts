/** /etc/fstab. Pure. Source: fstab(5); systemd.mount(5) for what a missing device does to the boot. */
import { tellingLines, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';

export type Mount = { device: string; at: string; type: string; options: readonly string[]; line: number };

export const FSTAB = '/etc/fstab';

export function fstabOf(view: ImageView): Mount[] {
  return tellingLines(textOf(view, FSTAB) ?? '').flatMap(({ text, line }) => {
    const [device = '', at = '', type = '', options = ''] = text.split(/\s+/);
    return at === '' ? [] : [{ device: unescaped(device), at: unescaped(at), type, options: options.split(','), line }];
  });
}

/** `\040` is a space (getmntent(3)). */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
