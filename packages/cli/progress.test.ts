import { expect, test } from 'vitest';
import { Progress } from './progress.ts';

function stage(terminal: boolean, width = 80): { progress: Progress; text(): string; at(ms: number): void } {
  let text = '';
  let now = 0;
  const progress = new Progress({ write: (some) => (text += some), terminal, width: () => width }, { now: () => now }, false);
  return {
    progress,
    text: () => text,
    at: (ms) => {
      for (now += 100; now < ms; now += 100) progress.tick(); // as the timer would
      now = ms;
      progress.tick();
    },
  };
}

test('into a pipe: plain lines, at most one a second, none silent for two, no escape code', () => {
  const { progress, text, at } = stage(false);
  for (let done = 0; done < 100; done += 1) progress.step({ name: 'fetching', done, total: 100, unit: 'MiB' });
  expect(text()).toBe('fetching: 0 of 100 MiB (0 %)\n');
  at(1000);
  expect(text()).toBe('fetching: 0 of 100 MiB (0 %)\nfetching: 99 of 100 MiB (99 %)  1 s\n');
  at(6500);
  const lines = text().trimEnd().split('\n');
  expect(lines.slice(2)).toEqual([
    'fetching: 99 of 100 MiB (99 %)  2 s',
    'fetching: 99 of 100 MiB (99 %)  4 s',
    'fetching: 99 of 100 MiB (99 %)  6 s',
  ]);
  // eslint-disable-next-line no-control-regex
  expect(text()).not.toMatch(/[\u001B\r]/);
  progress.end();
  at(20_000);
  expect(text().trimEnd().split('\n')).toHaveLength(5);
});

test('a hundred quick steps are not a hundred lines, but the one that lasts is named', () => {
  const { progress, text, at } = stage(false);
  for (let i = 0; i < 100; i += 1) progress.step({ name: `step ${i}` });
  at(3000);
  expect(text().split('\n')[1]).toBe('step 99  1 s');
});

test('on a terminal: one line that is rewritten, never as wide as the terminal, and taken away', () => {
  const { progress, text } = stage(true, 30);
  progress.step({ name: 'a name that is far too long for this terminal' });
  expect(text()).toBe('\r⠙ a name that is far too lon…\u001B[K');
  progress.end();
  expect(text().endsWith('\r\u001B[K')).toBe(true);
});

test.each([0, 1, 2, Number.NaN])('a terminal of width %d does no harm', (width) => {
  const { progress, text } = stage(true, width);
  progress.step({ name: 'booting', done: 1, total: 0 });
  progress.step({ name: 'booting', done: 1, total: 2 });
  progress.end();
  expect(text()).toContain('\u001B[K');
});

test('a name from a guest cannot move the cursor', () => {
  const { progress, text } = stage(false);
  progress.step({ name: 'evil\u001B[2J\r\nname' });
  expect(text()).toBe('evil name\n');
});
