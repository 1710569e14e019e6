import { mkdtempSync, rmSync, mkdirSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { LineCutter, QmpRefusal, QmpSilence, withQmp } from './qmp.ts';

describe('LineCutter', () => {
  test('property: however the bytes are cut, the lines are the same', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ unit: 'grapheme' }).map((s) => s.replaceAll('\n', '')),
          { maxLength: 6 },
        ),
        fc.array(fc.nat(200)),
        (lines, cuts) => {
          const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
          const cutter = new LineCutter(1_000);
          const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).toSorted((a, b) => a - b), bytes.length];
          const seen = at.slice(1).flatMap((to, i) => cutter.push(bytes.subarray(at[i], to)) ?? ['broken']);
          expect(seen).toEqual(lines);
        },
      ),
    );
  });
  test('a line that is too long breaks it for good, whole or in pieces', () => {
    for (const pieces of [['x'.repeat(11)], ['x'.repeat(6), 'x'.repeat(6)], [`${'x'.repeat(11)}\nok\n`]]) {
      const cutter = new LineCutter(10);
      expect(pieces.map((piece) => cutter.push(Buffer.from(piece))).at(-1)).toBeUndefined();
      expect(cutter.push(Buffer.from('\nfine\n'))).toBeUndefined();
    }
    expect(new LineCutter(10).push(Buffer.from(`${'x'.repeat(10)}\n`))).toEqual(['x'.repeat(10)]);
  });
});

const greeting = '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}\r\n';

describe('a conversation', () => {
  let folder = '';
  let server: Server | undefined;
  afterEach(async () => {
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    rmSync(folder, { recursive: true, force: true });
  });

  /** A QEMU of which the test says what it sends: first on connecting, then for each line it gets. */
  const serve = async (hello: string, answer: (line: string, socket: Socket) => string, deep = ''): Promise<void> => {
    folder = mkdtempSync(join(tmpdir(), 'linstock-qmp-'));
    const at = join(folder, deep);
    mkdirSync(at, { recursive: true });
    server = createServer((socket) => {
      socket.on('error', () => {});
      socket.write(hello);
      const cutter = new LineCutter(1_000_000);
      socket.on('data', (chunk: Buffer) => {
        for (const line of cutter.push(chunk) ?? []) socket.write(answer(line, socket));
      });
    });
    const cwd = process.cwd();
    process.chdir(at); // as QEMU: the address of the socket is its name only
    const listening = new Promise<void>((resolve) => server?.listen('qmp.sock', () => resolve()));
    process.chdir(cwd);
    await listening;
  };
  const idOf = (line: string): number => (JSON.parse(line) as { id: number }).id;
  const talk = (deep = '', timeoutMs = 20_000, signal?: AbortSignal): Promise<string> =>
    withQmp(
      { folder: join(folder, deep), socket: 'qmp.sock' },
      { timeoutMs, ...(signal ? { signal } : {}) },
      async (qmp) => `${qmp.version} ${JSON.stringify(await qmp.execute('query-status'))}`,
    );

  test('skips events, blank lines and answers to others', async () => {
    await serve(
      `${greeting}\n`,
      (line) => `{"event": "STOP", "timestamp": {}}\n\n{"return": 1, "id": 77}\n{"return": {"status": "paused"}, "id": ${idOf(line)}}\n`,
    );
    expect(await talk()).toBe('7.2.22 {"status":"paused"}');
  });
  test('works where the path is longer than a socket address may be', async () => {
    const deep = 'a-rather-long-name/'.repeat(8);
    await serve(greeting, (line) => `{"return": {}, "id": ${idOf(line)}}\n`, deep);
    expect(await talk(deep)).toBe('7.2.22 {}');
  });
  test('a no is told from silence', async () => {
    await serve(greeting, (line) =>
      line.includes('capabilities')
        ? `{"return": {}, "id": ${idOf(line)}}\n`
        : `{"id": ${idOf(line)}, "error": {"class": "GenericError", "desc": "not now"}}\n`,
    );
    const error = await talk().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(QmpRefusal);
    expect(error).toMatchObject({ errorClass: 'GenericError', message: 'not now' });
  });
  test.each([
    ['no JSON', 'hello\n'],
    ['JSON of another shape', '[1]\n'],
    ['a greeting without a version', '{"QMP": {}}\n'],
    ['a flood without a line end', 'x'.repeat(300_000)],
    ['a flood of lines', `${greeting}${'{"event": "X"}\n'.repeat(400_000)}`],
  ])('%s is broken', async (_, hello) => {
    await serve(hello, () => '');
    expect(await talk().catch((e: unknown) => e)).toMatchObject({ name: 'QmpSilence', why: 'broken' });
  });
  test('hanging up is absence, and so is a socket that was never there', async () => {
    await serve(greeting, (_, socket) => {
      socket.end();
      return '';
    });
    expect(await talk().catch((e: unknown) => e)).toMatchObject({ why: 'absent' });
    expect(await talk('nowhere').catch((e: unknown) => e)).toBeInstanceOf(QmpSilence);
  });
  test('silence is late; an abort is an abort', async () => {
    await serve('', () => '');
    expect(await talk('', 20).catch((e: unknown) => e)).toMatchObject({ why: 'late' });
    const abort = new AbortController();
    const talking = talk('', 20_000, abort.signal).catch((e: unknown) => e);
    abort.abort(new Error('enough'));
    expect(await talking).toMatchObject({ message: 'enough' });
  });
});
