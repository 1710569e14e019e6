import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { whyEnded, whyStuck, type EndKind, type Remains } from './exit.ts';

const began = '2024-09-02T10:11:12.123456789 [boot-1:main:INFO] Running Firecracker v1.9.1\n';
const started = `${began}2024-09-02T10:11:12.2 [boot-1:main:INFO] Successfully started microvm that was configured from one single json\n`;
const error = (text: string, thread = 'main'): string => `2024-09-02T10:11:12.3 [boot-1:${thread}:ERROR] ${text}\n`;
const remains = (changes: Partial<Remains>): Remains => ({
  status: 0,
  onRequest: false,
  ranOutOfMemory: false,
  log: started,
  errors: '',
  console: 'Linux version 6.1\n',
  consoleBytes: 18,
  metrics: null,
  ...changes,
});
const silent = { console: '', consoleBytes: 0 };
const config = (text: string): string => began + error(`RunWithApiError error: Failed to build MicroVM from Json: ${text}`);

const shutdown = '2024-09-02T10:11:12.3 [boot-1:fc_vcpu 0:INFO] Received KVM_EXIT_SHUTDOWN signal\n';
const shutdown1_15 = `${started}${error('Unexpected exit reason on vcpu run: Shutdown', 'fc_vcpu 0')}Vmm is stopping.\n`;
const counted = { at: 1, values: new Map([['vcpu.failures', 1]]) };
const restart = 'Linux version 6.1\r\n[    9.100000] reboot: Restarting system\r\n[    9.200000] reboot: machine restart\r\n';
const said = (console: string): Partial<Remains> => ({ console, consoleBytes: console.length });

