/**
 * Why a Firecracker ended, from all that it left: its status, its log, its last words, the guest's console, its metrics. Pure. No single one
 * of them is enough: a guest that panicked and a guest that rebooted both end it with 0, and one that reboots by a triple fault (`reboot=t`)
 * ends it as one does whose processor gave up (vmm/src/vstate/vcpu.rs, lib.rs FcExitCode).
 */
import { cleanText, readConsole } from '@linstock/core';
import { lastWords } from '../last-words.ts';
import { valueOf, type Metrics } from './metrics.ts';

export type EndKind =
  | 'on-request'
  | 'unseen'
  | 'guest-ended'
  | 'guest-panicked'
  | 'triple-fault'
  | 'kvm-unusable'
  | 'kvm-failed'
  | 'bad-configuration'
  | 'bad-arguments'
  | 'jailer-refused'
  | 'no-program'
  | 'seccomp'
  | 'memory-lost'
  | 'crashed'
  | 'limit'
  | 'vmm-panicked'
  | 'signal'
  | 'unexpected';

/** `refused`: it gave up by its own word before the guest ran, so trying again without a change is useless. */
export type End = { kind: EndKind; hint: string; refused: boolean };

/** What it left in the folder of its boot. */
export type Traces = {
  /** the ends of its log, of standard error, and of the console */
  log: string;
  errors: string;
  console: string;
  consoleBytes: number;
  /** all lines added up */
  metrics: Metrics | null;
};

export type Remains = Traces & {
  /** as a shell sees it: an exit code, or 128 + N for signal N; null when nobody was left to see it */
  status: number | null;
  onRequest: boolean;
  /** the kernel killed in its cgroup because its memory was used up */
  ranOutOfMemory: boolean;
};

/**
 * Its own codes above 128 are not signals (vmm/src/lib.rs FcExitCode); a shell's 128 + N would make stops and window changes of them. Real
 * deaths by these signals do not happen: it catches them, and those are their codes.
 */
const ownCodes: Readonly<Record<number, readonly [kind: EndKind, says: string]>> = {
  148: ['seccomp', 'its seccomp filter stopped a system call that it does not allow'],
  149: ['memory-lost', 'SIGBUS: guest memory was not there (no free huge page, or its memory file was cut or replaced)'],
  150: ['crashed', 'SIGSEGV in Firecracker itself'],
  151: ['limit', 'SIGXFSZ: a file grew past the limit of file sizes (--resource-limit fsize)'],
  152: ['bad-configuration', 'its configuration or log level is wrong'],
  153: ['bad-arguments', 'its arguments are wrong'],
  154: ['limit', 'SIGXCPU: it used more processor time than its limit'],
  155: ['crashed', 'SIGPIPE'],
  156: ['signal', 'SIGHUP: whoever started it left (1.9 and 1.10: see --new-pid-ns)'],
  157: ['crashed', 'SIGILL: this processor lacks an instruction that this build needs'],
};

const signalNames: Readonly<Record<number, string>> = {
  129: 'SIGHUP',
  130: 'SIGINT',
  131: 'SIGQUIT',
  132: 'SIGILL',
  134: 'SIGABRT',
  135: 'SIGBUS',
  136: 'SIGFPE',
  137: 'SIGKILL',
  139: 'SIGSEGV',
  141: 'SIGPIPE',
  143: 'SIGTERM',
  159: 'SIGSYS',
};

