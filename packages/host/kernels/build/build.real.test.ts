/**
 * Two builds of a small kernel, one of them interrupted: some minutes of every core. Only where LINSTOCK_TEST_KERNEL_BUILD=1 asks for it;
 * LINSTOCK_TEST_KERNEL_SERIES names other sources than those of 6.1.
 */
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ImageStore } from '../../images/store.ts';
import { lacks } from '../../images/real-needs.ts';
import { buildKernel } from './build.ts';
import type { BuildKernelRequest, BuiltKernel } from './build.ts';
import { keptModules } from '../module-tree.ts';
import { processesIn } from './testing/processes-in.ts';

const reason =
  process.env['LINSTOCK_TEST_KERNEL_BUILD'] === '1'
    ? await lacks('make', 'gcc', 'ld', 'flex', 'bison', 'bc', 'apt-get', 'dpkg-deb')
    : 'LINSTOCK_TEST_KERNEL_BUILD is not 1: a build takes minutes';
if (reason !== undefined) console.log(`skipped: ${reason}`);

const SMALL = `CONFIG_64BIT=y
CONFIG_EXPERT=y
CONFIG_PRINTK=y
CONFIG_BINFMT_ELF=y
CONFIG_TTY=y
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y
CONFIG_HYPERVISOR_GUEST=y
CONFIG_PVH=y
CONFIG_IKCONFIG=y
CONFIG_CC_OPTIMIZE_FOR_SIZE=y
CONFIG_LOCALVERSION="-small"
# CONFIG_LOCALVERSION_AUTO is not set
CONFIG_VIRTIO_NET=y
`;
const MINUTES = 60_000;

describe.skipIf(reason !== undefined)('a small kernel', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kernel-build-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function build(where: string, more: Partial<BuildKernelRequest> = {}): Promise<BuiltKernel> {
    await mkdir(join(folder, where), { recursive: true });
    const store = new ImageStore({ folder: join(folder, where, 'images'), now: Date.now });
    await store.open();
    return buildKernel(store, {
      series: process.env['LINSTOCK_TEST_KERNEL_SERIES'] ?? '6.1',
      fragments: [{ name: 'small', text: SMALL }],
      name: 'small',
      jobs: availableParallelism(),
      builds: join(folder, where, 'builds'),
      hold: async () => ({ release: async () => {} }),
      ...more,
    });
  }

  /** Steps of a log that were printed more than once. */
  function repeated(log: string): string[] {
    const steps = [...log.matchAll(/^ {2}(?:CC|AS) +(\S+)$/gm)].map(([, target]) => target ?? '');
    return steps.filter((target, index) => steps.indexOf(target) < index);
  }

  let first: BuiltKernel;

  test(
    'interrupted, nothing of it goes on; the same again goes on where it was, and says what could not be as asked',
    { timeout: 90 * MINUTES },
    async () => {
      const stop = new AbortController();
      let log = '';
      const interrupted = build('one', {
        signal: stop.signal,
        began: (path) => (log = path),
        progress: ({ name, done = 0 }) => {
          if (name === 'build the kernel' && done >= 200) stop.abort(new Error('that is enough'));
        },
      });
      await expect(interrupted).rejects.toThrow('that is enough');
      expect(await processesIn(folder)).toEqual([]);
      const before = (await readFile(log, 'utf8')).length;
      first = await build('one');
      expect(first.built).toBe(true);
      const whole = await readFile(log, 'utf8');
      expect(whole.length).toBeGreaterThan(before);
      // What was under way when it was interrupted, and nothing else, is made again.
      expect(repeated(whole).length).toBeLessThanOrEqual(availableParallelism() + 2);
      expect(first.record.kernel.release).toMatch(/-small$/);
      expect(first.record.config?.by).toBe('ikconfig');
      expect(first.unmet).toEqual([
        {
          option: 'VIRTIO_NET',
          asked: 'y',
          got: null,
          from: 'small',
          by: 'dependency',
          why: expect.stringMatching(/^it depends on what is not met: .*is off/),
        },
      ]);
      expect(await readdir(join(folder, 'one/builds'))).toHaveLength(1);
      expect((await readdir(join(log, '..'))).toSorted()).toEqual(['build.log']);
      console.log(`${first.record.kernel.banner}\n${first.record.kernel.blob} (interrupted once)`);
    },
  );

  test('the same in another folder gives the same bytes', { timeout: 90 * MINUTES }, async () => {
    const second = await build('another/folder with a longer name'.replaceAll(' ', '-'));
    console.log(`${second.record.kernel.blob} (in another folder)`);
    expect(second.record.kernel).toEqual(first.record.kernel);
    expect(second.record.from).toEqual(first.record.from);
  });

  test(
    'modules that are asked for are built, kept as those of its release, and the same in another folder',
    { timeout: 90 * MINUTES },
    async () => {
      const fragments = [
        { name: 'small', text: SMALL },
        { name: 'modules', text: 'CONFIG_MODULES=y\nCONFIG_CRC_ITU_T=m\nCONFIG_CRC7=m\n' },
      ];
      const { record } = await build('with-modules', { fragments, name: 'modular' });
      expect(record.from).not.toMatchObject({ recipe: (first.record.from as { recipe: string }).recipe });
      const store = join(folder, 'with-modules/images');
      const { release } = record.kernel;
      const tree = await keptModules(join(store, 'blobs/sha256', record.modules?.blob ?? ''), { release, called: 'modular@1' });
      expect(await tree.text(`${release}/modules.dep`)).toMatch(/crc-itu-t\.ko:/);
      expect([...tree.walk()].filter(({ node }) => node.kind === 'symlink')).toEqual([]);
      expect((await build('with-modules-again', { fragments, name: 'modular' })).record.modules).toEqual(record.modules);
    },
  );

  test('the same once more is found, not built, under another name, too', async () => {
    expect(await build('one')).toMatchObject({ built: false, record: first.record, unmet: first.unmet });
    const { record, built } = await build('one', { name: 'other' });
    expect([built, record.name, record.version, record.kernel, record.from]).toEqual([
      false,
      'other',
      1,
      first.record.kernel,
      first.record.from,
    ]);
  });
});
