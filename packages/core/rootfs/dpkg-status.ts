/** What dpkg's record holds (/var/lib/dpkg/status; dpkg-query reads the same file): stanzas of `Field: value` (deb822(5)). Pure. */
export function dpkgRecords(text: string): { name: string; version: string; status: string }[] {
  return text.split(/\n\n+/).flatMap((stanza) => {
    const field = (name: string): string | undefined => new RegExp(`^${name}: (\\S.*)$`, 'm').exec(stanza)?.[1];
    const [name, version, status] = [field('Package'), field('Version'), field('Status')];
    return name === undefined || version === undefined || status === undefined ? [] : [{ name, version, status }];
  });
}
