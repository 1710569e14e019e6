/**
 * Kernels that lack something are booted, and show what the table of requirements says they will. Those in the folder that
 * LINSTOCK_TEST_KERNELS names (see truth.real.test.ts); every one is good for a test, since what it lacks is asked of its configuration.
 */
import { mkdir, mkdtemp, readFile, rm, symlink, copyFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../images/real-needs.ts';
import { exec, execOk } from '../tools/exec.ts';
import { checkTargetOf, lookWhetherKernelFits } from './look.ts';
import { kernelPairsIn } from './testing/pairs.ts';

const folder = process.env['LINSTOCK_TEST_KERNELS'];
const reason =
  folder === undefined
    ? 'LINSTOCK_TEST_KERNELS names no folder of kernels and their configurations'
    : await lacks('qemu-system-x86_64', 'mke2fs', 'busybox');
if (reason !== undefined) console.log(`skipped: kernels that lack something: ${reason}`);
const kernels =
  reason === undefined && folder !== undefined ? (await kernelPairsIn(folder)).filter(({ name }) => name.endsWith('.vmlinux')) : [];

const came = 'linstock-test: init ran';
const addressed = '192.168.100.2::192.168.100.1:255.255.255.0::eth0:off';
/** What a console cannot be asked for: guest time under emulation on a busy host. */
const notCompared = ['with ip= a silence of 12 s before root is mounted'];

type Boot = { code: number | null; stderr: string; console: string };

/** Each part of a symptom as what must hold of a boot; null for what cannot be compared. */
function holds(part: string, boot: Boot): boolean | null {
  // the kernel repeats its command line, which names everything
  const lines = boot.console.split('\n').filter((line) => !line.includes('ommand line:'));
  const absent = /^no line "([^"]+)"(?::.*)?$/.exec(part)?.[1] ?? /^no (\w+) line$/.exec(part)?.[1];
  if (absent !== undefined) return !lines.some((line) => line.includes(absent));
  if (part.startsWith('no text of the kernel at all')) return boot.console === '';
  const refusal = /^QEMU ends with 1: (.+)$/.exec(part)?.[1];
  if (refusal !== undefined) return boot.code === 1 && boot.stderr.includes(refusal);
  if (notCompared.includes(part)) return null;
  const text = part.replace(/ \(.*\)$/, '').replace(/^init says that /, '');
  const pattern = new RegExp(
    text
      .split('…')
      .map((piece) => RegExp.escape(piece))
      .join('[^]*?'),
  );
  return pattern.test(boot.console);
}

describe.skipIf(reason !== undefined)('kernels that lack something', () => {
  let scratch: string;
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'linstock-symptoms-'));
    const root = join(scratch, 'root');
    for (const name of ['dev', 'proc', 'bin', 'sbin', 'etc']) await mkdir(join(root, name), { recursive: true });
    const busybox = (await execOk(['sh', '-c', 'command -v busybox'], { timeoutMs: 5_000 })).stdout.trim();
    await copyFile(busybox, join(root, 'bin/busybox'));
    await symlink('../bin/busybox', join(root, 'sbin/init'));
    // in order; what fails is told on the console that the kernel opened for init
    const steps = [`echo ${came}`, 'mount -t proc proc /proc', 'umount /dev', 'mount -t devtmpfs dev /dev', 'reboot -f'];
    await writeFile(join(root, 'etc/inittab'), steps.map((step) => `::sysinit:/bin/busybox ${step}\n`).join(''));
    await execOk(['mke2fs', '-q', '-t', 'ext4', '-d', root, join(scratch, 'root.img'), '16M'], { timeoutMs: 30_000 });
  });
  afterAll(() => rm(scratch, { recursive: true }));

  async function boot(name: string, kernel: string): Promise<Boot> {
    const [disk, console] = [join(scratch, `${name}.img`), join(scratch, `${name}.log`)];
    await copyFile(join(scratch, 'root.img'), disk);
    // oxfmt-ignore
    const ended = await exec([
      'qemu-system-x86_64', '-M', 'microvm,acpi=on', '-accel', 'tcg', '-cpu', 'max', '-m', '256', '-nodefaults', '-no-user-config', '-nographic', '-no-reboot',
      '-kernel', kernel, '-append', `console=ttyS0 reboot=t panic=-1 root=/dev/vda rw net.ifnames=0 tsc_early_khz=2000000 tsc=reliable ip=${addressed}`,
      '-serial', `file:${console}`, '-drive', `id=root,file=${disk},format=raw,if=none`, '-device', 'virtio-blk-device,drive=root',
      '-netdev', 'user,id=net,restrict=on', '-device', 'virtio-net-device,netdev=net',
    ], { timeoutMs: 60_000 });
    return { code: ended.code, stderr: ended.stderr, console: await readFile(console, 'latin1').catch(() => '') }; // QEMU refused: no file
  }

  test.for(kernels)('$name shows what the check foretold', { timeout: 180_000 }, async ({ name, kernel, config }) => {
    const asked = checkTargetOf({ for: 'qemu', transport: undefined, needs: ['ip-autoconfig'] });
    if (!asked.ok) throw new Error(asked.say);
    const check = await lookWhetherKernelFits({ path: kernel, configPath: config }, asked.target);
    // what fails first hides what would fail behind it
    const first = check.requirements.find(({ level, verdict }) => level === 'required' && verdict === 'missing');
    const seen = await boot(name, kernel);
    if (first === undefined) return expect(seen.console).toContain(came);
    const parts = (first.symptom ?? '').split(/, then:? |; /);
    expect(parts.map((part) => [part, holds(part, seen)])).toEqual(parts.map((part) => [part, notCompared.includes(part) ? null : true]));
    expect(parts.some((part) => !notCompared.includes(part))).toBe(true);
  });
});
