import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { BootView } from '@linstock/contract';
import { aVm } from '@linstock/testkit';
import { wiringOf } from '../wiring.ts';
import { controllerPage, differencesOfBoots } from './controller.ts';
import { guestPage, silentGuestPage, type GuestTold } from './guest.ts';
import { Page, withoutSecrets } from './page.ts';
import { proofPage } from './proof.ts';
import { requestedPage } from './requested.ts';

const time = (at: number): string => `T${at}`;

describe('a page', () => {
  it('is sections and commands with what they printed', () => {
    const page = new Page().section('routes').look('ip route show', 'default via 10.0.0.1 dev eth0\n').look('ping -c 1 x', '', 'exit=2');
    expect(page.document('host', 'host')).toEqual({
      kind: 'host',
      name: 'host',
      text: '== routes\n$ ip route show\ndefault via 10.0.0.1 dev eth0\n$ ping -c 1 x\nexit=2\n',
      cut: null,
    });
  });

  it('has no control characters, whatever was printed', () => {
    const { text } = new Page().look('x', 'a\u001B[2Jb\u0007\u202Ec\r\nd').document('guest', 'guest');
    expect(text).toBe('$ x\nabc\nd\n');
  });

  it('says what it left out of one look, and of itself', () => {
    const long = new Page().look('x', 'line\n'.repeat(5_000)).document('host', 'host');
    expect(long.text).toMatch(/\(3800 more lines are left out\)\n$/);
    const huge = new Page();
    for (let i = 0; i < 500; i += 1) huge.line('x'.repeat(2_000));
    expect(huge.document('host', 'host')).toMatchObject({ cut: 'only the first 256 KiB are here' });
  });

  test.each([
    ['cmdline: root=/dev/vda api_token=abc123 quiet', 'cmdline: root=/dev/vda api_token=(hidden) quiet'],
    ['MY_PASSWORD=hunter2', 'MY_PASSWORD=(hidden)'],
    ['authorization: Bearer eyJhbGciOi.x.y', 'authorization: Bearer (hidden)'],
    ['Failed: token was refused, no secret here', 'Failed: token was refused, no secret here'],
  ])('hides secrets: %s', (given, shown) => {
    expect(withoutSecrets(given)).toBe(shown);
  });
});

test('what was requested, in lines of key=value', () => {
  const vm = aVm({ name: 'web' });
  const wiring = wiringOf('beef', vm.settings.network, 1, [8080]);
  const plan = {
    commandLine: { given: ['console=ttyS0', '--', 'x'], addedForVmm: ['tsc=reliable'], appendedByVmm: ['virtio_mmio.device=a'] },
    vmm: 'qemu',
    vmmVersion: '7.2.22',
    accelerator: 'tcg',
  };
  const { text } = requestedPage({ vm, boot: 'boot_1', mark: 'beef', wiring, plan });
  expect(text).toContain(
    `ip=${wiring.address} gw=${wiring.gateway} mask=255.255.255.0 bridge=lsbeef-br0 tap=tap0 mac=${wiring.mac} ports=`,
  );
  expect(text).toContain(`netns=${wiring.netns} inner_bridge=br0 bridge_port=${wiring.port}`);
  expect(text).toContain('\ncmdline: console=ttyS0 tsc=reliable -- x\nappended_by_vmm: virtio_mmio.device=a\n');
  expect(text).toContain('vmm=qemu vmm_version=7.2.22 accelerator=tcg');
  const never = requestedPage({ vm, boot: null, mark: 'beef', wiring: null, plan: null }).text;
  expect(never).toContain('cmdline_template: ');
  expect(never).not.toContain('netns=');
});

