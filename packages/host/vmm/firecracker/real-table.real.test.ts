/** fields.ts against the parsers of real binaries, named by LINSTOCK_FIRECRACKER: what we send is never malformed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSimVersion, randomCalls, runScript } from '@linstock/testkit/firecracker-sim';
import { realBinaries, skipped } from '../testing/firecracker-bench.ts';
import { readAnswer } from './answers.ts';
import { refusalOfRequest } from './checks.ts';
import { endpoints, shapes, type Endpoint, type EndpointName, type FieldType } from './fields.ts';
import { parseVersion, within, type Version } from '@linstock/core';

const found = realBinaries();
const noReal = found.length === 0 && 'LINSTOCK_FIRECRACKER names no binaries';

const patterns = (Object.keys(endpoints) as EndpointName[]).map((name) => ({
  name,
  pattern: new RegExp(`^${name.replace(/\{\w+\}/, '\\w+')}$`),
}));

/** The request of the table that this is, with its body; null when it is none, or its body is no JSON. */
function known(method: string, path: string, text: unknown): { name: EndpointName; body: unknown } | null {
  const name = patterns.find(({ pattern }) => pattern.test(`${method} ${path}`))?.name;
  if (name === undefined) return null;
  try {
    return { name, body: typeof text === 'string' ? (JSON.parse(text) as unknown) : undefined };
  } catch {
    return null; // damaged on purpose: our client cannot send that
  }
}

/** The least that fits. */
function least(type: FieldType): unknown {
  switch (type.is) {
    case 'text':
    case 'id':
      return 'x';
    case 'mac':
      return '06:00:00:00:00:01';
    case 'ipv4':
      return '169.254.169.254';
    case 'level':
      return 'Info';
    case 'bool':
      return false;
    case 'int':
      return type.min;
    case 'one':
      return type.of[0];
    case 'list':
      return [least(type.of)];
    case 'shape':
      return Object.fromEntries(
        Object.entries(shapes[type.name].fields).flatMap(([name, field]) => (field.need ? [[name, least(field.type)]] : [])),
      );
    case 'object':
      return {};
  }
}

type Lacking = { method: string; path: string; body?: unknown; lacks: string };

/** What the table says that this version lacks: whole requests, and fields of the bodies of others. */
function lacking(version: Version): Lacking[] {
  return (Object.entries(endpoints) as [EndpointName, Endpoint][]).flatMap(([name, { body, spans }]): Lacking[] => {
    const [method = '', path = ''] = name.replace(/\{\w+\}/, 'x').split(' ');
    const whole = typeof body === 'string' && body !== 'object' ? (least({ is: 'shape', name: body }) as object) : undefined;
    if (spans !== undefined && !within(version, spans)) return [{ method, path, body: whole, lacks: name }];
    if (whole === undefined || typeof body !== 'string' || body === 'object') return [];
    return Object.entries(shapes[body].fields)
      .filter(([, field]) => field.spans !== undefined && !within(version, field.spans))
      .map(([field, { type }]) => ({ method, path, body: { ...whole, [field]: least(type) }, lacks: `${name} ${field}` }));
  });
}

describe.skipIf(noReal !== false)(`the table and real parsers${skipped(noReal)}`, () => {
  test.each(found.map(({ firecracker, version }) => [version, firecracker] as const))('%s', async (text, binary) => {
    const version = parseVersion(text) as Version;
    if (!isSimVersion(text)) throw new Error(`${text} is no release that the requests are made for`);
    let sent = 0;
    await fc.assert(
      fc.asyncProperty(randomCalls(text, false), async (calls) => {
        const right = calls.filter(({ method, path, body }) => {
          const one = known(method, path, body);
          return one !== null && refusalOfRequest(version, one.name, one.body) === null;
        });
        const steps = right.map((call) => ['ok', call] as const);
        const seen = await runScript({ name: 'right', files: { log: '' }, steps }, () => binary, { alone: true });
        sent += seen.length;
        const malformed = seen.filter(({ answer: { status, body } }) => {
          const answer = readAnswer(status, false, body);
          // the id in the path is the client's own doing
          return answer.is === 'refused' && answer.kind === 'malformed' && !/ id from the | ID/.test(answer.says);
        });
        expect(malformed.map(({ step, answer }) => `${step}: ${answer.body}`)).toEqual([]);
      }),
      { numRuns: 40, endOnFailure: true },
    );
    expect(sent).toBeGreaterThan(200);
  });

  test.each(found.map(({ firecracker, version }) => [version, firecracker] as const))(
    '%s lacks what it is said to lack',
    async (text, binary) => {
      const calls = lacking(parseVersion(text) as Version);
      const seen = await runScript({ name: 'lacking', steps: calls.map((call) => ['refused', call] as const) }, () => binary, {
        alone: true,
      });
      const malformed = seen.map(({ answer: { status, body } }) => {
        const answer = readAnswer(status, false, body);
        return answer.is === 'refused' ? answer.kind : answer.is;
      });
      expect(calls.map(({ lacks }, at) => `${lacks}: ${malformed[at]}`)).toEqual(calls.map(({ lacks }) => `${lacks}: malformed`));
    },
  );
});
