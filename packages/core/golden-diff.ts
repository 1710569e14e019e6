import type { GoldenDiff, GoldenManifest } from '@linstock/contract';

type Part = GoldenDiff['parts'][number];

/** What changed from one version to another: in the words of the manifest, then `inside` their root file systems. Pure; equal parts are left out. */
export function diffGoldens(from: GoldenManifest, to: GoldenManifest, inside: readonly Part[] = []): GoldenDiff {
  const differ = (what: string, a: string | null, b: string | null): Part[] => (a === b ? [] : [{ what, from: a, to: b }]);
  const keys = (a: object, b: object): readonly string[] => [...new Set([...Object.keys(a), ...Object.keys(b)])].toSorted();
  const table = (what: string, a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): Part[] =>
    keys(a, b).flatMap((key) => differ(`${what} ${key}`, a[key] ?? null, b[key] ?? null));
  /** a line per word that only one of them has; an order that changed is a change as well */
  const words = (what: string, a: readonly string[], b: readonly string[]): Part[] => {
    const gone = a.filter((word) => !b.includes(word)).map((word): Part => ({ what, from: word, to: null }));
    const come = b.filter((word) => !a.includes(word)).map((word): Part => ({ what, from: null, to: word }));
    return gone.length + come.length > 0 ? [...gone, ...come] : differ(`order of ${what}s`, a.join(' '), b.join(' '));
  };
  const port = ({ port: n, level, path }: GoldenManifest['ports'][number]): string =>
    `${n} ${level}${path === undefined ? '' : ` ${path}`}`;
  const { kernel: k, initrd: i, rootfs: r, machine: m } = from;
  const { kernel: kk, initrd: ii, rootfs: rr, machine: mm } = to;
  return {
    from: `${from.name}@${from.version}`,
    to: `${to.name}@${to.version}`,
    parts: [
      ...differ('kernel release', k.release, kk.release),
      ...differ('kernel banner', k.banner, kk.banner),
      ...differ('kernel package', k.package, kk.package),
      ...differ('kernel file', k.blob, kk.blob),
      ...differ('kernel size', String(k.bytes), String(kk.bytes)),
      // what is not stated is not known, and not the same as n
      ...table('option', k.config, kk.config),
      ...differ('initrd file', i?.blob ?? null, ii?.blob ?? null),
      ...words('initrd module', i?.modules ?? [], ii?.modules ?? []),
      ...differ('rootfs file', r.blob, rr.blob),
      ...differ('rootfs size', String(r.virtualBytes), String(rr.virtualBytes)),
      ...differ('rootfs type', r.fstype, rr.fstype),
      ...differ('vcpus', String(m.vcpus), String(mm.vcpus)),
      ...differ('memory MiB', String(m.memoryMiB), String(mm.memoryMiB)),
      ...differ('least memory MiB', String(m.leastMemoryMiB), String(mm.leastMemoryMiB)),
      ...words('boot argument', from.bootArgs, to.bootArgs),
      ...words('required option', from.requires, to.requires),
      ...words('userspace argument', from.userspaceArgs, to.userspaceArgs),
      ...words('port', from.ports.map(port), to.ports.map(port)),
      ...differ('agent', String(from.agent), String(to.agent)),
      ...table('made with', from.madeWith, to.madeWith),
      ...inside,
    ],
  };
}
