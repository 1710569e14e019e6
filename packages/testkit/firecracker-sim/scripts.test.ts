/** The scripts foresee what the simulator does, and the comparison notices what it should. */
import { describe, expect, test } from 'vitest';
import { runScript } from './run-script.ts';
import { differences, scripts, scriptsOf, type Seen } from './scripts.ts';
import type { SimVersion } from './versions.ts';

describe.each(['1.9.1', '1.16.1'] as const satisfies SimVersion[])('%s', (version) => {
  test.each(scriptsOf(version, true).map((script) => [script.name, script] as const))('%s', async (_name, script) => {
    const seen = await runScript(script, (bench) => bench.simulator(version));
    expect(seen.map((one) => [one.class, one.step])).toEqual(script.steps.map(([expected], index) => [expected, seen[index]?.step]));
  });
});

test('a script that a version cannot play is left out', () => {
  expect(scriptsOf('1.9.1', true).map(({ name }) => name)).not.toContain('what came with 1.14');
  expect(scriptsOf('1.16.1', false).length).toBeLessThan(scripts.length);
});

describe('the comparison', () => {
  const one = (body: string, more: object = {}): Seen => ({
    step: 'GET /',
    class: 'ok',
    answer: { status: 200, line: 'HTTP/1.1 200 ', headers: { Server: 'Firecracker API', 'Content-Length': '1' }, body, ...more },
  });
  test.each([
    [one('{"a":1}'), one('{"a":1}', { headers: { 'Content-Length': '7', Server: 'Firecracker API' } }), 0],
    [one('{"id":"x","p":"/tmp/a/b"}'), one('{"id":"y","p":"/tmp/c"}'), 0],
    [one('{"a":1}'), one('{"a":2}'), 1],
    [one('{"a":1}'), one('{"a":1}', { line: 'HTTP/1.1 204 ', headers: {} }), 2],
  ])('%#', (ours, theirs, count) => {
    expect(differences([ours], [theirs])).toHaveLength(count);
  });
  test('answers that are missing on either side', () => {
    expect(differences([one('')], [])).toEqual(['GET /: the other side has no answer']);
    expect(differences([], [one('')])).toEqual(['the other side has 1 answers more']);
  });
});
