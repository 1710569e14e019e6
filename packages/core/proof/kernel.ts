import type { EvidenceLine } from '@linstock/contract';
import { askedValue, type Asked } from './asked.ts';
import {
  agentSays,
  allOf,
  byKernel,
  consoleSays,
  goldenSays,
  guestFacts,
  proved,
  refuted,
  unknown,
  type Finding,
  type Part,
} from './condition.ts';
import type { Sight } from './sight.ts';

const flat = (text: string): string => text.replaceAll(/[\s\0]+/g, ' ').trim();

/** kernel.started: the banner on the console is the banner of the golden's kernel. */
export function kernelStarted(asked: Asked, sight: Sight): Finding {
  const want = flat(asked.golden.kernel.banner);
  const { console } = sight;
  const banner = byKernel(console.banner);
  const parts: Part[] = [];
  const other = 'Which kernel file the VMM was given, by digest: the banner names its builder and build number.';
  if (banner) {
    const equal = flat(banner.version) === want;
    parts.push({
      verdict: equal ? 'proved' : 'refuted',
      says: equal ? `that banner at console line ${banner.line}` : banner.version,
      evidence: [consoleSays(banner)],
      next: other,
    });
  }
  const kernel = guestFacts(sight)?.kernel ?? null;
  if (kernel) {
    // uname -v is the end of the banner; an agent may also send /proc/version whole
    const whole = flat(kernel.version);
    const equal = whole === want || (want.startsWith(`Linux version ${kernel.release} `) && whole !== '' && want.endsWith(` ${whole}`));
    parts.push({
      verdict: equal ? 'proved' : 'refuted',
      says: `the agent names ${kernel.release} ${kernel.version}`,
      evidence: [agentSays(sight, `${kernel.release} ${kernel.version}`)],
      next: other,
    });
  }
  if (parts.length === 0) {
    if (console.banner) {
      return unknown(
        want,
        `a banner only after user space started, at console line ${console.banner.line}`,
        'Any process may print a banner: ask the agent for the running kernel.',
        [consoleSays(console.banner)],
      );
    }
    return console.bytes === 0
      ? unknown(
          want,
          'the console is empty',
          "Whether the command line has console= for a device of this VMM; then the VMM's own log; then whether the kernel file has the format that the VMM loads.",
        )
      : unknown(
          want,
          `${console.lines} console lines without a banner`,
          'The first console lines: the beginning is missing, or the kernel was told to be quiet.',
        );
  }
  if (console.laterBanner && banner) {
    const before = console.panic ?? console.shutdown;
    const cause = before && before.line < console.laterBanner.line ? before : null;
    parts.push({
      verdict: cause ? 'refuted' : 'unknown',
      says: `another banner at console line ${console.laterBanner.line}`,
      evidence: [...(cause ? [consoleSays(cause)] : []), consoleSays(console.laterBanner)],
      next: `Console lines before ${console.laterBanner.line}: the guest restarted within this boot, or something printed the kernel's log again.`,
    });
  }
  return allOf(want, parts);
}

/** `6.1.192` → [6, 1]; null when it is no version. */
export function kernelVersion(asked: Asked, sight: Sight): readonly [number, number] | null {
  const m = /^(?:Linux version )?(\d{1,3})\.(\d{1,3})/.exec(byKernel(sight.console.banner)?.version ?? asked.golden.kernel.release);
  return m ? [Number(m[1]), Number(m[2])] : null;
}

