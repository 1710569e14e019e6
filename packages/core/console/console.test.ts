import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ConsoleFacts } from './console.ts';
import { ConsoleReader, readConsole } from './reader.ts';

const fixture = (name: string): Uint8Array => readFileSync(new URL(`fixtures/${name}.log`, import.meta.url));
const facts = (name: string): ConsoleFacts => readConsole(fixture(name), { ended: true });
const say = (...lines: string[]): ConsoleFacts => readConsole(`${lines.join('\n')}\n`);
const run = 'Run /sbin/init as init process';

describe('consoles of real guests', () => {
  it('healthy tiny guest', () => {
    const f = facts('healthy-tiny');
    expect(f.banner?.version).toBe(
      'Linux version 6.1.192 (lab@lab) (gcc (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #2 SMP 2025-01-01',
    );
    expect(f.banner).toMatchObject({ line: 1, afterUserspace: false });
    expect(f.commandLine).toMatchObject({ form: 'saved', cut: false });
    expect(f.commandLine?.args).toMatch(/^console=ttyS0 panic=1 .* ip=192\.168\.100\.3::192\.168\.100\.1:255\.255\.255\.0::eth0:off$/);
    expect(f).toMatchObject({
      banners: 1,
      unknownParameters: null,
      memory: { availableKiB: 112_984, totalKiB: 130_680 },
      cpus: { count: 1 },
      mounts: [{ device: '/dev/vda', fstype: 'ext4' }],
      rootMounted: { device: '/dev/vda', fstype: 'ext4', readonly: false, by: 'kernel', afterUserspace: false },
      ipConfig: {
        device: 'eth0',
        address: '192.168.100.3',
        gateway: '192.168.100.1',
        mask: '255.255.255.0',
        mac: '02:fc:00:00:00:03',
        by: 'kernel',
      },
      initStarted: { path: '/init' },
      userspaceFrom: { afterUserspace: false },
      randomReady: { afterUserspace: false },
      tscMhz: 2600,
      panic: null,
    });
  });

  it('systemd guest whose networkd drops the address', () => {
    const f = facts('networkd-drops-address');
    expect(f.initStarted?.path).toBe('/sbin/init');
    expect(f.initFinished).toMatchObject({ by: 'systemd', afterUserspace: true });
    expect(f.networkConfigurators.map((c) => c.name)).toEqual(['systemd-networkd']);
    expect(f.networkConfigurators[0]?.line).toBeGreaterThan(f.ipConfig?.line ?? Infinity);
  });

  it('a kernel without IP_PNP names ip= as unknown', () => {
    expect(facts('no-ip-pnp')).toMatchObject({
      ipConfig: null,
      unknownParameters: { tokens: ['ip=192.168.100.3::192.168.100.1:255.255.255.0::eth0:off'], cut: false },
    });
    expect(facts('founding-5.15').unknownParameters?.tokens.slice(1)).toEqual(['biosdevname=0', 'gso_max_size=0', 'decodo_port=10001']);
  });

  it('panics and what led to them', () => {
    expect(facts('oom-panic')).toMatchObject({
      panic: { afterUserspace: false },
      oom: { text: expect.stringContaining('no killable processes') as string },
    });
    expect(facts('no-ext4')).toMatchObject({
      rootMounted: null,
      panic: { text: expect.stringContaining('Unable to mount root fs on unknown-block(254,0)') as string },
    });
    expect(facts('no-init')).toMatchObject({
      rootMounted: { device: '/dev/vda' },
      panic: { text: expect.stringContaining('Requested init') as string },
    });
    expect(facts('crash-after-start').panic).toMatchObject({ afterUserspace: true });
    expect(facts('root-twice').rootProblem?.text).toContain('Waiting for root device');
  });

  it('a root that is read-only although rw was asked for, and a failed unit', () => {
    const f = facts('readonly-systemd');
    expect(f.rootMounted).toMatchObject({ readonly: true });
    expect(f.failedUnits.map((u) => u.unit)).toEqual(['systemd-lo…rvice']);
    expect(facts('port-refused').failedUnits.map((u) => u.unit)).toEqual(['noVNC WebSocket Proxy']);
  });

  it('old kernels: 4.14 prints no Run line', () => {
    expect(facts('founding-4.14')).toMatchObject({
      initStarted: null,
      userspaceFrom: { text: expect.stringContaining('OK') as string, afterUserspace: true },
      rootMounted: { readonly: false },
    });
  });

  it('says what the kernel made of an undefined address', () => {
    expect(facts('undefined-in-ip')).toMatchObject({
      ipConfig: { mask: '166.0.0.0', gateway: '166.0.0.0' },
      ipProblems: [{ text: expect.stringContaining('netmask (-22)') as string }],
    });
  });
});

