/** TAPs as this kernel shows them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '@linstock/testkit';
import { exec, execOk, succeeded } from '../../../tools/exec.ts';
import { lookAtHost } from './host-look.ts';
import type { TapSight } from './host-sight.ts';

const bound = { timeoutMs: 20_000 };
const name = 'lslook0';
const made = await exec(['ip', 'tuntap', 'add', 'dev', name, 'mode', 'tap'], bound);
await exec(['ip', 'link', 'del', name], bound);
const reason = succeeded(made) ? undefined : 'a TAP cannot be made here (needs root, ip and /dev/net/tun)';
if (reason !== undefined) console.log(`skipped: TAPs in a lint: ${reason}`);

async function look(): Promise<TapSight | undefined> {
  const sight = await lookAtHost({ 'network-interfaces': [{ host_dev_name: name }] }, '/');
  return sight.taps?.get(name);
}

describe.skipIf(reason !== undefined)('TAPs', () => {
  const make = (...words: string[]): Promise<unknown> => execOk(['ip', 'tuntap', 'add', 'dev', name, 'mode', ...words], bound);
  afterEach(() => exec(['ip', 'link', 'del', name], bound));

  test('none', async () => expect(await look()).toBeUndefined());

  test('one that is ready', async () => {
    await make('tap', 'user', '65534', 'group', '65533');
    await execOk(['ip', 'link', 'set', name, 'up'], bound);
    expect(await look()).toEqual({ tap: true, multiQueue: false, up: true, busy: false, owner: 65_534, group: 65_533, holder: null });
  });

  test('down, of nobody, with many queues', async () => {
    await make('tap', 'multi_queue');
    expect(await look()).toMatchObject({ tap: true, multiQueue: true, up: false, owner: null, group: null });
  });

  test('no TAP', async () => {
    await make('tun');
    expect(await look()).toMatchObject({ tap: false });
  });

  test('held by a process, up or down', async ({ skip }) => {
    skip((await exec(['qemu-system-x86_64', '--version'], bound)).spawnError !== null, 'QEMU, which holds the TAP here, is not installed');
    await make('tap');
    // a VMM without a machine: all it does is to have the TAP open
    const holder = spawn(
      'qemu-system-x86_64',
      ['-M', 'none', '-nodefaults', '-display', 'none', '-netdev', `tap,id=n,ifname=${name},script=no,downscript=no`],
      { stdio: 'ignore' },
    );
    const gone = once(holder, 'exit');
    try {
      const held = { pid: holder.pid, command: 'qemu-system-x86_64' };
      expect(await eventually(look, (tap) => tap?.holder !== null, 20_000)).toMatchObject({ up: false, busy: false, holder: held });
      await execOk(['ip', 'link', 'set', name, 'up'], bound);
      expect(await look()).toMatchObject({ up: true, busy: true, holder: held });
    } finally {
      holder.kill('SIGKILL');
      await gone;
    }
    expect(await look()).toMatchObject({ up: true, busy: false, holder: null });
  });
});