/** Option → module, where the name of the module does not follow from it. */
const moduleOf: Record<string, string> = {
  EXT4_FS: 'ext4',
  XFS_FS: 'xfs',
  BTRFS_FS: 'btrfs',
  EROFS_FS: 'erofs',
  FUSE_FS: 'fuse',
  OVERLAY_FS: 'overlay',
  SQUASHFS: 'squashfs',
  PACKET: 'af_packet',
  HW_RANDOM_VIRTIO: 'virtio_rng',
  VIRTIO_VSOCKETS: 'vmw_vsock_virtio_transport',
  VSOCKETS: 'vsock',
  BLK_DEV_LOOP: 'loop',
  SERIAL_8250: '8250',
};
const moduleName = (path: string): string =>
  path
    .replace(/^.*\//, '')
    .replace(/\.ko(?:\.[a-z0-9]{1,4})?$/, '')
    .replaceAll('-', '_')
    .toLowerCase();

/** Options without which there is no root to load a module from. */
const beforeRoot = new Set(['VIRTIO', 'VIRTIO_MMIO', 'VIRTIO_PCI', 'VIRTIO_BLK', 'VIRTIO_RING']);

/** kernel.config: the running kernel is the golden's, and each option that the golden requires is in it. */
export function kernelConfig(asked: Asked, sight: Sight, started: Finding): Finding {
  const { kernel, initrd, rootfs, userspaceArgs } = asked.golden;
  const options = asked.golden.requires.map((name) => [name, kernel.config[name] ?? kernel.config[`CONFIG_${name}`] ?? null] as const);
  const expected =
    options.length === 0
      ? 'the golden image requires no kernel option'
      : `${options.length} options of the golden image: ${options.map(([n]) => n).join(' ')}`;
  if (started.verdict !== 'proved') {
    return unknown(expected, 'which kernel runs is not proved, so neither are its options', 'kernel.started first.');
  }
  const [banner] = started.evidence;
  if (!banner) return unknown(expected, 'which kernel runs has no evidence', 'kernel.started first.');
  if (options.length === 0) return proved(expected, 'none required', [goldenSays('manifest: requires is empty'), banner]);
  if (kernel.configKnownBy === 'none') {
    return unknown(
      expected,
      'nobody knows how this kernel was built',
      'Import the kernel with its config file, or build it with IKCONFIG; strings in the image say nothing about options.',
    );
  }
  const carried = new Set((initrd?.modules ?? []).map(moduleName));
  const rootDriver = `${rootfs.fstype.toUpperCase()}_FS`;
  const parts: Part[] = options.map(([name, value]) => {
    if (value === null) {
      return {
        verdict: 'unknown',
        says: `nobody knows whether ${name} is built`,
        evidence: [],
        next: `The kernel's config file, for CONFIG_${name}.`,
      };
    }
    const evidence = [goldenSays(`CONFIG_${name}=${value} (${kernel.configKnownBy})`)];
    if (value === 'y') return { verdict: 'proved', says: `${name}=y`, evidence };
    if (name === 'IP_PNP' && value === 'n' && userspaceArgs.includes('ip')) {
      return {
        verdict: 'proved',
        says: 'IP_PNP=n, and the image applies ip= itself',
        evidence: [...evidence, goldenSays('manifest: userspaceArgs names ip')],
      };
    }
    if (value === 'n')
      return { verdict: 'refuted', says: `${name} is not built`, evidence, next: `Choose or build a kernel with CONFIG_${name}.` };
    const module = moduleOf[name] ?? name.toLowerCase();
    if (carried.has(module))
      return {
        verdict: 'proved',
        says: `${name}=m, module ${module} in the initrd`,
        evidence: [...evidence, goldenSays(`initrd carries ${module}`)],
      };
    if (beforeRoot.has(name) || name === rootDriver) {
      return {
        verdict: 'refuted',
        says: `${name}=m, and the initrd does not carry ${module}`,
        evidence,
        next: `Add ${module} to the initrd, or build CONFIG_${name}=y: it is needed before the root file system is there.`,
      };
    }
    return {
      verdict: 'unknown',
      says: `${name}=m, and the initrd does not carry ${module}`,
      evidence,
      next: `Whether the root file system has the module ${module} for release ${kernel.release}.`,
    };
  });
  const bad = parts.filter((p) => p.verdict !== 'proved');
  const finding = allOf(expected, bad.length > 0 ? [...bad] : parts);
  return {
    ...finding,
    observed: bad.length > 0 ? finding.observed : `all there${carried.size > 0 ? ', modules counted where the initrd carries them' : ''}`,
    evidence: [...finding.evidence, banner],
  };
}

const KiBperMiB = 1_024;
/**
 * The kernel's total counts usable pages: on a PC the hole below 1 MiB and page 0 are missing, 392 KiB on all machines we measured
 * (131,072 - 130,680 and 262,144 - 261,752). Less than 1 MiB, so a VM with one MiB too little is still found.
 */
const holeKiB = KiBperMiB - 1;
/**
 * MemTotal also lacks what the kernel took for itself: its image, the page structs (1/64 of memory, arch/x86: 64 bytes per 4 KiB), early
 * tables, 64 MiB of bounce buffers with swiotlb=force. Measured 15 MiB + 1.7 %. So it can refute, and never prove on its own.
 */
const takenKiB = (memoryKiB: number): number => 128 * KiBperMiB + memoryKiB / 32;

function parseSize(text: string | null): number | null {
  const m = /^(\d{1,9})([KMG]?)$/i.exec(text ?? '');
  return m ? Number(m[1]) * { '': 1 / 1_024, K: 1, M: 1_024, G: 1_048_576 }[(m[2] ?? '').toUpperCase() as '' | 'K' | 'M' | 'G'] : null;
}

/** memory.size: what the guest has against what was asked. */
export function memorySize(asked: Asked, sight: Sight): Finding {
  const whole = asked.memoryMiB * KiBperMiB;
  const told = parseSize(askedValue(asked, 'mem'));
  const wanted = told === null ? whole : Math.min(whole, told);
  const expected = `${asked.memoryMiB} MiB${wanted < whole ? `, of which mem= leaves ${Math.floor(wanted / KiBperMiB)} MiB` : ''}`;
  const next = 'The memory size that the VMM was started with; whether this console belongs to this VM.';
  const line = byKernel(sight.console.memory);
  const agent = guestFacts(sight)?.memoryKiB ?? null;
  const agentLine: EvidenceLine[] = agent ? [agentSays(sight, `MemTotal ${agent.total} KiB`)] : [];
  const off = (have: number, slack: number): boolean => have > wanted || have < wanted - slack;
  if (line && off(line.totalKiB, holeKiB))
    return refuted(
      expected,
      `${line.totalKiB} KiB (${(line.totalKiB / KiBperMiB).toFixed(1)} MiB) by the kernel`,
      [consoleSays(line), ...agentLine],
      next,
    );
  if (agent && off(agent.total, takenKiB(wanted)))
    return refuted(expected, `MemTotal ${agent.total} KiB`, [...(line ? [consoleSays(line)] : []), ...agentLine], next);
  if (line) return proved(expected, `${line.totalKiB} KiB, less than 1 MiB below`, [consoleSays(line), ...agentLine]);
  if (agent) {
    return unknown(
      expected,
      `MemTotal ${agent.total} KiB fits, but it lacks what the kernel took for itself, so it cannot show the size`,
      'The kernel\'s own line "Memory: …K/…K available" on the console; quiet hides it.',
      agentLine,
    );
  }
  return unknown(expected, 'neither the console nor the agent told', 'The kernel\'s line "Memory: …K/…K available" on the console.');
}

/** cpu.count: what the guest has against what was asked. */
export function cpuCount(asked: Asked, sight: Sight): Finding {
  const limits = ['maxcpus', 'nr_cpus'].map((key) => Number(askedValue(asked, key) ?? NaN)).filter((n) => n >= 1);
  const wanted = Math.min(asked.vcpus, ...limits);
  const expected = `${wanted} CPU${wanted === 1 ? '' : 's'}${wanted < asked.vcpus ? ` of ${asked.vcpus}, as maxcpus= or nr_cpus= asks` : ''}`;
  const line = byKernel(sight.console.cpus);
  const count = guestFacts(sight)?.cpus ?? null;
  const next = 'How many vCPUs the VMM was started with; console lines with "smpboot:", which say why one did not come up.';
  const parts: Part[] = [];
  const judge = (n: number, says: string, evidence: EvidenceLine): void =>
    void parts.push({ verdict: n === wanted ? 'proved' : 'refuted', says, evidence: [evidence], next });
  if (line) judge(line.count, `${line.count} by the kernel`, consoleSays(line));
  if (count !== null) judge(count, `${count} by the agent`, agentSays(sight, `${count} CPUs`));
  return parts.length > 0
    ? allOf(expected, parts)
    : unknown(
        expected,
        'neither the console nor the agent told',
        'The kernel\'s line "smp: Brought up …" on the console; a kernel without SMP does not print it.',
      );
}