describe('lines of our own images', () => {
  it('initrd and init', () => {
    const f = say(
      'Run /init as init process',
      'linstock-initrd: ip 192.168.100.3/24 gw 192.168.100.1 dev eth0 set',
      'EXT4-fs (vda): mounted filesystem 5a5b r/w with ordered data mode. Quota mode: none.',
      'linstock-initrd: root /dev/vda mounted rw, starting /sbin/init',
      'linstock-init: started up=0.5',
      'linstock-init: ready up=0.52 listen=0.0.0.0:6080',
    );
    expect(f).toMatchObject({
      ipConfig: {
        device: 'eth0',
        address: '192.168.100.3',
        gateway: '192.168.100.1',
        mask: '255.255.255.0',
        by: 'initrd',
        afterUserspace: true,
      },
      rootMounted: { device: '/dev/vda', fstype: 'ext4', readonly: false, by: 'initrd' },
      initFinished: { by: 'linstock-init', line: 6 },
      ipProblems: [],
      initProblem: null,
    });
    expect(say('linstock-initrd: root /dev/vda mounted ext4 ro').rootMounted).toMatchObject({ fstype: 'ext4', readonly: true });
  });

  it('knows ready from what only begins so', () => {
    expect(say('linstock-init: ready').initFinished).not.toBeNull();
    expect(say('linstock-init: readyish').initFinished).toBeNull();
    expect(say('linstock-init: not ready: asked to serve nothing').initProblem).not.toBeNull();
    expect(say('linstock-init: FAILED: not ready: nothing listens')).toMatchObject({ initFinished: null, initProblem: { line: 1 } });
  });

  it('keeps what could not be done about ip=', () => {
    const f = say(
      'linstock-initrd: ip=dhcp not applied: only a fixed address is',
      'linstock-initrd: ip 10.0.0.2/24 dev eth0 not set: busy',
      'linstock-initrd: FAILED: root device /dev/vdb is not there after 10 s',
    );
    expect(f).toMatchObject({ ipConfig: null, ipProblems: [{ line: 1 }, { line: 2 }], rootProblem: { line: 3 } });
    expect(say('linstock-initrd: ip 10.0.0.2/24 dev eth0 set, no default route by 10.0.0.1: x')).toMatchObject({
      ipConfig: { address: '10.0.0.2', gateway: null },
      ipProblems: [{ line: 1 }],
    });
  });
});

describe('what stands before a message', () => {
  it.each([
    '',
    '[    0.123456] ',
    '[12345.678901][    T1] ',
    '<6>',
    '<6>[    0.1234][   C12] ',
    '\u001b[0m',
    '\u001b[2J\u001b[H[    0.000000] ',
    'Nov 24 06:42:11 host kernel: ',
    'Nov 24 06:42:11 host kernel: [    0.5000] ',
    '2026-11-24T06:42:11+00:00 host kernel: ',
    '/ # \u001b[6n[    1.234567] ',
    'SeaBIOS (version 1)[    0.000000] ',
    '\r',
  ])('%j', (prefix) => {
    const f = readConsole(`${prefix}Linux version 6.1.0 (a@b) #1\r\n${prefix}Memory: 1K/2K available\r\n`);
    expect(f).toMatchObject({ banner: { version: 'Linux version 6.1.0 (a@b) #1', line: 1 }, memory: { line: 2 } });
  });

  it('is not found inside other text', () => {
    expect(say('app says Linux version 6.1.0', 'x[1.2]Linux version 6', 'colonel: y Kernel panic - not syncing: z')).toMatchObject({
      banner: null,
      panic: null,
    });
  });

  it('reads systemd behind syslog', () => {
    expect(say('Nov 24 06:42:11 host systemd[1]: Startup finished in 1.2s (kernel).').initFinished).toMatchObject({ by: 'systemd' });
  });
});

