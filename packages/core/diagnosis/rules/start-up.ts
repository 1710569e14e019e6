import type { Evidence } from '../evidence.ts';
import type { Picture } from '../picture.ts';
import type { Line } from '../text.ts';
import type { Finding, Rule } from './rule.ts';

/** Memory, initrd, PID 1, panics, clocks: what ends or stops a boot besides the root disk. */
export const startUp: Rule = (e, p) => [...memory(e, p), ...init(e, p), ...initrd(e, p), ...silence(e, p), ...stops(e, p)];

function memory(e: Evidence, p: Picture): Finding[] {
  const deadlock = p.find(
    /System is deadlocked on memory|Out of memory and no killable processes|Out of memory: (?:compulsory|Panic)|panic_on_oom/,
  );
  const initrdWrite = p.find(/[Ii]nitramfs unpacking failed: write error/);
  const sizes = e.facts.memory ? p.citeConsole(e.facts.memory) : [];
  const tooBig = p.findAny(
    /Failed to compute the initrd address|Cannot load initrd due to an invalid memory configuration|Initrd (?:is too large|does not fit)|initrd.{0,40}too large|not enough (?:space|memory) for (?:the )?initrd/i,
  );
  if (tooBig) return [{ code: 'boot.out-of-memory-unpacking-initrd', confidence: 'likely', because: [p.citeLine(tooBig)] }];
  if (deadlock || initrdWrite) {
    const unpack = p.find(/Unpacking initramfs|Trying to unpack rootfs image|RAMDISK: /);
    const line = deadlock ?? initrdWrite;
    if (line === null) return [];
    const before = e.facts.initStarted === null || e.facts.initStarted.line > line.index;
    if (before && (unpack || initrdWrite || e.asked.initrd)) {
      return [
        {
          code: 'boot.out-of-memory-unpacking-initrd',
          confidence: 'likely',
          because: [p.citeLine(line.line), ...(unpack ? [p.citeLine(unpack.line)] : []), ...sizes],
        },
      ];
    }
    return [{ code: 'boot.out-of-memory', confidence: 'likely', because: [p.citeLine(line.line), ...sizes] }];
  }
  return [];
}

/** The status of PID 1 is in the second byte of the code, a signal in the first (kernel/exit.c). */
function initExit(text: string): { status: number; signal: number } | null {
  const code = /exitcode=0x([0-9a-f]{8})/.exec(text)?.[1];
  if (code === undefined) return null;
  const value = Number.parseInt(code, 16);
  return { status: (value >> 8) & 0xff, signal: value & 0x7f };
}

