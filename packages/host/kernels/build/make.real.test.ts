/** `make` as builds call it, on trees of a few lines. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '@linstock/testkit';
import { lacks } from '../../images/real-needs.ts';
import { make, watching } from './make.ts';
import type { Making } from './make.ts';
import { processesIn } from './testing/processes-in.ts';

const reason = await lacks('make', 'setpriv', 'env');
if (reason !== undefined) console.log(`skipped: ${reason}`);

describe.skipIf(reason !== undefined)('make', () => {
  let tree: string;
  beforeEach(async () => {
    tree = await mkdtemp(join(tmpdir(), 'make-'));
  });
  afterEach(() => rm(tree, { recursive: true, force: true }));

  async function withMakefile(text: string, signal?: AbortSignal): Promise<Making> {
    await writeFile(join(tree, 'Makefile'), text);
    return { tree, log: join(tree, 'build.log'), jobs: 2, signal };
  }
  const logged = (): Promise<string> => readFile(join(tree, 'build.log'), 'utf8').catch(() => '');

  test('its surroundings are made from nothing, and the log holds both streams of all tries', async () => {
    const making = await withMakefile('vmlinux:\n\t@env | sort; echo $(ARCH) "[$(LOCALVERSION)]"; echo talk >&2\n');
    await make(making, ['vmlinux'], { KCONFIG_ALLCONFIG: '/x' });
    await make(making, ['vmlinux']);
    const log = await logged();
    expect(log.match(/^talk$/gm)).toHaveLength(2);
    expect(log).toMatch(/^KBUILD_BUILD_USER=linstock$/m);
    expect(log).toMatch(/^KBUILD_BUILD_TIMESTAMP=\w{3} \w{3} [ \d]\d [\d:]{8} UTC \d{4}$/m);
    expect(log.match(/^KCONFIG_ALLCONFIG=\/x$/gm)).toHaveLength(1);
    expect(log).toMatch(/^x86_64 \[\]$/m);
    const names = new Set([...log.matchAll(/^(\w+)=/gm)].map(([, name]) => name));
    const own = /^(?:PATH|HOME|LC_ALL|TZ|KBUILD_.*|KCONFIG_ALLCONFIG|ARCH|LOCALVERSION|MAKE.*|MFLAGS|PWD|SHLVL|_|OLDPWD)$/;
    expect([...names].filter((name) => !own.test(name ?? ''))).toEqual([]);
  });

  test('of a failure the words of the compiler are told, and where the log is', async () => {
    const making = await withMakefile(
      `vmlinux:\n\t@printf '  CC      a.o\\na.c:3:1: \\033[31merror:\\033[0m no such thing\\n' >&2; exit 1\n`,
    );
    const failed = make(making, ['vmlinux']);
    await expect(failed).rejects.toThrow(
      /make failed with exit code 2\. The log says: a\.c:3:1: error: no such thing \| make: \*\*\* .*\(all of it: .*build\.log\)$/,
    );
  });

  const ENDLESS = "vmlinux:\n\t@echo '  CC      a.o'; sleep 1000\n";

  test('ended on request, nothing that it started goes on; how far it was had been told', { timeout: 60_000 }, async () => {
    const stop = new AbortController();
    const making = await withMakefile(ENDLESS, stop.signal);
    const told: unknown[] = [];
    const progress = (step: { done?: number; total?: number }): void => {
      told.push(step);
      if ((step.done ?? 0) > 0) stop.abort(new Error('enough'));
    };
    await expect(watching({ log: making.log, steps: 100, progress }, () => make(making, ['vmlinux']))).rejects.toThrow('enough');
    expect(told.at(-1)).toEqual({ name: 'build the kernel', done: 1, total: 100, unit: 'steps' });
    expect(await processesIn(tree)).toEqual([]);
  });

  test('what does not end with it is told, so that nobody builds beside it', async () => {
    const making = await withMakefile('vmlinux:\n\t@setsid sleep 1000 >/dev/null 2>&1 & exit 1\n');
    try {
      await expect(make({ ...making, goneMs: 100 }, ['vmlinux'])).rejects.toThrow(/0\.1 s later something that it started still works in/);
    } finally {
      for (const pid of await processesIn(tree)) process.kill(Number.parseInt(pid, 10), 'SIGKILL');
    }
  });

  test('when the one who asked is killed, make ends with what it started', { timeout: 60_000 }, async () => {
    const making = await withMakefile(ENDLESS);
    const script = `import { make } from ${JSON.stringify(join(import.meta.dirname, 'make.ts'))}; await make(${JSON.stringify(making)}, ['vmlinux']);`;
    const asker = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
    try {
      await eventually(logged, (log) => log.includes('CC'));
      expect(await processesIn(tree)).not.toEqual([]);
    } finally {
      asker.kill('SIGKILL');
    }
    expect(
      await eventually(
        () => processesIn(tree),
        (found) => found.length === 0,
      ),
    ).toEqual([]);
  });
});
