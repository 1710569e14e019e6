import { defineConfig } from 'vitest/config';

const never = ['**/node_modules/**', '**/.linstock/**'];
const root = import.meta.dirname;

/**
 * `fast`: pure or within this process, in parallel. `real`: namespaces, VMs, builds; one file at a time, because they share one host.
 * A real test that cannot run here skips with the reason.
 */
export default defineConfig({
  test: {
    projects: [
      {
        root,
        test: {
          name: 'fast',
          include: ['**/*.test.ts'],
          exclude: [...never, '**/*.real.test.ts', 'test/**'],
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        root,
        test: {
          name: 'real',
          include: ['**/*.real.test.ts', 'test/**/*.test.ts'],
          exclude: never,
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