function init(e: Evidence, p: Picture): Finding[] {
  const panic = p.find(/^Kernel panic - not syncing/);
  const requested = p.findAll(
    /Requested init \S+ failed \(error (-?\d+)\)|Failed to execute \S+ \(error (-?\d+)\)|Starting init: \S+ exists but couldn't execute it \(error (-?\d+)\)|Failed to execute \S+\.\s+Attempting defaults/,
    4,
  );
  const none = p.find(/No (?:working )?init found/);
  const library = p.find(
    /error while loading shared libraries|^(?:\S+: )?(?:Error loading shared library|error relocating)|\/ld-(?:musl|linux)\S*: (?:No such file|not found)|version `GLIBC_[\d.]+' not found/i,
  );
  const shellMissing = p.find(/^(?:\/\S+|sh|init|exec): (?:line \d+: )?\S+: (?:not found|No such file or directory|Permission denied)$/);
  if (library && (!e.facts.initFinished || e.facts.initFinished.line > library.index) && panic) {
    return [{ code: 'boot.init-library-missing', confidence: 'likely', because: [p.citeLine(library.line), p.citeLine(panic.line)] }];
  }
  const left = leftInitrd(e, p);
  if (left) return [left];
  if (requested.length > 0 || none) {
    const errors = requested.map((l) => Number(/error (-?\d+)/.exec(l.body)?.[1] ?? 0));
    const because = [...requested.map((l) => p.citeLine(l)), ...(none ? [p.citeLine(none.line)] : [])];
    const ranLater =
      e.console.some((l) => /^Run \S+ as init process/.test(l.body) && requested.some((r) => l.line > r.line)) && panic === null && !none;
    const degrades = ranLater && p.reached !== null ? ({ degrades: true } as const) : {};
    const dead = requested.find((l) => /error -13/.test(l.body));
    const format = requested.find((l) => /error -8\b/.test(l.body));
    const library2 = requested.find((l) => /error -80\b|error -79\b/.test(l.body));
    if (dead) return [{ code: 'boot.init-not-executable', confidence: 'likely', because, ...degrades }];
    if (format) return [{ code: 'boot.init-wrong-format', confidence: 'likely', because, ...degrades }];
    if (library2) return [{ code: 'boot.init-library-missing', confidence: 'likely', because }];
    return [{ code: 'boot.init-not-found', confidence: errors.length > 0 || none ? 'likely' : 'possible', because, ...degrades }];
  }
  if (panic && /Attempted to kill init|attempted to kill init/.test(panic.line.body)) {
    const exit = initExit(panic.line.body);
    const because = [p.citeLine(panic.line), ...(shellMissing ? [p.citeLine(shellMissing.line)] : []), ...lastWords(e, p, panic.index)];
    if (exit?.signal === 4) return [{ code: 'boot.cpu-feature-missing', confidence: 'likely', because }];
    if (exit?.status === 127 && library) return [{ code: 'boot.init-library-missing', confidence: 'likely', because }];
    const how = exit === null ? '' : exit.signal > 0 ? ` by signal ${exit.signal}` : ` with status ${exit.status}`;
    return [{ code: 'boot.init-died', confidence: 'likely', because, title: `PID 1 ended${how}, and the kernel gives up when it does` }];
  }
  if (
    panic &&
    !/unable to mount root|deadlocked on memory|Out of memory|No (?:working )?init found|Requested init/i.test(panic.line.body)
  ) {
    // a panic that a process wrote: it is not believed when the VM goes on answering
    if (p.reached !== null && !p.lost && p.vmmGone === null && e.userspaceFrom !== null && panic.index >= e.userspaceFrom) return [];
    const reason = panic.line.body.replace(/^Kernel panic - not syncing:?\s*/, '').slice(0, 160);
    const oops = e.facts.oops ? p.citeConsole(e.facts.oops) : [];
    return [
      {
        code: 'boot.kernel-panic',
        confidence: 'likely',
        because: [p.citeLine(panic.line), ...oops],
        title: `The kernel of the guest panicked: ${reason}`,
      },
    ];
  }
  return [];
}

/** init/main.c: the initrd was unpacked, and what `rdinit=` names is not in it; the kernel (since 6.2 with a line) then mounts root itself. */
function leftInitrd(e: Evidence, p: Picture): Finding | null {
  const argument = e.commandLine?.args.findLast((a) => a.startsWith('rdinit='));
  const unpacked = p.find(/Unpacking initramfs|Trying to unpack rootfs image/);
  const trouble = p.find(/VFS: (?:Cannot open root device|Unable to mount root)|Unable to mount root fs/);
  if (argument === undefined || e.commandLine === null || !unpacked || !trouble || e.facts.initStarted !== null) return null;
  const said = p.find(/check access for rdinit=\S+ failed/);
  return {
    code: 'boot.init-not-found',
    confidence: 'likely',
    because: [said ? p.citeLine(said.line) : p.citeLine(e.commandLine.at), p.citeLine(unpacked.line), p.citeLine(trouble.line)],
    title: `${argument.slice(0, 80)} names a program that is not in the initrd, so the kernel left the initrd aside`,
  };
}

/** What a process said just before PID 1 ended. */
function lastWords(e: Evidence, p: Picture, index: number) {
  return e.console
    .slice(Math.max(0, index - 5), index - 1)
    .filter((l) => l.kernelTime === null && l.body.length > 3)
    .map((l) => p.citeLine(l))
    .slice(-2);
}

function initrd(e: Evidence, p: Picture): Finding[] {
  const bad = p.find(
    /[Ii]nitramfs unpacking failed: (?!write error)|junk (?:within|in) compressed archive|rootfs image is not initramfs|RAMDISK: Couldn't find valid RAM disk image|XZ-compressed data is corrupt|ZSTD-compressed data is (?:corrupt|truncated|probably corrupt)|compression method (?:gzip|xz|zstd|lz4|bzip2|lzma|lzo)? ?not configured|LZ4.* decompressor failed/,
  );
  if (bad && e.facts.rootMounted === null && e.facts.initFinished === null)
    return [{ code: 'boot.initrd-corrupt', confidence: 'likely', because: [p.citeLine(bad.line)] }];
  const wanted = e.asked.initrd !== null && !/^(?:none|null|-|no|false)$/i.test(e.asked.initrd.value) ? e.asked.initrd : null;
  const inArguments = e.lines.find((l) => /\s-initrd \S+/.test(l.body));
  const asked = wanted?.at ?? inArguments;
  if (!asked || e.facts.banner === null || e.facts.headLost || e.console.length < 25) return [];
  const used = p.find(
    /Unpacking initramfs|Trying to unpack rootfs image|RAMDISK: |Freeing initrd memory|linstock-initrd|\(initramfs\)|[Ii]nitramfs unpacking failed/,
  );
  if (used || e.facts.panic !== null) return [];
  const mountedByKernel = e.facts.rootMounted?.by === 'kernel';
  return [
    {
      code: 'boot.initrd-ignored',
      confidence: 'likely',
      because: [p.citeLine(asked), ...(e.facts.banner ? p.citeConsole(e.facts.banner) : [])],
      ...(mountedByKernel ? { degrades: true as const } : {}),
    },
  ];
}

/** An empty console. */
function silence(e: Evidence, p: Picture): Finding[] {
  const exit = e.vmm.exit;
  if (!e.consoleEmpty && !(e.console.length === 0 && exit)) return [];
  const memory = e.asked.memoryMiB;
  const early = exit !== null && (exit.afterMs === null || exit.afterMs < 10_000);
  const silentEnd = exit !== null && exit.code === 0 && early;
  if (silentEnd && memory && memory.value < 64) {
    return [{ code: 'boot.memory-below-kernel-size', confidence: 'likely', because: [p.citeLine(exit.at), p.citeLine(memory.at)] }];
  }
  if (!e.consoleEmpty || exit !== null) return [];
  const bootArgs = e.asked.bootArgs?.value ?? '';
  const consoles = [...bootArgs.matchAll(/(?:^|\s)console=(\S+)/g)].map((m) => m[1] ?? '');
  const lives = p.reached ?? e.probes.find((x) => x.answer === 'ok') ?? null;
  const talks = p.findAny(/\b(?:POST|GET|PUT) \/\S+ from \d|request from \d|heartbeat from|connected from|agent (?:connected|registered)/i);
  const captured = p.findAny(
    /stdout.{0,40}(?:\(0 bytes\)|0 bytes|empty|\/dev\/null)|console\.log.{0,30}(?:0 bytes|empty)|-rw\S+ .* 0 .*console/i,
  );
  const serial = consoles.some((c) => /^(?:ttyS0|hvc0|ttyAMA0)/.test(c)) || /console=ttyS0/.test(p.findAny(/console=ttyS0/)?.text ?? '');
  const option = e.kernelOptions.get('SERIAL_8250_CONSOLE') ?? e.kernelOptions.get('SERIAL_8250');
  if (option && option.value !== 'y')
    return [{ code: 'kernel.console-driver-missing', confidence: 'likely', because: [p.citeLine(option.at)] }];
  if ((lives || talks) && serial) {
    const by = lives ? p.citeLine(lives.at) : talks ? p.citeLine(talks) : null;
    return [
      {
        code: 'vmm.console-not-captured',
        confidence: 'likely',
        because: [...(captured ? [p.citeLine(captured)] : []), ...(by ? [by] : [])],
        degrades: true,
      },
    ];
  }
  const other = consoles.at(-1);
  if (e.asked.bootArgs && (consoles.length === 0 || (other !== undefined && !/^(?:ttyS0|hvc0|ttyAMA0)/.test(other)))) {
    return [
      {
        code: 'boot.console-arg-missing',
        confidence: lives ? 'likely' : 'possible',
        because: [p.citeLine(e.asked.bootArgs.at), ...(lives ? [p.citeLine(lives.at)] : [])],
        ...(lives ? { degrades: true as const } : {}),
      },
    ];
  }
  return [];
}

/** The console ends, and nothing says why: what it stopped at. */
function stops(e: Evidence, p: Picture): Finding[] {
  const findings: Finding[] = [];
  const lastIndex = e.console.findLastIndex((l) => l.body !== '');
  const last = lastIndex < 0 ? null : (e.console[lastIndex] ?? null);
  if (last && p.reached === null && !p.userspace && e.facts.panic === null && e.facts.rootMounted === null) {
    const near = e.console.slice(Math.max(0, lastIndex - 3), lastIndex + 1);
    const clock = near.find((l) =>
      /tsc: (?:Marking TSC unstable|Unable to calibrate|Fast TSC calibration failed)|clocksource: .*unstable|Calibrating delay loop|could not calculate TSC khz/.test(
        l.body,
      ),
    );
    if (clock && last.kernelTime !== null && last.kernelTime < 2) {
      findings.push({
        code: 'boot.clock-calibration-hang',
        confidence: 'likely',
        because: [p.citeLine(clock), ...(clock === last ? [] : [p.citeLine(last)])],
      });
    }
  }
  const stall = p.findAll(
    /watchdog: BUG: soft lockup|rcu: INFO: rcu_\w+ (?:self-)?detected stalls?|INFO: rcu_\w+ (?:self-)?detected stall|NMI watchdog: (?:BUG|Watchdog detected)/,
    2,
  );
  if (stall.length > 0 && e.facts.panic === null) {
    findings.push({
      code: 'boot.cpu-stalled',
      confidence: p.reached ? 'possible' : 'likely',
      because: stall.map((l) => p.citeLine(l)),
      ...(p.reached ? { degrades: true as const } : {}),
    });
  }
  const oops = e.facts.oops;
  if (oops && e.facts.panic === null)
    findings.push({
      code: 'boot.kernel-oops',
      confidence: 'likely',
      because: p.citeConsole(oops),
      ...(p.reached ? { degrades: true as const } : {}),
    });
  const device: Line | null = p.findAll(/Timed out waiting for device \S+|Dependency failed for \/\S+/, 1)[0] ?? null;
  const emergency = p.find(
    /You are in (?:emergency|rescue) mode|Reached target (?:emergency\.target|Emergency Mode)|Entering emergency mode|Give root password for maintenance/,
  );
  if (device && /waiting for device/.test(device.body)) {
    findings.push({
      code: 'boot.waits-for-device',
      confidence: 'likely',
      because: [p.citeLine(device), ...(emergency ? [p.citeLine(emergency.line)] : [])],
      ...(emergency || !p.reached ? {} : { degrades: true as const }),
    });
  } else if (emergency)
    findings.push({
      code: 'boot.emergency-mode',
      confidence: 'likely',
      because: [p.citeLine(emergency.line), ...(device ? [p.citeLine(device)] : [])],
    });
  const off = p.find(/^reboot: (?:System halted|Power down)|Reached target .{0,40}Power.?Off|systemd-shutdown\[1\]: Powering off/i);
  if (off && p.reached === null && e.facts.panic === null)
    findings.push({ code: 'boot.guest-powered-off', confidence: 'likely', because: [p.citeLine(off.line)] });
  const random = p.find(/random: crng init done|random: crng done/);
  const waiting = p.findAll(
    /(?:waiting|blocked|hang).{0,40}(?:entropy|getrandom|random)|uninitialized urandom read.*(?:sshd|ssh-keygen)|getrandom\(.*(?:blocked|resumed)/i,
    2,
  );
  if (waiting.length > 0 && (random === null || (random.line.kernelTime ?? 0) > 20)) {
    findings.push({
      code: 'boot.entropy-starved',
      confidence: 'likely',
      because: [...waiting.map((l) => p.citeLine(l)), ...(random ? [p.citeLine(random.line)] : [])],
    });
  } else if (random && (random.line.kernelTime ?? 0) > 30) {
    const early = p.findAll(/uninitialized urandom read|Starting .*(?:Secure Shell|ssh|dropbear)/i, 1);
    const refused = [...p.ports].find(([, v]) => v.answer === 'refused' || v.answer === 'timeout');
    findings.push({
      code: 'boot.entropy-starved',
      confidence: early.length > 0 && refused ? 'likely' : 'possible',
      because: [p.citeLine(random.line), ...early.map((l) => p.citeLine(l)), ...(refused ? [p.citeLine(refused[1].probe.at)] : [])],
    });
  }
  return findings;
}