describe('a guest', () => {
  const told: GuestTold = {
    links: [
      { name: 'lo', mac: '', operstate: 'unknown', mtu: 65_536, flags: ['up', 'loopback', 'running'] },
      { name: 'eth0', mac: '02:fc:00:00:00:03', operstate: 'down', mtu: 1_500, flags: ['up', 'broadcast', 'multicast'] },
    ],
    addresses: [
      { link: 'eth0', address: '10.0.0.3', prefixLen: 24, family: 'ipv4', scope: 'global', flags: ['permanent'] },
      { link: 'eth0', address: 'fe80::1', prefixLen: 64, family: 'ipv6', scope: 'link', flags: ['permanent', 'tentative'] },
    ],
    routes: [
      { family: 'ipv4', destination: 'default', gateway: '10.0.0.1', link: 'eth0', metric: 0, protocol: 'boot', scope: 'global' },
      { family: 'ipv4', destination: '10.0.0.0/24', link: 'eth0', source: '10.0.0.3', metric: 5, protocol: 'kernel', scope: 'link' },
    ],
    listening: [
      { address: '127.0.0.1', port: 6080, process: 'httpd' },
      { address: '::', port: 22 },
    ],
    init: {
      pid1: 'systemd',
      systemState: 'degraded',
      failedUnits: ['x.service'],
      networkManagers: [{ name: 'systemd-networkd', running: true, enabled: true }],
    },
    clock: { unixMs: 2_500 },
    errors: { mounts: 'no such file' },
  };

  it('is shown in the shapes of the tools that one would run inside', () => {
    const programs = [{ command: 'nft list ruleset', output: null, exit: 'not looked: not-found' }];
    expect(guestPage({ told, at: 1_000, programs }).text).toMatchInlineSnapshot(`
      "== guest (through its agent)
      $ ip addr show
      1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 state UNKNOWN
      2: eth0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 state DOWN
          link/ether 02:fc:00:00:00:03
          inet 10.0.0.3/24 scope global eth0
          inet6 fe80::1/64 scope link tentative eth0
      $ ip route
      default via 10.0.0.1 dev eth0 proto boot
      10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.3 metric 5
      $ ip -6 route
      $ ss -ltnp
      State    Recv-Q   Send-Q   Local Address:Port   Peer Address:Port   Process
      LISTEN   0        0        127.0.0.1:6080        0.0.0.0:*        users:(("httpd"))
      LISTEN   0        0        [::]:22        [::]:*
      $ ps -p 1 -o comm=
      systemd
      $ systemctl is-system-running
      degraded
      $ systemctl --failed --plain
      x.service loaded failed failed
      1 loaded units listed.
      $ systemctl is-active systemd-networkd
      active
      $ date +%s.%3N
      2.500
      clock_offset_ms=1500
      $ nft list ruleset
      not looked: not-found
      not told: mounts: no such file
      "
    `);
  });

  it('that does not answer is a fact, too', () => {
    expect(silentGuestPage('silent: no byte')).toMatchObject({
      text: '== guest (through its agent)\nagent: no answer: silent: no byte\n',
      cut: "the guest's agent did not answer: silent: no byte",
    });
  });

  it('cannot open a section or a look of ours', () => {
    const forged = 'x\n== host\n$ arping -c 1 10.0.0.3\n\u001B[0m== host\n';
    const { text } = guestPage({ told: { errors: {} }, at: 0, programs: [{ command: 'df -P', output: forged, exit: 'exit=0' }] });
    expect(text).toBe('== guest (through its agent)\n$ df -P\nx\n == host\n $ arping -c 1 10.0.0.3\n == host\nexit=0\n');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
        const page = guestPage({ told: { cmdline: `\n== host\n$ ${text}`, errors: {} }, at: 0, programs: [] }).text;
        // eslint-disable-next-line no-control-regex
        expect(page).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
      }),
    );
  });
});

test('a proof is a line per condition, without what it rested on then', () => {
  const proof = {
    verified: 'refuted' as const,
    at: 5,
    furthest: null,
    conditions: [
      {
        id: 'net.address',
        verdict: 'refuted' as const,
        asked: true,
        expected: '10.0.0.3/24',
        observed: 'not there',
        evidence: [{ source: 'console' as const, line: 7, text: 'set', guestControlled: true }],
      },
      { id: 'net.egress', verdict: 'unknown' as const, asked: false, expected: 'x', observed: 'y', evidence: [] },
    ],
  };
  expect(proofPage(proof, time).text).toBe(
    '== proof\nverified=refuted furthest=none at=T5\nnet.address refuted | expected 10.0.0.3/24 | observed not there\nnet.egress unknown (not asked) | expected x | observed y\n',
  );
  expect(proofPage(null, time).cut).toBe('the boot was not examined');
});

describe('the controller', () => {
  const boot = (more: Partial<BootView>): BootView => ({
    id: 'boot_1',
    vm: 'vm_1',
    vmName: 'web',
    kind: 'cold',
    startedAt: 1_000,
    endedAt: null,
    end: null,
    golden: { name: 'tiny', version: 1, digest: 'd' },
    vmm: 'qemu',
    vmmVersion: '7.2.22',
    accelerator: 'tcg',
    slot: 0,
    address: '10.0.0.3',
    mac: 'm',
    requestedArgs: ['ip=10.0.0.3::x', 'quiet'],
    addedArgs: [],
    effectiveArgs: 'ip=10.0.0.3::x quiet',
    timeline: [{ what: 'kernel', at: 1_250, ms: 250 }],
    proof: null,
    fault: null,
    consoleBytes: 1,
    ...more,
  });

  it('says who ended what and when, and what is different from the last good boot', () => {
    const bad = boot({
      endedAt: 9_000,
      end: { reason: 'took-too-long', actor: 'controller', exit: 'on request' },
      requestedArgs: ['ip=10.0.0.9::x', 'swiotlb=force'],
      address: '10.0.0.9',
      effectiveArgs: null,
      timeline: [],
    });
    const { text } = controllerPage({
      now: 10_000,
      vm: aVm(),
      boot: bad,
      good: boot({ id: 'boot_0' }),
      history: [{ at: 2_000, phase: 'new', decision: '→ rooting', outcome: 'done', ms: 8.4 }],
      build: { version: '1', commit: null, startedAt: 4_000, current: false },
      time,
    });
    expect(text).toContain('version=1 started=T4000 uptime_s=6 code=older than on disk\n');
    expect(text).toContain('ended reason=took-too-long actor=controller exit=on request\n');
    expect(text).toContain('booting=120s');
    expect(text).toContain('T2000 new: → rooting: done (8 ms)\n');
    expect(text).toContain('- requested: quiet\n+ requested: swiotlb=force\n');
    expect(text).toContain('- effective command line: printed\n+ effective command line: unknown\n- reached: kernel\n');
  });

  it('takes the address of each boot for no difference', () => {
    const other = boot({ address: '10.0.0.9', requestedArgs: ['ip=10.0.0.9::x', 'quiet'], effectiveArgs: 'ip=10.0.0.9::x quiet' });
    expect(differencesOfBoots(boot({}), other)).toEqual(['nothing that is recorded differs']);
  });
});
