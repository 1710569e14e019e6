/** ARP, ping, route and the unreachable answers between real network namespaces, made and removed here. Needs root. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PortSight } from '@linstock/core';
import { exec, execOk, succeeded } from '../tools/exec.ts';
import { lookArp } from './arp.ts';
import { lookPing } from './ping.ts';
import { NO_DEVICE, lookRoute } from './route.ts';

const BOUND = { timeoutMs: 20_000 };
const mark = `lsprobe${process.pid}`;
const [host, one, two] = [`${mark}h`, `${mark}a`, `${mark}b`] as const;
const opts = (): { signal: AbortSignal; deadlineMs: number } => ({ signal: AbortSignal.timeout(60_000), deadlineMs: 10_000 });
const ip = (...words: string[]): Promise<unknown> => execOk(['ip', ...words], BOUND);

async function whyNot(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'needs root to make network namespaces';
  for (const tool of [
    ['ip', '-V'],
    ['arping', '-V'],
    ['ping', '-V'],
  ]) {
    const result = await exec(tool, BOUND);
    if (result.spawnError !== null) return `${tool[0]} is not installed`;
  }
  const made = await exec(['ip', 'netns', 'add', host], BOUND);
  // Made for real in beforeAll: this code also runs when no test of the file does, and then nobody would clean up.
  await exec(['ip', 'netns', 'del', host], BOUND);
  return succeeded(made) ? null : `this host makes no network namespaces: ${made.stderr.trim()}`;
}
const reason = await whyNot();

/** The host of the test has a bridge; `one` and `two` are guests on it, and `two` can be given the address of `one`. */
beforeAll(async () => {
  if (reason !== null) return;
  await ip('netns', 'add', host);
  await ip('-n', host, 'link', 'set', 'lo', 'up');
  await ip('-n', host, 'link', 'add', 'br0', 'type', 'bridge');
  await ip('-n', host, 'addr', 'add', '10.77.0.1/24', 'dev', 'br0');
  await ip('-n', host, 'link', 'set', 'br0', 'up');
  for (const [guest, port, mac, address] of [
    [one, 'p1', '02:fc:00:00:00:0a', '10.77.0.10/24'],
    [two, 'p2', '02:fc:00:00:00:0b', '10.77.0.11/24'],
  ] as const) {
    await ip('netns', 'add', guest);
    await ip('-n', host, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', guest);
    await ip('-n', guest, 'link', 'set', 'eth0', 'address', mac);
    await ip('-n', guest, 'addr', 'add', address, 'dev', 'eth0');
    await ip('-n', guest, 'link', 'set', 'eth0', 'up');
    await ip('-n', host, 'link', 'set', port, 'master', 'br0', 'up');
  }
});
afterAll(async () => {
  for (const netns of [host, one, two]) await exec(['ip', 'netns', 'del', netns], BOUND);
});

describe.skipIf(reason !== null)(`a bridge with two guests${reason === null ? '' : ` (skipped: ${reason})`}`, () => {
  test('an address of one guest is answered by its MAC', async () => {
    expect(await lookArp({ address: '10.77.0.10', device: 'br0', netns: host }, opts())).toEqual({
      is: 'answered',
      macs: ['02:fc:00:00:00:0a'],
      text: '1 ARP question for 10.77.0.10 on br0: answered by 02:fc:00:00:00:0a',
    });
  });

  test('an address of two guests is answered by both', async () => {
    await ip('-n', two, 'addr', 'add', '10.77.0.10/24', 'dev', 'eth0');
    const sight = await lookArp({ address: '10.77.0.10', device: 'br0', netns: host }, opts());
    await ip('-n', two, 'addr', 'del', '10.77.0.10/24', 'dev', 'eth0');
    expect(sight?.is === 'answered' && [...sight.macs].toSorted()).toEqual(['02:fc:00:00:00:0a', '02:fc:00:00:00:0b']);
  });

  test('an address of nobody is silent; a device that is not there was not looked at', async () => {
    expect(await lookArp({ address: '10.77.0.99', device: 'br0', netns: host }, opts())).toEqual({
      is: 'silent',
      text: '2 ARP questions for 10.77.0.99 on br0: nobody answered',
    });
    expect(await lookArp({ address: '10.77.0.10', device: 'nodev', netns: host }, opts())).toBeNull();
    expect(await lookArp({ address: '10.77.0.10', device: 'br0', netns: `${mark}x` }, opts())).toBeNull();
  });

  test('ping: answered, silent, could not be asked', async () => {
    const answered = await lookPing({ address: '10.77.0.10', netns: host, device: 'br0' }, opts());
    expect(answered).toMatchObject({
      is: 'answered',
      text: expect.stringMatching(/^ping 10\.77\.0\.10: 3 packets transmitted, 3 received/),
    });
    await execOk(['ip', 'netns', 'exec', one, 'sysctl', '-qw', 'net.ipv4.icmp_echo_ignore_all=1'], BOUND);
    const silent = await lookPing({ address: '10.77.0.10', netns: host }, { ...opts(), deadlineMs: 2_500 });
    expect(silent).toMatchObject({ is: 'silent', text: expect.stringContaining('100% packet loss') });
    expect(await lookPing({ address: '198.51.100.1', netns: host }, opts())).toBeNull();
    expect(await lookPing({ address: '10.77.0.10', netns: `${mark}x` }, opts())).toBeNull();
  });

  test('route: by the bridge, by nothing', async () => {
    expect(await lookRoute({ address: '10.77.0.10', netns: host }, opts())).toEqual({
      device: 'br0',
      text: 'route to 10.77.0.10: dev br0 src 10.77.0.1',
    });
    expect(await lookRoute({ address: '198.51.100.1', netns: host }, opts())).toMatchObject({
      device: NO_DEVICE,
      text: expect.stringContaining('none'),
    });
    expect(await lookRoute({ address: '10.77.0.10', netns: `${mark}x` }, opts())).toBeNull();
  });

  /** The probe itself has to run inside the namespace: another Node does. */
  async function probeFromHost(address: string): Promise<PortSight> {
    const module = new URL('port.ts', import.meta.url).href;
    const target = { host: address, hostPort: 6080, port: 6080, level: 'tcp' };
    const script = `import { probePort } from ${JSON.stringify(module)};
      console.log(JSON.stringify(await probePort(${JSON.stringify(target)}, { signal: new AbortController().signal, deadlineMs: 15000 })));`;
    const result = await execOk(['ip', 'netns', 'exec', host, process.execPath, '--input-type=module', '-e', script], {
      timeoutMs: 30_000,
    });
    return JSON.parse(result.stdout) as PortSight;
  }

  test('tcp: nobody answers ARP, no route, nothing listens: three different answers', async () => {
    const [noArp, noRoute, nothingListens] = await Promise.all([
      probeFromHost('10.77.0.98'),
      probeFromHost('198.51.100.1'),
      probeFromHost('10.77.0.11'),
    ]);
    expect(noArp.steps).toMatchObject([{ ok: false, answer: 'unreachable', text: expect.stringContaining('EHOSTUNREACH') }]);
    expect(noRoute.steps).toMatchObject([{ ok: false, answer: 'unreachable', text: expect.stringContaining('ENETUNREACH') }]);
    expect(nothingListens.steps).toMatchObject([{ ok: false, answer: 'refused' }]);
  });
});
