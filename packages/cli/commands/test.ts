import { command, UsageError } from '../command.ts';

export const test = command({
  path: ['test'],
  summary: 'Run the tests of this clone (the front door `./linstock test` does it)',
  args: { words: { kind: 'rest', doc: 'passed to tools/test.ts' } },
  options: {},
  // The front door starts tools/test.ts in our place: tests must not run inside the program that they test.
  run: (_, tools) => Promise.reject(new UsageError(`tests are started by the front door: ${tools.environment.clone}/linstock test`)),
});
