/** os-release(5). Pure. */
import { tellingLines, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';

export type OsRelease = { id: string | null; version: string | null; name: string | null };

export function osReleaseOf(view: ImageView): OsRelease {
  const text = textOf(view, '/etc/os-release') ?? textOf(view, '/usr/lib/os-release') ?? '';
  const values = new Map(
    tellingLines(text).map(({ text: line }) => {
      const [key = '', ...value] = line.split('=');
      return [key, value.join('=').replace(/^(["'])(.*)\1$/, '$2')];
    }),
  );
  const of = (key: string): string | null => values.get(key) ?? null;
  return { id: of('ID'), version: of('VERSION_ID'), name: of('PRETTY_NAME') };
}