export function whyEnded(remains: Remains): End {
  const { status } = remains;
  if (remains.onRequest) return end('on-request', 'on request', remains, false);
  if (status === null) return end('unseen', 'in a way that nobody saw, because its keeper was killed as well', remains, false);
  const own = ownCodes[status];
  if (own !== undefined) {
    const panicked = status === 148 ? panicked148(remains) : null;
    if (panicked !== null) return panicked;
    const call = /bad syscall \((\d{1,5})\)/.exec(remains.log)?.[1];
    const says = status === 148 && call !== undefined ? `${own[1]} (number ${call})` : own[1];
    return end(own[0], `with exit code ${status}: ${says}`, remains, status === 152 || status === 153 || silent(remains));
  }
  // its last vCPU may go with an error and the process with 0 all the same (seen in 1.9.1 and 1.16.1: two threads race for the exit code)
  if (status === 0)
    return kvmGaveUp(remains) ? end('kvm-failed', 'with exit code 0: KVM gave up running the guest', remains, false) : endOfGuest(remains);
  if (status === 1) return generic(remains);
  if (status === 126 || status === 127) return end('no-program', `with exit code ${status}: there is no such program`, remains, true);
  // up to 1.12 the jailer says so by a panic (jailer/src/main.rs)
  if (status === 134 && remains.errors.includes('Jailer error: ')) return end('jailer-refused', 'before it began', remains, true);
  if (status === 134) return end('vmm-panicked', 'by signal SIGABRT: Firecracker itself panicked', remains, silent(remains));
  if (status > 128) {
    if (status === 137 && remains.ranOutOfMemory)
      return end('limit', 'by signal SIGKILL: it used up the memory of its cgroup', remains, false);
    const name = signalNames[status] ?? `number ${status - 128}`;
    return end(
      'signal',
      `by signal ${name}${status === 137 ? ', from outside (somebody, or a host short of memory)' : ''}`,
      remains,
      false,
    );
  }
  return end('unexpected', `with exit code ${status}`, remains, silent(remains));
}

/**
 * What a panic of another thread than the first ends with: its hook looks whether standard input is a terminal, which the filter of that
 * thread does not allow (firecracker/src/main.rs; seen in 1.9.1 and 1.16.1). Before the start it is the API's thread, which was asked while
 * the VM could not be made; why it could not is said by nobody then.
 */
function panicked148(remains: Remains): End | null {
  if (!remains.log.includes('Firecracker panicked at')) return null;
  if (!saysStarted(remains.log) && remains.log.includes('VMM disconnected'))
    return end('bad-configuration', 'with exit code 148: it cannot make this VM, and a request kept it from saying why', remains, true);
  return end('vmm-panicked', 'with exit code 148: Firecracker itself panicked', remains, silent(remains));
}

/** Whether a VM from a configuration file runs (firecracker/src/main.rs, the same words from 1.9.1 to 1.16.1). */
export function saysStarted(log: string): boolean {
  return log.includes('Successfully started microvm');
}

/** Whether it has begun to end: from here on it must not be asked anything (driver.ts). */
export function saysStopping(log: string): boolean {
  return log.includes('Vmm is stopping.');
}

/**
 * Why it began to end, of one that never comes to it. A request that arrives in the moment in which its guest ends is answered by nobody; the
 * thread of the API waits for that answer, and the first thread for the thread (api_server/mod.rs, api_server_adapter.rs; seen in 1.9.1 to
 * 1.16.1).
 */
export function whyStuck(traces: Traces): End {
  return endOfGuest({ ...traces, status: null, onRequest: false, ranOutOfMemory: false });
}

/** The guest ended it: by a reset, which is 0, or by a triple fault, which is 0 up to 1.14 and 1 from 1.15 on. The console says why it did. */
function endOfGuest(remains: Remains): End {
  const how = remains.status === null ? 'hangs at its end' : `ended with exit code ${remains.status}`;
  const says = (kind: EndKind, what: string): End => ({ kind, hint: `Firecracker ${how}: ${what}`, refused: false });
  const panic = panicIn(remains.console);
  if (panic !== null) return says('guest-panicked', `the guest kernel panicked: ${panic}`);
  const goodbye = goodbyeIn(remains.console);
  if (goodbye !== null) return says('guest-ended', `the guest ${goodbye}`);
  if (tripleFault(remains)) return says('triple-fault', withWords('the guest’s processor gave up (triple fault)', remains));
  return says('guest-ended', 'the guest asked for a reset, and its console does not say why');
}

/** What all versions say when KVM does not open, or opens and makes no VM (vmm/src/vstate/kvm.rs, vm.rs). */
const kvmTrouble = /\bkvm|Failed to create VM|Cannot open the VM file descriptor/i;

