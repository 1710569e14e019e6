/** Two versions whose root file systems differ, as images that mke2fs made. No root. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { aGolden } from '@linstock/testkit';
import { lacks } from '../images/real-needs.ts';
import { execOk } from '../tools/exec.ts';
import { differencesInside } from './of-golden.ts';

const reason = await lacks('mke2fs');
if (reason !== undefined) console.log(`skipped: ${reason}`);

const common = {
  'usr/lib/systemd/systemd': '\u007fELF',
  'usr/lib/systemd/system/default.target': '[Unit]\nDescription=x\n',
  'usr/lib/systemd/system/desk.service': '[Service]\nExecStart=/usr/bin/desk\n',
  'usr/bin/desk': '#!/bin/sh\n',
  'etc/hostname': 'here\n',
};
const wants = 'etc/systemd/system/default.target.wants/desk.service';
const status = (version: string): string => `Package: desk\nStatus: install ok installed\nVersion: ${version}\n`;

describe.skipIf(reason !== undefined)('what two versions hold otherwise', () => {
  let folder: string;
  const golden = (blob: string): ReturnType<typeof aGolden> => aGolden({ rootfs: { ...aGolden().rootfs, blob } });

  async function make(name: string, files: Record<string, string>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name, path)), { recursive: true });
      await writeFile(join(folder, name, path), text);
    }
    await mkdir(join(folder, name, 'sbin'), { recursive: true });
    await symlink('../usr/lib/systemd/systemd', join(folder, name, 'sbin/init'));
  }
  const pack = async (name: string): Promise<void> =>
    void (await execOk(['mke2fs', '-q', '-t', 'ext4', '-d', join(folder, name), join(folder, `${name}.img`), '16M'], {
      timeoutMs: 60_000,
    }));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'linstock-diff-'));
    await make('one', { ...common, 'var/lib/dpkg/status': status('1.0') });
    await make('two', { ...common, 'etc/hostname': 'over\n', 'var/lib/dpkg/status': status('1.1') });
    await mkdir(dirname(join(folder, 'two', wants)), { recursive: true });
    await symlink('/usr/lib/systemd/system/desk.service', join(folder, 'two', wants));
    await Promise.all([pack('one'), pack('two')]);
  });
  afterAll(() => rm(folder, { recursive: true }));

  const images = { folder: '/nowhere', blobPath: (blob: string): string => join(folder, `${blob}.img`) };

  test('packages, units and files', async () => {
    const parts = await differencesInside(images, golden('one'), golden('two'));
    expect(parts.map(({ what }) => what)).toEqual([
      'package desk',
      'unit desk.service',
      'file /etc/hostname',
      'file /etc/systemd',
      'file /etc/systemd/system',
      'file /etc/systemd/system/default.target.wants',
      'file /etc/systemd/system/default.target.wants/desk.service',
    ]);
    expect(parts[0]).toEqual({ what: 'package desk', from: '1.0', to: '1.1' });
    expect(parts[1]).toEqual({ what: 'unit desk.service', from: null, to: 'started' });
    expect(parts[2]).toMatchObject({ to: expect.stringContaining('with other content') as string });
  });

  test('one file is not compared with itself, and one that is not there is a fault', async () => {
    expect(await differencesInside(images, golden('one'), golden('one'))).toEqual([]);
    await expect(differencesInside(images, golden('one'), golden('three'))).rejects.toMatchObject({ fault: { code: 'image-refused' } });
  });
});