describe('facts', () => {
  it('of the first boot stay when a second banner comes', () => {
    const f = say(
      'Linux version 1',
      'Command line: a',
      run,
      'reboot: Restarting system',
      'Linux version 2',
      'Command line: b',
      'Kernel command line: b',
    );
    expect(f).toMatchObject({
      banner: { version: 'Linux version 1' },
      banners: 2,
      laterBanner: { line: 5, afterUserspace: true },
      commandLine: { args: 'a' },
      shutdown: { how: 'restart' },
    });
  });

  it('prefer the saved command line and join a wrapped one', () => {
    expect(say('Command line: a', 'Kernel command line: a b').commandLine).toMatchObject({ args: 'a b', form: 'saved', line: 2 });
    expect(say('Kernel command line: a b \\', 'Kernel command line: c d \\', 'Kernel command line: e').commandLine?.args).toBe('a b c d e');
  });

  it('are not taken back by a process that prints like a kernel', () => {
    const f = say('Linux version 1', 'Command line: a', run, 'Kernel command line: forged', 'Memory: 1K/9K available');
    expect(f.commandLine).toMatchObject({ args: 'a', afterUserspace: false });
    expect(f.memory).toMatchObject({ afterUserspace: true });
  });

  it('know that printk cuts long lines', () => {
    expect(say(`Command line: ${'a=1 '.repeat(300)}`.slice(0, 991)).commandLine?.cut).toBe(true);
    expect(say('Unknown kernel command line parameters "a=1 b').unknownParameters).toMatchObject({ tokens: ['a=1', 'b'], cut: true });
  });

  it('count each failed unit once, by its full name', () => {
    const f = say(
      'systemd[1]: Failed to start systemd-logind.service - User Login Management.',
      '[\u001b[0;1;31mFAILED\u001b[0m] Failed to start \u001b[0;1;39msystemd-lo…rvice\u001b[0m - User Login Management.',
      "systemd[1]: systemd-logind.service: Failed with result 'exit-code'.",
      '[FAILED] Failed to start noVNC WebSocket Proxy.',
    );
    expect(f.failedUnits.map((u) => u.unit)).toEqual(['systemd-logind.service', 'noVNC WebSocket Proxy']);
    expect(
      say('[FAILED] Failed to start systemd-lo…rvice - User.', 'systemd[1]: Failed to start systemd-logind.service - User.').failedUnits,
    ).toMatchObject([{ unit: 'systemd-logind.service', line: 1 }]);
    expect(say('myapp: Failed to start worker.').failedUnits).toEqual([]);
  });

  it.each([
    ['reboot: Restarting system', 'restart'],
    ['reboot: machine restart', 'restart'],
    ['reboot: Power down', 'power-off'],
    ['reboot: System halted', 'halt'],
  ])('%s', (text, how) => expect(say(text).shutdown?.how).toBe(how));

  it('take an address only from an IP-Config block', () => {
    const device = '     device=eth0, hwaddr=02:00:00:00:00:01, ipaddr=10.0.0.2, mask=255.0.0.0, gw=255.255.255.255';
    expect(say(device).ipConfig).toBeNull();
    expect(say('IP-Config: Complete:', 'random: other', device).ipConfig).toMatchObject({ address: '10.0.0.2', gateway: null });
    expect(say('IP-Config: Complete:', ...Array.from({ length: 9 }, () => 'x'), device).ipConfig).toBeNull();
  });

  it('count processors', () => {
    expect(say('smp: Brought up 1 node, 2 CPUs').cpus?.count).toBe(2);
    expect(say('x86: Booted up 1 node, 16 CPUs').cpus?.count).toBe(16);
  });
});

describe('a line that has not ended', () => {
  it('is read only when no further text can change its meaning', () => {
    const half = 'Linux version 6.1\nCommand line: console=ttyS0 roo';
    expect(readConsole(half)).toMatchObject({ commandLine: null, lines: 2 });
    expect(readConsole(half, { ended: true }).commandLine?.args).toBe('console=ttyS0 roo');
    expect(readConsole('[    0.5000] Kernel panic - not syncing: VF').panic).not.toBeNull();
  });

  it('leaves no trace once it has', () => {
    const reader = new ConsoleReader();
    reader.feed('Kernel panic - not syn');
    reader.facts();
    reader.feed('cing: x\nnext\n');
    expect(reader.facts()).toMatchObject({ lines: 2, panic: { text: 'Kernel panic - not syncing: x' } });
  });
});