/** 1: everything that went wrong in main, from 1.15 on also a triple fault, and every complaint of the jailer. */
function generic(remains: Remains): End {
  const { log, errors } = remains;
  const began = log.includes('Running Firecracker v');
  const started = saysStarted(log);
  if (!began && silent(remains)) {
    // The jailer, and Firecracker before it has a log, speak to standard error only.
    const jailer = /\bJailer|chroot|cgroup|mknod|netns|exec-file|Canonicalize|InvalidInstanceId/i.test(errors);
    return end(jailer ? 'jailer-refused' : 'bad-arguments', 'with exit code 1 before it began', remains, true);
  }
  if (!started && silent(remains)) {
    const kvm = kvmTrouble.test(log);
    return kvm
      ? end('kvm-unusable', 'with exit code 1: KVM cannot run a VM on this host', remains, true)
      : end('bad-configuration', 'with exit code 1: it cannot make this VM', remains, true);
  }
  if (tripleFault(remains)) return endOfGuest(remains);
  if (kvmGaveUp(remains) || valueOf(remains.metrics, 'vcpu.failures') > 0) {
    return end('kvm-failed', 'with exit code 1: KVM gave up running the guest', remains, false);
  }
  if (panicIn(remains.console) !== null) return endOfGuest(remains);
  return end('unexpected', 'with exit code 1 while the guest ran', remains, false);
}

/**
 * KVM_EXIT_SHUTDOWN: up to 1.14 an ordinary end; from 1.15 on an error of the vCPU, with a count among the failures (vstate/vcpu.rs,
 * arch/x86_64/vcpu.rs; both seen with a guest that does it).
 */
function tripleFault({ log }: Remains): boolean {
  return log.includes('Received KVM_EXIT_SHUTDOWN') || log.includes('Unexpected exit reason on vcpu run: Shutdown');
}

/** What a vCPU says that did not get on (vmm/src/vstate/vcpu.rs). */
function kvmGaveUp({ log }: Pick<Remains, 'log'>): boolean {
  return /KVM_EXIT_(?:INTERNAL_ERROR|FAIL_ENTRY)|Unexpected exit reason on vcpu run: (?!Shutdown)|Failure during vcpu run|Received ENOSYS/.test(
    log,
  );
}

/** Firecracker's own words, which go to standard output as long as it has no log. */
function ownWords({ log, console }: Remains): string {
  return log === '' && /^\d{4}-\d\d-\d\dT[\d:.]+ \[/.test(console) ? console : '';
}

/** The guest has not spoken. */
function silent(remains: Remains): boolean {
  return remains.consoleBytes === 0 || ownWords(remains) !== '';
}

function panicIn(console: string): string | null {
  const found = /Kernel panic - not syncing[^\r\n]{0,200}/.exec(console)?.[0];
  return found === undefined ? null : cleanText(found, 240);
}

/** Between the kernel's goodbye and the reset other processors may still print a line or two. */
const lastLines = 6;

/** What the kernel said that it does, with the last that it printed: earlier in the console it is of another life, or of a process. */
function goodbyeIn(console: string): string | null {
  const last = console
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-lastLines);
  const how = readConsole(last.join('\n'), { ended: true }).shutdown?.how;
  return how === undefined ? null : { restart: 'rebooted', 'power-off': 'powered off', halt: 'halted' }[how];
}

/** With its last words: of the log the sentences of its errors, which say what its `Error: …` on standard error says for programmers. */
function end(kind: EndKind, says: string, remains: Remains, refused: boolean): End {
  return { kind, hint: `Firecracker ended ${kind === 'on-request' ? says : withWords(says, remains)}`, refused };
}

function withWords(says: string, remains: Remains): string {
  const words = sentences(remains);
  return words === '' ? says : `${says}: ${words}`;
}

function sentences(remains: Remains): string {
  const lines = (remains.log || ownWords(remains)).split('\n');
  const errorLines = lines
    // what a panic says stands on the line behind
    .map((line, at) => (line.includes('Firecracker panicked at') ? `${line} ${lines[at + 1] ?? ''}` : line))
    .filter((line) => /:ERROR[:\]]/.test(line) || line.includes('Firecracker panicked at'))
    // the time, the thread and the level are for the log; the exit code is said already
    .map((line) => line.replace(/^\S{1,40} \[[^\]]{0,120}\] ?/, ''))
    .filter((line) => !line.startsWith('Firecracker exiting with error'));
  return lastWords(errorLines.join('\n'), 2) || lastWords(remains.errors.replace(/^note: run with `RUST_BACKTRACE.*$/m, ''), 2);
}
