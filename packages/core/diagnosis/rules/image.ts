import type { Rule } from './rule.ts';

/** The root file system as the running guest has it. */
export const imageState: Rule = (e, p) => {
  const mounted = e.facts.rootMounted;
  const asksRw = e.commandLine?.args.includes('rw') ?? false;
  const touch = p.findAny(/Read-only file system|EROFS/, (l) => l.console || l.place === 'guest');
  const mountRo = p.findAny(/^\S+ on \/ type \w+ \(ro\b/);
  const remounted = p.find(/EXT4-fs \(\S+\): re-mounted\b(?!.*\bro\b)|re-mounted.* r\/w/);
  const protectedDisk = p.findAny(/cannot remount \S+ read-write, is write-protected|write.protected/);
  const error = p.find(/EXT4-fs error|Remounting filesystem read-only|I\/O error, dev vd/);
  if (error) return [];
  const wanted = asksRw || /(?:^|\s)rw(?:\s|$)/.test(e.asked.bootArgs?.value ?? '') || protectedDisk !== null;
  if (
    mounted?.readonly === true &&
    wanted &&
    !remounted &&
    (touch || mountRo || protectedDisk || e.facts.failedUnits.length > 0 || p.reached)
  ) {
    return [
      {
        code: 'image.root-device-read-only',
        confidence: 'likely',
        because: [...p.citeConsole(mounted), ...(touch ? [p.citeLine(touch)] : []), ...(mountRo ? [p.citeLine(mountRo)] : [])],
        ...(p.reached ? { degrades: true as const } : {}),
      },
    ];
  }
  if (touch && mountRo)
    return [
      {
        code: 'image.root-device-read-only',
        confidence: 'likely',
        because: [p.citeLine(touch), p.citeLine(mountRo)],
        ...(p.reached ? { degrades: true as const } : {}),
      },
    ];
  if (touch && e.units.some((u) => u.state === 'failed'))
    return [
      {
        code: 'image.root-device-read-only',
        confidence: 'possible',
        because: [p.citeLine(touch)],
        ...(p.reached ? { degrades: true as const } : {}),
      },
    ];
  return [];
};