const cases: readonly (readonly [says: string, remains: Partial<Remains>, kind: EndKind, refused: boolean, hint: RegExp])[] = [
  ['we did it', { status: 137, onRequest: true }, 'on-request', false, /ended on request$/],
  ['its cgroup had no memory left', { status: 137, ranOutOfMemory: true }, 'limit', false, /SIGKILL: it used up the memory of its cgroup/],
  ['nobody saw it', { status: null }, 'unseen', false, /keeper was killed/],
  ['a reboot', { log: `${started}Vmm is stopping.` }, 'guest-ended', false, /asked for a reset/],
  [
    'a panic, which also ends with 0',
    { console: '[ 1.0] Kernel panic - not syncing: Attempted to kill init! \u001b[31mx' },
    'guest-panicked',
    false,
    /panicked: Kernel panic - not syncing: Attempted to kill init! x$/,
  ],
  ['a triple fault up to 1.14', { log: `${started}Received KVM_EXIT_SHUTDOWN signal` }, 'triple-fault', false, /exit code 0/],
  [
    'a triple fault from 1.15 on',
    { status: 1, log: shutdown1_15, metrics: counted },
    'triple-fault',
    false,
    /exit code 1: .*Unexpected exit reason on vcpu run: Shutdown/,
  ],
  ['a reboot that the console tells', said(restart), 'guest-ended', false, /exit code 0: the guest rebooted$/],
  [
    'a reboot by triple fault (reboot=t) up to 1.14',
    { log: started + shutdown, ...said(restart) },
    'guest-ended',
    false,
    /0: the guest rebooted$/,
  ],
  [
    'the same from 1.15 on',
    { status: 1, log: shutdown1_15, metrics: counted, ...said(restart) },
    'guest-ended',
    false,
    /1: the guest rebooted$/,
  ],
  [
    'the first of the two lines alone, and a word of another processor behind it',
    {
      status: 1,
      log: shutdown1_15,
      metrics: counted,
      ...said('[    9.100000] reboot: Restarting system\r\n[    9.100000] smpboot: CPU 1 is now offline\r\n\r\n'),
    },
    'guest-ended',
    false,
    /the guest rebooted$/,
  ],
  [
    'a power-off',
    { log: started + shutdown, ...said('[    9.100000] reboot: Power down\r\n') },
    'guest-ended',
    false,
    /the guest powered off$/,
  ],
  [
    'a panic that reboots by triple fault',
    { status: 1, log: shutdown1_15, metrics: counted, ...said('Kernel panic - not syncing: VFS\r\nRebooting in 1 seconds..\r\n') },
    'guest-panicked',
    false,
    /exit code 1: the guest kernel panicked: Kernel panic - not syncing: VFS$/,
  ],
  [
    'a panic while it was about to reboot',
    { log: started + shutdown, ...said(`${restart}[    9.300000] Kernel panic - not syncing: stuck\r\n`) },
    'guest-panicked',
    false,
    /stuck$/,
  ],
  [
    'a triple fault long after something that looks like a reboot',
    { status: 1, log: shutdown1_15, metrics: counted, ...said(`${restart}${'still here\r\n'.repeat(9)}`) },
    'triple-fault',
    false,
    /triple fault/,
  ],
  [
    'a triple fault of a guest that only talks of reboots',
    { log: started + shutdown, ...said('app: reboot: Restarting system soon\r\n') },
    'triple-fault',
    false,
    /triple fault/,
  ],
  [
    'a vCPU that KVM gave up',
    { status: 1, log: `${started}${error('Failure during vcpu run: Bad address (os error 14)', 'fc_vcpu 0')}Vmm is stopping.` },
    'kvm-failed',
    false,
    /Bad address/,
  ],
  [
    'a vCPU that KVM gave up, though the process says 0',
    { log: `${started}${error('Received KVM_EXIT_INTERNAL_ERROR signal', 'fc_vcpu 0')}Vmm is stopping.\n`, ...silent },
    'kvm-failed',
    false,
    /exit code 0: KVM gave up running the guest: Received KVM_EXIT_INTERNAL_ERROR signal$/,
  ],
  ['the same, by the count alone', { status: 1, metrics: counted }, 'kvm-failed', false, /KVM gave up/],
  [
    'a missing file',
    { status: 1, log: config('Configuration for VMM from one single json failed: Block device error: No such file'), ...silent },
    'bad-configuration',
    true,
    /cannot make this VM: RunWithApiError error/,
  ],
  [
    'no rights to KVM',
    { status: 1, log: config('Error creating KVM object: Permission denied (os error 13)'), ...silent },
    'kvm-unusable',
    true,
    /KVM cannot run a VM/,
  ],
  [
    'KVM that makes no VM',
    { status: 1, log: config('Error with the Vm object: Failed to create VM: Resource busy'), ...silent },
    'kvm-unusable',
    true,
    /Resource busy/,
  ],
  [
    'a jailer that refused',
    { status: 1, log: '', errors: 'Failed to canonicalize path /x\nError: Canonicalize("/x")', ...silent },
    'jailer-refused',
    true,
    /before it began.*\/x/,
  ],
  [
    'a jailer that refused, up to 1.12',
    {
      status: 134,
      log: '',
      errors:
        "thread 'main' panicked at src/jailer/src/main.rs:346:27:\nJailer error: Invalid uid: x\nnote: run with `RUST_BACKTRACE=1` to\n",
      ...silent,
    },
    'jailer-refused',
    true,
    /before it began: .*Jailer error: Invalid uid: x$/,
  ],
  [
    'a log that it cannot open, of which it speaks on standard output',
    {
      status: 1,
      log: '',
      errors: 'Error: LoggerInitialization(…)',
      ...said('2026-11-24T11:00:16.863677298 [boot-1:main] Could not initialize logger: Failed to open target file\n'),
    },
    'bad-arguments',
    true,
    /exit code 1 before it began: Error: LoggerInitialization/,
  ],
  ['arguments before there is a log', { status: 1, log: '', errors: 'Error: x', ...silent }, 'bad-arguments', true, /Error: x/],
  [
    'arguments',
    { status: 153, log: '', errors: 'Error: ParseArguments(UnexpectedArgument("enable-pci"))', ...silent },
    'bad-arguments',
    true,
    /153.*enable-pci/,
  ],
  ['a log level', { status: 152, log: '', ...silent }, 'bad-configuration', true, /152/],
  [
    'seccomp, which is not SIGTSTP',
    { status: 148, log: `${started}${error('Shutting down VM after intercepting a bad syscall (41).')}` },
    'seccomp',
    false,
    /exit code 148: .*number 41/,
  ],
  [
    'a panic of the API’s thread, because it was asked while the VM could not be made',
    {
      status: 148,
      log: `${began}${error('Firecracker panicked at src/firecracker/src/api_server/mod.rs:174:63:\nVMM disconnected: RecvError', 'fc_api')}${error('Shutting down VM after intercepting a bad syscall (16).', 'fc_api')}`,
      ...silent,
    },
    'bad-configuration',
    true,
    /148: it cannot make this VM/,
  ],
  [
    'a panic of another thread, of which the filter makes 148',
    { status: 148, log: `${started}${error('Firecracker panicked at src/x.rs:1:1:\nno', 'fc_vcpu 0')}` },
    'vmm-panicked',
    false,
    /148: Firecracker itself panicked.*src\/x.rs/,
  ],
  ['SIGBUS', { status: 149 }, 'memory-lost', false, /huge page/],
  ['SIGSEGV', { status: 150 }, 'crashed', false, /SIGSEGV/],
  ['the limit of file sizes', { status: 151 }, 'limit', false, /fsize/],
  [
    'a panic of its own',
    { status: 134, log: `${started}${error('Firecracker panicked at src/x.rs:1:1:\ncalled `Option::unwrap()` on a `None` value')}` },
    'vmm-panicked',
    false,
    /SIGABRT.*panicked at src\/x.rs:1:1: called `Option::unwrap/,
  ],
  [
    'a panic of its own, before the guest',
    { status: 134, log: '', errors: 'thread main panicked: Invalid instance ID', ...silent },
    'vmm-panicked',
    true,
    /Invalid instance ID/,
  ],
  ['kill -9', { status: 137 }, 'signal', false, /SIGKILL, from outside/],
  ['SIGTERM', { status: 143 }, 'signal', false, /SIGTERM/],
  ['no such program', { status: 127, log: '', errors: 'exec: /no: not found', ...silent }, 'no-program', true, /\/no: not found/],
  ['a code that it does not have', { status: 42 }, 'unexpected', false, /exit code 42/],
];

describe('ends', () => {
  test.each(cases)('%s', (_, given, kind, refused, hint) => {
    const end = whyEnded(remains(given));
    expect(end).toEqual({ kind, refused, hint: expect.stringMatching(hint) as string });
    expect(end.hint).not.toMatch(/[\u0000-\u001f]/);
  });

  test('nothing after the guest spoke is a refusal, but what only its own words can mean', () => {
    for (let status = 0; status < 256; status += 1) {
      const { kind, refused } = whyEnded(remains({ status }));
      if (refused) expect(['no-program', 'bad-arguments', 'bad-configuration']).toContain(kind);
    }
  });
});

test('one that hangs at its end is told by its console and its log', () => {
  const stuck = (changes: Partial<Remains>): string => whyStuck(remains(changes)).hint;
  expect(stuck(said(restart))).toBe('Firecracker hangs at its end: the guest rebooted');
  expect(stuck(said('Kernel panic - not syncing: x\r\n'))).toMatch(/^Firecracker hangs at its end: the guest kernel panicked: .*x$/);
  expect(stuck({ log: shutdown1_15 })).toMatch(/^Firecracker hangs at its end: .*triple fault/);
  expect(stuck({})).toBe('Firecracker hangs at its end: the guest asked for a reset, and its console does not say why');
});

test('no bytes that a guest or a VMM leaves make it throw, or make a long or dirty sentence', () => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 500 }),
    fc.constantFrom(...cases.flatMap(([, { log = '', console = '', errors = '' }]) => [log, console, errors])),
  );
  const metrics = fc.option(fc.record({ at: fc.nat(), values: fc.constantFrom(new Map<string, number>(), counted.values) }));
  fc.assert(
    fc.property(
      fc.record({
        status: fc.option(fc.integer({ min: 0, max: 255 })),
        onRequest: fc.boolean(),
        ranOutOfMemory: fc.boolean(),
        log: anything,
        errors: anything,
        console: anything,
        consoleBytes: fc.nat(2),
        metrics,
      }),
      (left) => {
        for (const { hint } of [whyEnded(left), whyStuck(left)]) {
          expect(hint).toMatch(/^Firecracker (?:ended|hangs) /);
          expect(hint.length).toBeLessThan(1_000);
          expect(hint).not.toMatch(/[\u0000-\u001f\u007f]/);
        }
      },
    ),
    { numRuns: 300 },
  );
});
