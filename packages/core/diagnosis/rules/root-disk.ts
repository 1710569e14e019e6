import type { Because } from '@linstock/contract';
import type { Evidence } from '../evidence.ts';
import type { Picture } from '../picture.ts';
import type { Line } from '../text.ts';
import type { Finding, Rule } from './rule.ts';

/**
 * Why root was not mounted. The kernel says three different things: the name gave no device (`unknown-block(0,0)`, error -6), the device is
 * there and nothing on it could be mounted (`unknown-block(254,0)`), or it waits for ever (rootwait). The list of partitions it prints
 * (init/do_mounts.c, printk_all_partitions) tells name from driver: a disk in it means a wrong name, an empty one a missing driver.
 */
export const rootDisk: Rule = (e, p) => {
  const findings: Finding[] = [];
  const doubled = doubledRoot(e, p);
  if (doubled) findings.push(doubled);
  const trouble = rootTrouble(e, p);
  if (trouble === null) return findings;
  const mounted = e.facts.rootMounted !== null && e.facts.rootMounted.line > trouble.index;
  if (mounted) return findings;
  const main = p.citeLine(trouble.line);

  const tried = p.find(/No filesystem could mount root, tried:/);
  const cannotMount = p.find(/Unable to mount root fs on unknown-block\(([1-9]\d*),/);
  const disk = p.find(
    /^(?:virtio_blk virtio\d+: \[vd[a-z]+\]|\s*vd[a-z]: |vd[a-z]: detected capacity|sd [\d:]+ \[sd[a-z]\]|[a-z]+d[a-z]\d*: p?\d)|^(?:[0-9a-f]{4})\s+\d+ (?:vd|sd|xvd|nvme)\w+|^virtio_blk virtio\d+: \S+ default\/read\/poll queues/,
  );
  const deviceThere = /unknown-block\([1-9]\d*,0\)/.test(trouble.line.body) || cannotMount !== null;

  const badFs = filesystemTrouble(e, p, main, tried?.line ?? null, disk !== null || deviceThere);
  if (badFs && (tried !== null || deviceThere || badFs.code !== 'boot.filesystem-driver-missing')) return [...findings, badFs];

  if (disk) {
    if (doubled) return findings;
    const name = rootName(e, trouble.line);
    const uuid = name !== null && /^(?:UUID|LABEL)=/.test(name);
    findings.push({
      code: 'boot.root-name-does-not-exist',
      confidence: 'likely',
      because: [main, p.citeLine(disk.line)],
      ...(name === null ? {} : { title: `root=${name} names a disk that this VM does not have` }),
      ...(uuid
        ? {
            fix: 'The kernel itself does not understand UUID= and LABEL=: name the device or PARTUUID=, or boot with an initrd that resolves it.',
          }
        : {}),
    });
    return findings;
  }
  const driver = noDisk(e, p, main);
  // "Waiting for" says only that the disk is not there yet
  const waits = trouble.line.body.startsWith('Waiting for root') && !consoleIsWhole(e) && e.kernelOptions.size === 0;
  findings.push(doubled || waits ? { ...driver, confidence: 'possible' } : driver);
  return findings;
};

function rootTrouble(e: Evidence, p: Picture): { line: Line; index: number } | null {
  return (
    p.find(
      /VFS: Cannot open root device|VFS: Unable to mount root|Unable to mount root fs on|^List of all (?:bdev|partitions)|ALERT!\s+\S+ does not exist|Gave up waiting for root|Waiting for root (?:device|file system)|linstock-initrd: FAILED: (?!init=): root device/,
    ) ??
    (e.facts.rootProblem && !/FAILED: init=/.test(e.facts.rootProblem.text)
      ? { line: p.at(e.facts.rootProblem) ?? nothing(e), index: e.facts.rootProblem.line }
      : null)
  );
}

const nothing = (e: Evidence): Line => {
  const first = e.console[0];
  if (first === undefined) throw new Error('a fact of the console without a console');
  return first;
};

function rootName(e: Evidence, trouble: Line): string | null {
  const said = /root device "([^"]{1,80})"|root device (\S{1,80}?)\.\.\.|ALERT!\s+(\S{1,80}) does not exist/.exec(trouble.body);
  const named = said?.[1] ?? said?.[2] ?? said?.[3] ?? null;
  const argument = e.commandLine?.args.findLast((a) => a.startsWith('root='))?.slice(5) ?? null;
  return argument ?? named;
}

