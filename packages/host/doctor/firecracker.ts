/** The Firecracker binaries of this host, and whether they may be trusted. */
import { isSafeStep } from '../tools/trusted-path.ts';
import { compareVersions } from '@linstock/core';
import { newest, refusalOfVersion, versionIn } from '../vmm/firecracker/versions.ts';
import { bad, notApplicable, ok, some, unknown, type Check, type Finding } from './check.ts';
import type { FirecrackerSight, HostReadings, ProgramSight } from './readings.ts';

export const firecrackerChecks: readonly Check[] = [
  {
    id: 'firecracker.present',
    grade: 'should',
    expected: 'a program firecracker in the PATH, /usr/local/bin or /usr/bin',
    why: 'In production VMs run on Firecracker; without one, they run on QEMU.',
    fix: `Put firecracker and jailer of one release (1.9.1 to ${newest}) into /usr/local/bin, owned by root`,
    look: ({ firecrackers }) =>
      firecrackers.length === 0 ? bad('there is none') : ok(some(firecrackers.map(({ firecracker }) => firecracker.path))),
  },
  {
    id: 'firecracker.version',
    grade: 'must',
    expected: `1.9.1 to ${newest}, or a newer 1.x`,
    why: 'What Linstock asks of Firecracker is known for these versions.',
    fix: `Install firecracker and jailer ${newest} from its release page`,
    look: (host) =>
      ofEach(host, ({ firecracker }) => {
        const version = versionOf(firecracker);
        if ('unknown' in version) return version;
        const refusal = refusalOfVersion(version.known);
        return refusal === null ? { ok: version.known.text } : { bad: refusal };
      }),
  },
  {
    id: 'firecracker.jailer',
    grade: 'must',
    expected: 'a jailer beside each, of the same version',
    why: 'The jailer gives each VM a user, a root folder and a cgroup of its own; together with another version of Firecracker it was never tested.',
    fix: 'Put the jailer of the same release beside it',
    look: (host) =>
      ofEach(host, ({ firecracker, jailer }) => {
        if (jailer === null) return { bad: 'no jailer beside it' };
        const [one, other] = [versionOf(firecracker), versionOf(jailer)];
        if ('unknown' in one) return one;
        if ('unknown' in other) return other;
        const same = compareVersions(one.known, other.known) === 0 && one.known.text === other.known.text;
        return same
          ? { ok: `${jailer.path} is ${other.known.text} too` }
          : { bad: `it is ${one.known.text}, and ${jailer.path} is ${other.known.text}` };
      }),
  },
  {
    id: 'firecracker.static',
    grade: 'must',
    expected: 'firecracker and jailer need no loader (ELF without PT_INTERP)',
    why: 'In a jail there are no libraries; and the seccomp filters are made for the calls of the static build, so that another one is ended for a call it needs.',
    fix: 'Use the binaries of the release page (musl, static) and not ones built for the GNU libc',
    look: (host) =>
      ofEach(host, ({ firecracker, jailer }) => {
        const programs = [firecracker, ...(jailer === null ? [] : [jailer])];
        const dynamic = programs.find(({ linking }) => linking === 'dynamic');
        if (dynamic !== undefined) return { bad: `${dynamic.path} is no static ELF program` };
        const unread = programs.find(({ linking }) => linking === 'unreadable');
        return unread === undefined ? { ok: 'static' } : { unknown: `${unread.path} cannot be read`, needsRoot: host.uid !== 0 };
      }),
  },
  {
    id: 'firecracker.owner',
    grade: 'must',
    expected: 'every folder on the way and the programs belong to root, and nobody else may write them',
    why: 'Whoever can replace the program that root starts is root.',
    fix: 'chown root:root, and chmod go-w, on what is named',
    look: (host) =>
      ofEach(host, ({ firecracker, jailer }) => {
        const programs = [firecracker, ...(jailer === null ? [] : [jailer])];
        const hidden = programs.find(({ steps }) => steps.length === 0);
        if (hidden !== undefined) return { unknown: `the way to ${hidden.path} cannot be looked at`, needsRoot: host.uid !== 0 };
        const open = programs.flatMap(({ steps }) => steps).find((step) => !isSafeStep(step, 0));
        if (open === undefined) return { ok: 'only root may write it' };
        return {
          bad: open.uid === 0 ? `${open.path} has mode ${(open.mode & 0o7777).toString(8)}` : `${open.path} belongs to user ${open.uid}`,
        };
      }),
  },
  {
    id: 'firecracker.runs-guests',
    grade: 'must',
    expected: 'a small guest runs to its end under each',
    why: 'It is what decides whether VMs run on it; that /dev/kvm opens, or that QEMU runs a guest on it, decides nothing.',
    fix: 'Take a host with hardware virtualisation (bare metal), or leave VMs to QEMU',
    look: (host) =>
      ofEach(host, ({ boot }) =>
        boot === null
          ? { unknown: 'no guest was started under it', needsRoot: host.uid !== 0 }
          : boot.works
            ? { ok: boot.evidence }
            : { bad: boot.evidence },
      ),
  },
];

type Sight = { ok: string } | { bad: string } | { unknown: string; needsRoot?: boolean };

function versionOf({
  version,
  path,
}: ProgramSight): { known: NonNullable<ReturnType<typeof versionIn>> } | { unknown: string; needsRoot?: boolean } {
  if (version.is === 'absent') return { unknown: `${path} is gone` };
  if (version.is === 'skipped') return { unknown: `${path}: ${version.why}`, needsRoot: version.needsRoot };
  const known = versionIn(version.stdout);
  return known === null ? { unknown: `${path} --version tells none: ${version.how}` } : { known };
}

function ofEach(host: HostReadings, look: (one: FirecrackerSight) => Sight): Finding {
  if (host.firecrackers.length === 0) return notApplicable('no Firecracker is here');
  const sights = host.firecrackers.map((one) => ({ path: one.firecracker.path, sight: look(one) }));
  const wrong = sights.flatMap(({ path, sight }) => ('bad' in sight ? [`${path}: ${sight.bad}`] : []));
  if (wrong.length > 0) return bad(some(wrong));
  const unseen = sights.flatMap(({ sight }) => ('unknown' in sight ? [sight] : []));
  if (unseen.length > 0) {
    const needsRoot = unseen.every((one) => one.needsRoot === true);
    return {
      ...unknown(some(unseen.map((one) => one.unknown)), needsRoot ? 'Run linstock doctor as root.' : 'Run its --version by hand.'),
      needsRoot,
    };
  }
  return ok(some(sights.flatMap(({ path, sight }) => ('ok' in sight ? [`${path}: ${sight.ok}`] : []))));
}
