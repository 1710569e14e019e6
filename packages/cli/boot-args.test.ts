import { expect, test } from 'vitest';
import { portOf, specOf, tokenOf, type CreateWords } from './boot-args.ts';
import { goalOf, UsageError, withinMsOf } from './command.ts';

const words = (some: Partial<CreateWords> = {}): CreateWords => ({
  arg: [],
  replaceArg: [],
  removeArg: [],
  port: [],
  start: true,
  ...some,
});

test.each([
  ['6080', { port: 6080, level: 'tcp' }],
  ['80:http', { port: 80, level: 'http' }],
  ['6080:rfb', { port: 6080, level: 'rfb' }],
  ['6080:websocket:/vnc.html', { port: 6080, level: 'websocket', path: '/vnc.html' }],
])('--port %s', (text, port) => expect(portOf(text)).toEqual(port));

test.each(['', '0', '65536', '80:', '80:ftp', 'http', '80:http:vnc', '-1', '8 0', '80:HTTP'])('--port "%s" is refused', (text) =>
  expect(() => portOf(text)).toThrow(UsageError),
);

test.each(['swiotlb=force', 'quiet', 'a=b=c', 'console=ttyS0,115200', 'x="y"'])('--arg %s', (text) =>
  expect(tokenOf('--arg', text)).toBe(text),
);
test.each(['', 'a b', 'a\tb', 'a\n'])('--arg "%s" is refused', (text) => expect(() => tokenOf('--arg', text)).toThrow(UsageError));

test('what was not said is left to the server', () => expect(specOf(words())).toEqual({}));
test('what was said is asked for', () => {
  expect(
    specOf(
      words({
        name: 'web',
        golden: 'tiny@2',
        memory: 256,
        vcpus: 2,
        network: 'lab',
        arg: ['a=1', 'b'],
        replaceArg: ['c=2'],
        removeArg: ['d'],
        port: ['80:http'],
        start: false,
      }),
    ),
  ).toEqual({
    name: 'web',
    golden: 'tiny@2',
    memoryMiB: 256,
    vcpus: 2,
    network: 'lab',
    bootArgs: { add: ['a=1', 'b'], replace: ['c=2'], remove: ['d'] },
    ports: [{ port: 80, level: 'http' }],
    start: false,
  });
});

test('goals and times', () => {
  expect(goalOf(undefined, 'running')).toBeUndefined();
  expect(goalOf(true, 'running')).toBe('running');
  expect(goalOf('verified', 'running')).toBe('verified');
  expect(() => goalOf('happy', 'running')).toThrow(UsageError);
  expect(withinMsOf(1.5)).toBe(1500);
  expect(() => withinMsOf(-1)).toThrow(UsageError);
});