function filesystemTrouble(e: Evidence, p: Picture, main: Because, tried: Line | null, disk: boolean): Finding | null {
  const features = p.find(
    /couldn't mount (?:RDWR )?because of unsupported optional features \(([0-9a-f]+)\)|superblock has unknown (?:read-only |incompatible |)?(?:read-only compatible )?bits/i,
  );
  if (features) return { code: 'image.filesystem-features-unsupported', confidence: 'likely', because: [p.citeLine(features.line), main] };
  const corrupt = p.findAll(
    /EXT4-fs error|EXT4-fs \(\S+\): (?:.*checksum|.*corrupt|ext4_check_descriptors|group descriptors corrupted|get root inode failed|.*bad geometry|error loading journal|.*Invalid checksum)|XFS \(\S+\): (?:.*[Cc]orruption|Metadata CRC error|bad magic number)|SQUASHFS error|squashfs: .*unable to read|erofs: .*(?:corrupt|cannot)|Bad magic in superblock|JBD2: .*(?:error|invalid)|attempt to access beyond end of device|I\/O error, dev vd/,
    3,
  );
  if (corrupt.length > 0)
    return { code: 'image.filesystem-corrupt', confidence: 'likely', because: [...corrupt.map((l) => p.citeLine(l)), main] };
  const empty = p.find(
    /VFS: Can't find ext[234] filesystem|Can't find a valid FAT|EXT[234]-fs \(\S+\): (?:VFS: Can't find|unable to read superblock)|SQUASHFS error: Can't find a SQUASHFS superblock/,
  );
  if (tried) {
    const list = fsTried(e, p, tried);
    const wanted = e.commandLine?.args.findLast((a) => a.startsWith('rootfstype='))?.slice(11) ?? wantedFs(e) ?? 'ext4';
    const known = wanted.split(',').some((fs) => list.includes(fs));
    // with rootfstype= the kernel tries only that one: a name it does not know ends with error -19
    if (!known) return { code: 'boot.filesystem-driver-missing', confidence: 'likely', because: [p.citeLine(tried), main] };
    if (empty) return { code: 'image.not-a-filesystem', confidence: 'likely', because: [p.citeLine(empty.line), p.citeLine(tried)] };
    return { code: 'image.not-a-filesystem', confidence: 'likely', because: [p.citeLine(tried), main] };
  }
  const enodev = /error -19\b/.test(main.text);
  if (enodev && disk) return { code: 'boot.filesystem-driver-missing', confidence: 'likely', because: [main] };
  if (empty) return { code: 'image.not-a-filesystem', confidence: 'likely', because: [p.citeLine(empty.line), main] };
  if (disk && /unknown-block\([1-9]\d*,0\)/.test(main.text) && !/error -6/.test(main.text))
    return { code: 'image.not-a-filesystem', confidence: 'possible', because: [main] };
  return null;
}

function wantedFs(e: Evidence): string | null {
  for (const line of e.lines) {
    if (line.console) continue;
    const told = /\b(squashfs|ext4|xfs|btrfs|erofs|f2fs)\b(?: filesystem|,)|\.(ext4|squashfs|xfs|btrfs|erofs)\b/i.exec(line.body);
    if (told) return (told[1] ?? told[2] ?? '').toLowerCase();
  }
  return null;
}

/** The names after "tried:", on the same line or alone on the next ones. */
function fsTried(e: Evidence, p: Picture, tried: Line): string[] {
  const at = e.console.indexOf(tried);
  const names = (tried.body.split('tried:')[1] ?? '').trim().split(/\s+/);
  for (const line of e.console.slice(at + 1, at + 16)) {
    if (!/^[a-z0-9 ]{2,60}$/.test(line.body)) break;
    names.push(...line.body.trim().split(/\s+/));
  }
  return names.filter((n) => n !== '');
}

function noDisk(e: Evidence, p: Picture, main: Because): Finding {
  const because = [main];
  const because2 = (line: Line | null | undefined): void => {
    if (line) because.push(p.citeLine(line));
  };
  const pciAsked = p.findAny(/--enable-pci\b/);
  const pciLine = p.find(/^(?:pci \d{4}:|virtio-pci \d{4}:|PCI: (?:MMCONFIG|Using))/);
  const virtioPci = p.find(/^virtio-pci \d{4}:/);
  const mmioProbe = p.find(/^virtio-mmio|^virtio_mmio|LNRO0005/);
  const otherDevice = p.find(
    /^(?:virtio_net|virtio_rng|virtio_balloon|virtio-fs|NET: Registered PF_VSOCK.*virtio|eth0: |IP-Config: Complete|virtio_net virtio\d)/,
  );
  const nic = e.facts.ipConfig !== null ? p.at(e.facts.ipConfig) : (otherDevice?.line ?? null);
  const option = (name: string): 'y' | 'm' | 'n' | null => e.kernelOptions.get(name)?.value ?? null;
  const optionLine = (name: string): Line | null => e.kernelOptions.get(name)?.at ?? null;
  const noInitrd = e.asked.initrd === null || /^(?:none|null|-|no)$/i.test(e.asked.initrd.value);
  const unpacked = p.find(/Unpacking initramfs|Trying to unpack rootfs image|RAMDISK: /);

  // in the initrd: its modules
  const shell = p.find(
    /\(initramfs\)|ALERT!|Gave up waiting for root|modprobe: (?:FATAL|ERROR): [Mm]odule (?:virtio|ext4)|modprobe: module virtio\S* not found|linstock-initrd: FAILED: (?!init=)/,
  );
  if (shell && unpacked) return { code: 'boot.initrd-lacks-drivers', confidence: 'likely', because: [p.citeLine(shell.line), main] };

  if (option('VIRTIO_BLK') === 'm') {
    because2(optionLine('VIRTIO_BLK'));
    return { code: 'boot.root-driver-is-module-without-initrd', confidence: 'likely', because };
  }
  if (option('VIRTIO_BLK') === 'n') {
    because2(optionLine('VIRTIO_BLK'));
    return { code: 'boot.root-driver-missing', confidence: 'likely', because };
  }
  if (pciAsked && !pciLine && !mmioProbe) {
    because2(pciAsked);
    return { code: 'vmm.pci-without-kernel-support', confidence: 'likely', because };
  }
  if (virtioPci || nic || (mmioProbe && !/can't request region|error -16/.test(mmioProbe.line.body))) {
    // the transport works, so it is the driver of the disk
    because2(virtioPci?.line ?? nic ?? mmioProbe?.line);
    if (p.distributionKernel && noInitrd && !unpacked) {
      if (e.facts.banner) because.push(...p.citeConsole(e.facts.banner));
      return { code: 'boot.root-driver-is-module-without-initrd', confidence: 'likely', because };
    }
    return { code: 'boot.root-driver-missing', confidence: 'likely', because };
  }
  const named = e.commandLine?.args.some((a) => a.startsWith('virtio_mmio.device=')) ?? false;
  const deaf = p.find(/^ACPI: Interpreter disabled/) !== null || (e.commandLine?.args.includes('acpi=off') ?? false);
  if (named && deaf && !mmioProbe && consoleIsWhole(e)) {
    return {
      code: 'boot.transport-not-discovered',
      confidence: 'likely',
      because: e.commandLine ? [...because, p.citeLine(e.commandLine.at)] : because,
    };
  }
  if (p.distributionKernel && noInitrd && !unpacked) {
    if (e.facts.banner) because.push(...p.citeConsole(e.facts.banner));
    return { code: 'boot.root-driver-is-module-without-initrd', confidence: 'likely', because };
  }
  // not one virtio device: is it the driver, or was nobody told where they are?
  if (!consoleIsWhole(e)) return { code: 'boot.root-driver-missing', confidence: 'possible', because };
  const acpi = p.find(/^ACPI: (?:RSDP|XSDT|DSDT|Core revision|Interpreter|Early table|FADT|SSDT)|^ACPI: Added/);
  const mmioArgument = e.commandLine?.args.some((a) => a.startsWith('virtio_mmio.device='));
  const ownAcpi = option('ACPI');
  if (mmioArgument) {
    if (option('VIRTIO_MMIO') === 'n') return { code: 'boot.transport-driver-missing', confidence: 'likely', because };
    // the arguments were not understood: without CMDLINE_DEVICES or without the driver itself
    const machineHasAcpi = p.findAny(/microvm,acpi=on/);
    return {
      code: machineHasAcpi && acpi ? 'boot.transport-driver-missing' : 'boot.transport-not-discovered',
      confidence: 'likely',
      because: e.commandLine ? [...because, p.citeLine(e.commandLine.at)] : because,
    };
  }
  if (!acpi && ownAcpi !== 'y') {
    return {
      code: 'boot.transport-not-discovered',
      confidence: 'likely',
      because: e.commandLine ? [...because, p.citeLine(e.commandLine.at)] : because,
    };
  }
  because2(acpi?.line);
  return { code: 'boot.transport-driver-missing', confidence: 'likely', because };
}

/** Absence of a line is only evidence when the whole boot is there. */
function consoleIsWhole(e: Evidence): boolean {
  return e.facts.banner !== null && !e.facts.headLost && e.console.length >= 25;
}

function doubledRoot(e: Evidence, p: Picture): Finding | null {
  const roots = e.commandLine?.args.filter((a) => a.startsWith('root=')) ?? [];
  const first = roots[0];
  const last = roots.at(-1);
  if (e.commandLine === null || first === undefined || last === undefined || first === last) return null;
  if (e.facts.rootMounted !== null && e.facts.initFinished !== null) return null;
  const flag = p.findAny(/is_root_device\W{1,6}true/);
  return {
    code: 'boot.root-arg-overridden-by-vmm',
    confidence: 'likely',
    because: [p.citeLine(e.commandLine.at), ...(flag ? [p.citeLine(flag)] : [])],
    title: `${first} was asked for, and ${last} comes after it: the last one wins`,
  };
}
