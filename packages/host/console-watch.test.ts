import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { anId, eventually } from '@linstock/testkit';
import { ConsoleWatch } from './console-watch.ts';
import { bootFile, Paths } from './tools/paths.ts';

let paths: Paths;
let changed: string[];
let watch: ConsoleWatch;
const boot = anId('boot');
const banner = '[    0.000000] Linux version 6.1.0 (x)\n';

beforeEach(async () => {
  paths = new Paths(await mkdtemp(join(tmpdir(), 'linstock-console-')));
  changed = [];
  watch = new ConsoleWatch({
    paths,
    now: () => 5_000,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.min(ms, 5)); // the watcher's own pause, shortened
        signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
      }),
    changed: (b) => changed.push(b),
  });
  await mkdir(paths.boot(boot), { recursive: true });
});
afterEach(() => rm(paths.state, { recursive: true, force: true }));

const write = (text: string): Promise<void> => writeFile(join(paths.boot(boot), bootFile.console), text, { flag: 'a' });

it('reads a live console as it grows, and tells each milestone once, with its time', async () => {
  await write(banner);
  expect((await watch.look(boot)).banner).not.toBeNull();
  await write('linstock-init: ready up=1 listen=0.0.0.0:6080\n');
  expect((await watch.look(boot)).initFinished).not.toBeNull();
  expect((await watch.read(boot)).reached).toEqual([
    { what: 'kernel', at: 5_000 },
    { what: 'ready', at: 5_000 },
  ]);
});

it('gives milestones the same times when the console is read again by another controller', async () => {
  let at = 1_000;
  const make = (): ConsoleWatch => new ConsoleWatch({ paths, now: () => at, sleep: async () => undefined, changed: () => undefined });
  const first = make();
  await write(banner);
  await first.look(boot);
  at = 2_000;
  await write('linstock-init: ready up=1 listen=0.0.0.0:6080\n');
  await first.look(boot);
  const { reached } = await first.read(boot);
  at = 9_000;
  const second = make();
  await second.look(boot);
  expect((await second.read(boot)).reached).toEqual(reached);
  expect(reached.map((r) => r.at)).toEqual([1_000, 2_000]);
});

it('hints at a panic and at the end of a VMM while it runs', async () => {
  const stop = new AbortController();
  watch.open(boot);
  const running = watch.run(stop.signal);
  await write('Kernel panic - not syncing: Attempted to kill init!\n');
  await eventually(() => changed.includes(boot));
  changed.length = 0;
  await eventually(async () => {
    await mkdir(paths.ends, { recursive: true });
    await writeFile(join(paths.ends, boot), String(changed.length));
    return changed.includes(boot);
  });
  stop.abort();
  await running;
});

it('watches nothing of a boot that has ended, however often it is looked at', async () => {
  await write(banner);
  watch.open(boot);
  expect((await watch.close(boot)).banner).not.toBeNull();
  expect((await watch.close(boot)).banner).not.toBeNull();
  await write('Kernel panic - not syncing: late\n'); // nobody looks any more
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  const other = anId('boot', 2);
  await mkdir(paths.boot(other), { recursive: true });
  watch.open(other);
  await writeFile(join(paths.boot(other), bootFile.console), banner);
  await eventually(() => changed.includes(other));
  expect(changed).not.toContain(boot);
  stop.abort();
  await running;
});

it('streams what is kept, and ends with the boot when it was followed', async () => {
  await write('one\n');
  const chunks: string[] = [];
  const signal = AbortSignal.timeout(20_000);
  for await (const chunk of watch.stream(boot, { from: null, follow: true, signal })) {
    chunks.push(Buffer.from(chunk).toString());
    if (chunks.join('') === 'one\n') {
      await write('two\n');
      await writeFile(join(paths.boot(boot), bootFile.exit), '0\n');
    }
  }
  expect([signal.aborted, chunks.join('')]).toEqual([false, 'one\ntwo\n']);
});
