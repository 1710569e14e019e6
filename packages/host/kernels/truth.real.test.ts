/**
 * What is told of real kernels against the configurations they were built from: the distribution's own, and those in the folder that
 * LINSTOCK_TEST_KERNELS names (`NAME.vmlinux` or `NAME.bzImage`, with `NAME.config`).
 */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { knownOptions, knowOptions, readConfigText } from '@linstock/core/kernel';
import { fetchKernel, lookForKernel } from '../images/kernel-package.ts';
import { lacks } from '../images/real-needs.ts';
import { inspectKernel, type Inspected } from './inspect.ts';
import { checkTargetOf, lookIntoKernel, lookWhetherKernelFits } from './look.ts';
import { kernelPairsIn } from './testing/pairs.ts';

async function seen(path: string): Promise<Inspected> {
  const outcome = await inspectKernel({ path });
  if (!outcome.ok) throw new Error(outcome.say);
  return outcome;
}

/** Claims that the configuration denies, when the kernel is looked at without it. */
async function wrongClaims(kernel: string, configText: string): Promise<string[]> {
  const { evidence } = await seen(kernel);
  const config = { by: 'config-file', file: null, config: readConfigText(configText) } as const;
  const truth = new Map(knowOptions({ ...evidence, config }, knownOptions).map((one) => [one.option, one]));
  const claims = knowOptions({ ...evidence, config: null }, knownOptions);
  expect(claims.filter(({ value }) => value !== 'unknown').length).toBeGreaterThan(0);
  return claims
    .filter(({ option, value, builtIn }) => {
      const is = truth.get(option);
      if (value === 'yes') return is?.builtIn !== true;
      if (value === 'no') return is?.value !== 'no';
      return builtIn === false && is?.builtIn !== false;
    })
    .map(({ option, value, how }) => `${option}: ${value} (${how}), and it is ${truth.get(option)?.value}`);
}

const folder = process.env['LINSTOCK_TEST_KERNELS'];
const pairs = folder === undefined ? [] : await kernelPairsIn(folder);

test.skipIf(folder === undefined)('LINSTOCK_TEST_KERNELS names a folder with kernels', () => {
  expect(pairs.map(({ name }) => name)).not.toEqual([]);
});
if (folder === undefined) console.log('skipped: LINSTOCK_TEST_KERNELS names no folder of kernels and their configurations');

test.each(pairs)('$name: nothing is claimed that its configuration denies', async ({ kernel, config }) => {
  expect(await wrongClaims(kernel, await readFile(config, 'latin1'))).toEqual([]);
});

test.each(pairs)('$name: its own configuration is believed', async ({ kernel, config }) => {
  const { by, refused } = (await lookIntoKernel({ path: kernel, configPath: config }, [])).config;
  expect([by, refused.filter(() => by !== 'ikconfig')]).toEqual([expect.stringMatching(/^(?:ikconfig|config-file)$/), []]);
});

const reason = await lacks('apt-get', 'dpkg-deb');
if (reason !== undefined) console.log(`skipped: ${reason}`);

describe.skipIf(reason !== undefined)('the kernel of the distribution', () => {
  let scratch: string;
  let kernel: string;
  let configText: string;
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'linstock-kernel-'));
    const source = await lookForKernel();
    if (!source.ok) throw new Error(source.say);
    const fetched = await fetchKernel(source.source, join(scratch, 'package'));
    if (!fetched.ok) throw new Error(fetched.say);
    configText = fetched.kernel.configText;
    // away from its configuration
    await mkdir(join(scratch, 'alone'));
    kernel = join(scratch, 'alone', 'vmlinuz');
    await copyFile(fetched.kernel.vmlinuz, kernel);
  });
  afterAll(() => rm(scratch, { recursive: true }));

  test('by itself it tells what it is, and claims nothing that its configuration denies', async () => {
    const report = await lookIntoKernel({ path: kernel }, 'known');
    expect(report).toMatchObject({
      format: 'bzImage',
      arch: 'x86-64',
      config: { by: 'none' },
      unreadable: null,
      initrd: { embedded: 'no' },
    });
    expect(report.boot.find(({ protocol }) => protocol === 'PVH')?.works).toBe(true);
    expect(report.options.find(({ option }) => option === 'MODULES')).toMatchObject({ value: 'yes', by: 'proved-by' });
    expect(await wrongClaims(kernel, configText)).toEqual([]);
  });

  test('its drivers are modules: it fits with an initrd and not without', async () => {
    const verdictWith = async (...needs: string[]): Promise<string> => {
      const asked = checkTargetOf({ for: 'qemu', transport: undefined, needs });
      if (!asked.ok) throw new Error(asked.say);
      return (await lookWhetherKernelFits({ path: kernel, configPath: join(scratch, 'config') }, asked.target)).verdict;
    };
    await writeFile(join(scratch, 'config'), configText);
    expect(await verdictWith('initrd')).toBe('fits');
    expect(await verdictWith()).toBe('missing');
  });

  test('its configuration beside it is found and believed', async () => {
    const { facts } = await seen(kernel);
    await writeFile(join(scratch, 'alone', `config-${facts.release}`), configText);
    const report = await lookIntoKernel({ path: kernel }, ['VIRTIO_NET']);
    expect(report.config).toMatchObject({ by: 'config-file', refused: [] });
    expect(report.options).toMatchObject([{ option: 'VIRTIO_NET', value: 'module' }]);
  });
});
