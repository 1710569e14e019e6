import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FaultError, type BuildOrder, type BuildResult, type BuildView } from '@linstock/contract';
import { MOST_TRIES, newBuild, type Store } from '@linstock/core';
import { openStore } from '@linstock/store';
import { aGolden, anId, testIds, testRandom } from '@linstock/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BuildKeeper } from './build-keeper.ts';
import type { Progress } from './progress.ts';

const order: BuildOrder = { what: 'golden', recipe: 'base', cwd: '/', name: null, kernel: null, use: 'as-built' };
const result: BuildResult = { what: 'golden', golden: aGolden(), rootfs: null, built: true };
type Work = (o: { signal: AbortSignal; progress: Progress }) => Promise<BuildResult>;

let folder: string;
let store: Store;
let now: number;
let logged: unknown[];
const id = anId('op');
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keeper-'));
  store = await openStore({ url: `sqlite:${join(folder, 'db')}`, ids: testIds(), random: testRandom() });
  now = 1_000;
  logged = [];
  await store.write('t', (tx) => tx.addBuild(newBuild(id, order, 'me', now)));
});
afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

function keeper(work: Work): BuildKeeper {
  return new BuildKeeper({
    store,
    build: (_, o) => work(o),
    now: () => (now += 10_000),
    sleep: async () => {},
    failed: (error) => void logged.push(error),
  });
}
const seen = async (): Promise<BuildView> => {
  const build = await store.read((tx) => tx.build(id));
  if (build === undefined) throw new Error('it is gone');
  return build;
};
/** Ends when it is told to, as a build does. */
const untilEnded: Work = ({ signal }) =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
const live = new AbortController().signal;

test('a build that is done has its steps and its result, and is not begun again', async () => {
  const one = keeper(async ({ progress }) => {
    progress({ name: 'fetch' });
    progress({ name: 'fetch', done: 1, total: 2, unit: 'bytes' });
    progress({ name: 'write' });
    return result;
  });
  await one.pass(live);
  await one.settled();
  await one.pass(live);
  expect(await seen()).toMatchObject({
    state: 'succeeded',
    fault: null,
    tries: 1,
    steps: [{ name: 'fetch' }, { name: 'write' }],
    far: null,
    result,
  });
  expect((await store.read((tx) => tx.events({ after: 0, limit: 100 }))).map(({ type }) => type)).toEqual([
    'build.asked',
    'build.step',
    'build.step',
    'operation.ended',
  ]);
});

test.each<[string, Work, string, number]>([
  ['a fault', () => Promise.reject(new FaultError('image-refused', { say: 'No.' })), 'image-refused', 0],
  ['what nobody foresaw, which is logged and ends nothing else', () => Promise.reject(new TypeError('oh')), 'bug', 1],
])('a build that fails says why: %s', async (_, work, code, bugs) => {
  const one = keeper(work);
  await one.pass(live);
  await one.settled();
  expect(await seen()).toMatchObject({ state: 'failed', fault: { code }, result: null });
  expect(logged).toHaveLength(bugs);
});

test('one whose end is asked for ends with the name of who asked, also when nobody is at it', async () => {
  const one = keeper(untilEnded);
  await one.pass(live);
  await store.write('t', (tx) => tx.cancelBuild(id, 'somebody', now));
  await store.write('t', (tx) => tx.cancelBuild(id, 'another', now));
  await one.pass(live);
  await one.settled();
  expect(await seen()).toMatchObject({ state: 'failed', fault: { code: 'build-cancelled', data: { by: 'somebody' } }, tries: 1 });
  const other = anId('op', 2);
  await store.write('t', (tx) => tx.addBuild(newBuild(other, order, 'me', now)));
  await store.write('t', (tx) => tx.cancelBuild(other, 'somebody', now));
  await one.pass(live);
  expect(await store.read((tx) => tx.build(other))).toMatchObject({ state: 'failed', tries: 0 });
});

test('a controller that ends leaves it open, and the next one goes on; that was no try', async () => {
  const stop = new AbortController();
  const first = keeper(untilEnded);
  await first.pass(stop.signal);
  stop.abort(new Error('the controller ends'));
  await first.settled();
  expect(await seen()).toMatchObject({ state: 'running', tries: 0 });
  const second = keeper(async () => result);
  await second.pass(live);
  await second.settled();
  expect(await seen()).toMatchObject({ state: 'succeeded', tries: 1 });
});

test('controllers that are killed by it are so only a few times', async () => {
  const stop = new AbortController();
  const killed: BuildKeeper[] = [];
  for (let death = 0; death < MOST_TRIES; death += 1) {
    const one = keeper(untilEnded); // nothing of it is ever told to end, as when the process is killed
    await one.pass(live);
    killed.push(one);
    while ((await seen()).tries <= death) await new Promise((resolve) => setImmediate(resolve));
  }
  await keeper(async () => result).pass(stop.signal);
  expect(await seen()).toMatchObject({ state: 'failed', fault: { code: 'build-interrupted', data: { tries: MOST_TRIES } } });
});