const pieces = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((b) => Buffer.from(b)),
  fc
    .constantFrom(
      ...['healthy-tiny', 'readonly-systemd', 'oom-panic'].flatMap((n) => Buffer.from(fixture(n)).toString('latin1').split('\n')),
    )
    .map((line) => Buffer.from(`${line}\n`, 'latin1')),
  fc
    .constantFrom(
      '\r\n',
      '\u001b[',
      '[    0.1',
      'Linux version ',
      'device=eth0, ipaddr=',
      '<6>',
      '[  OK  ] Started ',
      'linstock-initrd: ip ',
      'é…😀',
    )
    .map((t) => Buffer.from(t)),
  fc.integer({ min: 1, max: 5_000 }).map((n) => Buffer.alloc(n, 'x')),
);

describe('properties', () => {
  it('never throws, and how bytes are cut changes nothing', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 20 }), (parts, cuts) => {
        const all = Buffer.concat(parts);
        const reader = new ConsoleReader();
        let at = 0;
        for (const cut of cuts.map((c) => Math.min(c, all.length)).sort((a, b) => a - b)) {
          reader.feed(all.subarray(at, cut));
          reader.facts();
          at = cut;
        }
        reader.feed(all.subarray(at));
        expect(reader.facts({ ended: true })).toEqual(readConsole(all, { ended: true }));
        expect(reader.facts()).toEqual(readConsole(all));
      }),
      { numRuns: 300 },
    );
  });

  it('takes text cut inside a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(), (text, cut) => {
        const reader = new ConsoleReader();
        reader.feed(text.slice(0, cut % (text.length + 1)));
        reader.feed(text.slice(cut % (text.length + 1)));
        expect(reader.facts({ ended: true })).toEqual(readConsole(text, { ended: true }));
      }),
    );
  });

  it('is not moved by chatter between lines', () => {
    const plain = facts('healthy-tiny');
    const lines = Buffer.from(fixture('healthy-tiny')).toString().split('\n');
    const chatter = fc
      .stringMatching(/^[a-z0-9 .:\]()-]{0,60}$/)
      .filter((t) => !/kernel:|device=|linstock|random: crng|tsc:|systemd|reboot|smp:|erofs|general/.test(t));
    const blind = (f: ConsoleFacts): unknown =>
      JSON.parse(JSON.stringify(f, (key, value: unknown) => (['line', 'lines', 'bytes', 'text'].includes(key) ? 0 : value)));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(lines.length - 1), chatter), { maxLength: 7 }), (noise) => {
        const mixed = [...lines];
        for (const [at, text] of noise) mixed.splice(at, 0, text);
        expect(blind(readConsole(mixed.join('\n'), { ended: true }))).toEqual(blind(plain));
      }),
    );
  });

  it('holds little and stays fast on a line without end', () => {
    const reader = new ConsoleReader();
    const chunk = Buffer.alloc(1 << 20, '[');
    for (let i = 0; i < 64; i++) reader.feed(chunk);
    expect(reader.facts({ ended: true })).toMatchObject({ bytes: 64 << 20, lines: 1 });
  });

  it('reads the same beginning of a long line, in one piece or in many', () => {
    const text = `Command line: ${'a=1 '.repeat(2_000)}\n`;
    const reader = new ConsoleReader();
    for (const char of text) reader.feed(char);
    expect(reader.facts()).toEqual(readConsole(text));
    expect(reader.facts().commandLine?.args.length).toBeLessThan(4_096);
    expect(readConsole(`${' '.repeat(5_000)}Kernel panic - not syncing: x\n`).panic).toBeNull();
  });

  it('keeps lists bounded', () => {
    const f = readConsole(
      Array.from(
        { length: 1_000 },
        (_, i) => `[FAILED] Failed to start u${i}.service - x.\nEXT4-fs (vd${i}): mounted filesystem\nIP-Config: Failed to open x\n`,
      ).join(''),
    );
    expect([f.failedUnits.length, f.mounts.length, f.ipProblems.length]).toEqual([32, 8, 8]);
  });
});

describe('a console whose beginning is gone', () => {
  it("believes no line to be the kernel's", () => {
    const reader = new ConsoleReader();
    reader.loseHead();
    reader.feed('[    0.000000] Linux version 6.1.0 (forged)\n[    0.000000] Kernel command line: console=ttyS0\n');
    const facts = reader.facts();
    expect([facts.headLost, facts.banner?.afterUserspace, facts.commandLine?.afterUserspace]).toEqual([true, true, true]);
  });
});
