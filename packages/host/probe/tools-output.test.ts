import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lookArp, parseArping } from './arp.ts';
import { lookPing, parsePing } from './ping.ts';
import { quote, quoteBytes } from './quote.ts';
import { lookRoute, parseRoute } from './route.ts';

// Recorded: the duplicate address of the lab (case 04), and a silent address (case 01).
const twoOwners = `ARPING 192.168.100.3 from 192.168.100.1 fcbr0
Unicast reply from 192.168.100.3 [02:FC:00:00:00:04]  1.084ms
Unicast reply from 192.168.100.3 [02:FC:00:00:00:03]  1.342ms
Sent 1 probes (1 broadcast(s))
Received 2 response(s)
`;
const silent = `ARPING 192.168.100.3 from 192.168.100.1 fcbr0
Sent 2 probes (2 broadcast(s))
Received 0 response(s)
`;

describe('arping', () => {
  test('two owners of one address', () => {
    expect(parseArping(twoOwners, '192.168.100.3')).toEqual({ sent: 1, macs: ['02:fc:00:00:00:04', '02:fc:00:00:00:03'] });
  });
  test('the same owner twice is one; an answer for another address is none', () => {
    expect(parseArping(twoOwners.replaceAll(':04]', ':03]'), '192.168.100.3').macs).toEqual(['02:fc:00:00:00:03']);
    expect(parseArping(twoOwners, '192.168.100.4').macs).toEqual([]);
  });
  test('silence, and nothing sent at all', () => {
    expect(parseArping(silent, '192.168.100.3')).toEqual({ sent: 2, macs: [] });
    expect(parseArping('', '192.168.100.3')).toEqual({ sent: 0, macs: [] });
  });
});

describe('ping', () => {
  test('the fastest answer counts', () => {
    const output = `PING 192.168.100.3 (192.168.100.3) 56(84) bytes of data.
64 bytes from 192.168.100.3: icmp_seq=1 ttl=64 time=5.90 ms
64 bytes from 192.168.100.3: icmp_seq=2 ttl=64 time=0.883 ms

--- 192.168.100.3 ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time 1001ms
`;
    expect(parsePing(output)).toEqual({
      ms: 0.883,
      summary: '2 packets transmitted, 2 received, 0% packet loss, time 1001ms',
      complaint: '',
    });
  });
  test('what the host says instead is kept', () => {
    const output = `PING 10.9.9.7 (10.9.9.7) 56(84) bytes of data.
From 10.9.9.1 icmp_seq=1 Destination Host Unreachable

--- 10.9.9.7 ping statistics ---
3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 2030ms
`;
    expect(parsePing(output)).toMatchObject({ ms: null, complaint: 'From 10.9.9.1 icmp_seq=1 Destination Host Unreachable' });
  });
});

describe('ip route get', () => {
  test('device, gateway, source', () => {
    expect(parseRoute('[{"dst":"10.9.9.2","dev":"vA","prefsrc":"10.9.9.1","flags":[],"uid":0,"cache":[]}]')).toEqual({
      device: 'vA',
      gateway: null,
      source: '10.9.9.1',
    });
    expect(parseRoute('[{"dst":"8.8.8.8","gateway":"10.0.0.1","dev":"eth0"}]')).toEqual({
      device: 'eth0',
      gateway: '10.0.0.1',
      source: null,
    });
  });
  test.each(['', '[]', '[ ]', '{}', '[null]', '[{"dev":7}]', 'null', '10.9.9.2 dev vA'])('%j is not an answer', (output) => {
    expect(parseRoute(output)).toBeNull();
  });
  test('this machine finds itself by lo', async () => {
    const seen = await lookRoute({ address: '127.0.0.1' }, { signal: AbortSignal.timeout(20_000), deadlineMs: 20_000 });
    // null only where iproute2 is missing
    if (seen !== null) expect(seen).toEqual({ device: 'lo', text: 'route to 127.0.0.1: dev lo src 127.0.0.1' });
  });
});

test('no parser throws, whatever it is given', () => {
  const lines = fc.constantFrom(
    ...twoOwners.split('\n'),
    'From 1.1.1.1 icmp_seq=1 x',
    '64 bytes from 1.1.1.1: icmp_seq=1 ttl=64 time=1 ms',
    '[{"dev":"a"}]',
  );
  const output = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc.array(fc.oneof(lines, fc.string()), { maxLength: 20 }).map((all) => all.join('\n')),
    fc.json(),
  );
  fc.assert(
    fc.property(output, (text) => {
      for (const mac of parseArping(text, '192.168.100.3').macs) expect(mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
      const ping = parsePing(text);
      expect(ping.ms === null || Number.isFinite(ping.ms)).toBe(true);
      parseRoute(text);
    }),
  );
});

test('what could be read as an option is not asked', async () => {
  const opts = { signal: AbortSignal.timeout(20_000), deadlineMs: 5000 };
  expect(await lookArp({ address: '-h', device: 'lo' }, opts)).toBeNull();
  expect(await lookPing({ address: '--help' }, opts)).toBeNull();
  expect(await lookRoute({ address: 'default dev lo' }, opts)).toBeNull();
});

test('quoted text cannot move a terminal', () => {
  expect(quote('a\x1b[2J\u202eb\u2028')).toBe('a.[2J.b.');
  expect(quote('x'.repeat(200))).toHaveLength(121);
  expect(quoteBytes(Uint8Array.of(0x15, 0x03, 0x41))).toBe('..A');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      // oxlint-disable-next-line no-control-regex -- that none is left is what is tested
      expect(quote(text)).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
      expect(quote(text, 5).isWellFormed()).toBe(true);
    }),
  );
});
