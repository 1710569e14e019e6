import type { EvidenceLine } from '@linstock/contract';
import { askedValue, knowsCommandLine, tokensAsked, type Asked } from './asked.ts';
import { agentSays, consoleSays, guestFacts, proved, refuted, unknown, type Finding } from './condition.ts';
import type { Sight } from './sight.ts';

type Mount = { device: string | null; fstype: string | null; readonly: boolean | null };

/** root.mounted: device, file system, read-only or not, as root=, rootfstype= and ro/rw ask. */
export function rootMounted(asked: Asked, sight: Sight): Finding {
  if (!knowsCommandLine(asked))
    return unknown(
      'the root that the launch plan asks for',
      'the launch plan of this boot is not there',
      'The folder of this boot: without its plan nothing tells what was asked.',
    );
  const device = askedValue(asked, 'root');
  const fstypes = (askedValue(asked, 'rootfstype') ?? asked.golden.rootfs.fstype).split(',');
  // the kernel's default is read-only; the later of ro and rw counts (init/do_mounts.c)
  const readonly = tokensAsked(asked).findLast((t) => t.value === null && (t.key === 'ro' || t.key === 'rw'))?.key !== 'rw';
  const expected = `${device ?? 'a root file system'}, ${fstypes.join(' or ')}, ${readonly ? 'read-only' : 'read-write'}`;
  // UUID=, LABEL=, 254:0: whoever mounted it resolved the name, and no other device can come of it
  const named = device?.startsWith('/dev/') ? device : null;

  const { console } = sight;
  const agent = guestFacts(sight)?.root ?? null;
  const fromConsole: Mount | null = console.rootMounted;
  // /dev/root and overlay do not tell what lies below
  const plain = agent !== null && !['overlay', 'rootfs', 'tmpfs', 'ramfs'].includes(agent.fstype);
  const fromAgent: Mount | null =
    agent && plain
      ? {
          device: agent.device === '/dev/root' ? null : agent.device,
          fstype: agent.fstype,
          readonly: agent.options.split(',').includes('ro'),
        }
      : null;
  const evidence: EvidenceLine[] = [];
  if (console.rootMounted) {
    const fs = console.rootMounted;
    evidence.push(
      consoleSays(fs),
      ...console.mounts
        .filter((m) => m.device === fs.device)
        .slice(0, 1)
        .map(consoleSays),
    );
  }
  if (agent) evidence.push(agentSays(sight, `/ is ${agent.device} ${agent.fstype} ${agent.options}`));

  const wrong: string[] = [];
  for (const [who, mount] of [
    ['console', fromConsole],
    ['agent', fromAgent],
  ] as const) {
    if (!mount) continue;
    if (named !== null && mount.device !== null && mount.device !== named) wrong.push(`${who}: device ${mount.device}`);
    if (mount.fstype !== null && !fstypes.includes(mount.fstype)) wrong.push(`${who}: file system ${mount.fstype}`);
    // read-only asked for and read-write now is what images do on purpose, after checking the file system
    if (mount.readonly !== null && mount.readonly !== readonly && (who === 'console' || !readonly))
      wrong.push(`${who}: ${mount.readonly ? 'read-only' : 'read-write'}`);
  }
  if (wrong.length > 0) {
    return refuted(
      expected,
      wrong.join('; '),
      evidence,
      'The disk in the launch plan (read-only?), the order of disks, and whether root= stands twice on the effective command line.',
    );
  }
  if (evidence.length === 0 || (!fromConsole && !fromAgent)) {
    const problem = console.rootProblem ?? (console.panic && /root fs|root device/.test(console.panic.text) ? console.panic : null);
    if (problem) {
      return refuted(
        expected,
        `not mounted: ${problem.text}`,
        [consoleSays(problem), ...(console.panic && console.panic !== problem ? [consoleSays(console.panic)] : [])],
        'The list of partitions before that line: empty means that no driver found the disk, a list with the disk means another name or no file system driver.',
      );
    }
    return unknown(
      expected,
      agent ? `/ is ${agent.fstype} now, which does not tell what lies below` : 'nobody said that it was mounted',
      'Console lines "VFS: Mounted root" or "linstock-initrd: root"; then the mounts of the guest through the agent.',
      evidence,
    );
  }
  const known = {
    device: named === null || [fromConsole, fromAgent].some((m) => m?.device !== null && m?.device !== undefined),
    'file system': [fromConsole, fromAgent].some((m) => m?.fstype !== null && m?.fstype !== undefined),
    'read-only or not': (fromConsole !== null && fromConsole.readonly !== null) || fromAgent?.readonly === readonly,
  };
  const lacking = Object.entries(known)
    .filter(([, is]) => !is)
    .map(([what]) => what);
  const have: Mount = {
    device: fromAgent?.device ?? fromConsole?.device ?? null,
    fstype: fromAgent?.fstype ?? fromConsole?.fstype ?? null,
    readonly: fromAgent?.readonly ?? fromConsole?.readonly ?? null,
  };
  const observed = `${have.device ?? device ?? 'root'}, ${have.fstype ?? 'file system not told'}, ${have.readonly === null ? 'read-only or not is not told' : have.readonly ? 'read-only' : 'read-write'}`;
  const [first, ...rest] = evidence;
  if (lacking.length > 0 || first === undefined)
    return unknown(expected, `${observed}; not told: ${lacking.join(', ')}`, 'The mounts of the guest through the agent.', evidence);
  return proved(
    expected,
    `${observed}${readonly && have.readonly === false ? ' (mounted read-only as asked, made read-write by the image)' : ''}`,
    [first, ...rest],
  );
}
