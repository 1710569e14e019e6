/** The front door in a small clone of its own, with a PATH that holds only what it may use, and an npm that fetches nothing. */
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readFile, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterEach, expect, test } from 'vitest';

const repository = resolve(import.meta.dirname, '../..');
const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

type Ran = { code: number; stdout: string; stderr: string };
type Stage = {
  clone: string;
  bin: string;
  npmCalls(): Promise<string[]>;
  run(argv?: string[], o?: { file?: string; cwd?: string; env?: Record<string, string> }): Promise<Ran>;
};

function find(program: string): string {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) if (existsSync(join(folder, program))) return join(folder, program);
  throw new Error(`${program} is not on PATH`);
}

/** `npm install` brings a Node (this one), `npm ci` the marker that npm writes last; each says so in a file. */
const fakeNpm = `#!/bin/sh
echo "$*" >> "$NPM_LOG"
[ -z "$NPM_INTERRUPTS" ] || { kill -"$NPM_INTERRUPTS" $PPID; exec sleep 60; }
[ ! -e "$NPM_FAILS" ] || { echo 'npm ERR! no network' >&2; exit 1; }
verb=$1; shift
while [ $# -gt 0 ]; do case $1 in --prefix) prefix=$2; shift ;; *@*) package=\${1%@*} ;; esac; shift; done
if [ "$verb" = install ]; then
  mkdir -p "$prefix/node_modules/$package/bin"; ln -s "$REAL_NODE" "$prefix/node_modules/$package/bin/node"
else
  mkdir -p "$prefix/node_modules"; echo '{}' > "$prefix/node_modules/.package-lock.json"
fi
echo 'npm says something'
`;

async function script(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o755);
}

async function stage(o: { systemNode?: string | null; npm?: boolean } = {}): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'linstock front door ')); // with spaces, on purpose
  open.push(() => rm(folder, { recursive: true, force: true }));
  const clone = join(folder, 'clone');
  const bin = join(folder, 'bin');
  await mkdir(join(clone, 'packages/cli'), { recursive: true });
  await mkdir(join(clone, 'tools'));
  await mkdir(bin);
  await copyFile(join(repository, 'linstock'), join(clone, 'linstock'));
  await chmod(join(clone, 'linstock'), 0o755);
  await writeFile(join(clone, 'package-lock.json'), '{"lockfileVersion":3}');
  await writeFile(
    join(clone, 'packages/cli/main.ts'),
    'const words: readonly string[] = process.argv.slice(2);\nconsole.log(JSON.stringify({ words, self: process.env["LINSTOCK_SELF"] }));\n',
  );
  await mkdir(join(clone, 'lab'), { recursive: true });
  await writeFile(join(clone, 'lab/main.ts'), 'console.log(`lab ${process.argv.slice(2).join(" ")}`);\n');
  await writeFile(join(clone, 'tools/test.ts'), 'console.log(`tests ${process.argv.slice(2).join(" ")}`);\n');
  for (const program of ['sh', 'mkdir', 'mv', 'rm', 'ln', 'cp', 'cmp', 'touch', 'sleep', 'uname', 'readlink', 'cat', 'id', 'tail'])
    await symlink(find(program), join(bin, program));
  if (o.npm ?? true) await script(join(bin, 'npm'), fakeNpm);
  if (o.systemNode === undefined) await symlink(process.execPath, join(bin, 'node'));
  else if (o.systemNode !== null) await script(join(bin, 'node'), `#!/bin/sh\necho ${o.systemNode}\n`);
  const log = join(folder, 'npm.log');
  return {
    clone,
    bin,
    npmCalls: async () =>
      existsSync(log)
        ? (await readFile(log, 'utf8'))
            .trim()
            .split('\n')
            .map((line) => line.split(' ')[0] ?? '')
        : [],
    run: (argv = [], { file = join(clone, 'linstock'), cwd = folder, env = {} } = {}) =>
      new Promise((done) => {
        const all = { PATH: bin, NPM_LOG: log, NPM_FAILS: join(folder, 'npm-fails'), REAL_NODE: process.execPath, ...env };
        execFile(file, argv, { cwd, env: all }, (error, stdout, stderr) =>
          done({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr }),
        );
      }),
  };
}

test('it is a POSIX shell file', async () => {
  const text = await readFile(join(repository, 'linstock'), 'utf8');
  expect(text.startsWith('#!/bin/sh\n')).toBe(true);
  expect(text).not.toMatch(/https?:|registry\./); // it names no host
  for (const shell of ['sh', 'dash', 'bash']) {
    if (!(process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, shell)))) continue;
    await new Promise<void>((done, reject) =>
      execFile(shell, ['-n', join(repository, 'linstock')], (error) => (error === null ? done() : reject(error))),
    );
  }
});

test('first: packages are installed with what it says on stderr; then: nothing but Node', async () => {
  const { run, npmCalls } = await stage();
  const first = await run(['vm', 'list', '--json', 'two words', '']);
  expect(first.code).toBe(0);
  expect(JSON.parse(first.stdout)).toMatchObject({ words: ['vm', 'list', '--json', 'two words', ''] });
  expect(first.stderr).toContain('installing the packages of package-lock.json');
  const second = await run(['version'], { env: { PATH: '/nonexistent' } });
  expect(second).toMatchObject({ code: 0, stderr: '' });
  expect(await npmCalls()).toEqual(['ci']);
});

test.each([['v20.20.2'], ['v24.2.0'], ['v9.0.0'], [null]])(
  'a system Node %s is not enough: one is fetched into the clone',
  async (systemNode) => {
    const { run, npmCalls, clone } = await stage({ systemNode });
    const { code, stderr } = await run();
    expect(code).toBe(0);
    expect(stderr).toContain('fetching Node 24.');
    expect(await npmCalls()).toEqual(['install', 'ci']);
    expect((await readdir(join(clone, '.linstock'))).toSorted()).toEqual(['compiled', 'node', expect.stringMatching(/^node-24\./)]);
    expect((await run()).stderr).toBe('');
  },
);

test('it finds its clone through symbolic links, absolute and relative, and by PATH', async () => {
  const { run, clone, bin } = await stage();
  await symlink(join(clone, 'linstock'), join(bin, 'absolute'));
  await symlink('../bin/absolute', join(clone, 'relative'));
  expect((await run([], { file: join(clone, 'relative') })).code).toBe(0);
  expect(JSON.parse((await run(['x'], { file: './linstock', cwd: clone })).stdout)).toEqual({ words: ['x'], self: './linstock' });
  expect((await run([], { file: 'absolute' })).code).toBe(0);
});

test('a changed package-lock.json is installed; one that was only touched is not', async () => {
  const { run, npmCalls, clone } = await stage();
  await run();
  const later = new Date(Date.now() + 3_600_000);
  await utimes(join(clone, 'package-lock.json'), later, later);
  await run();
  expect(await npmCalls()).toEqual(['ci']);
  await writeFile(join(clone, 'package-lock.json'), '{"lockfileVersion":3,"packages":{}}');
  await utimes(join(clone, 'package-lock.json'), later, later);
  await run();
  expect(await npmCalls()).toEqual(['ci', 'ci']);
});

test('test starts the tests, lab run the lab', async () => {
  const { run } = await stage();
  expect((await run(['test', 'fast', '--x'])).stdout).toBe('tests fast --x\n');
  expect((await run(['lab', 'run', 'healthy', '--json'])).stdout).toBe('lab healthy --json\n');
});

test('an npm that fails: a sentence, exit code 1, nothing half done, and the next try works', async () => {
  const { run, clone } = await stage({ systemNode: null });
  const fails = join(clone, '..', 'npm-fails');
  await writeFile(fails, '');
  const failed = await run();
  expect(failed).toMatchObject({ code: 1, stdout: '' });
  expect(failed.stderr).toContain('no network');
  expect(failed.stderr).toContain('Node could not be fetched');
  expect(await readdir(join(clone, '.linstock'))).toEqual([]);
  await rm(fails);
  expect((await run()).code).toBe(0);
});

test.each([
  ['INT', 130],
  ['TERM', 143],
])('a signal %s in the middle: npm is ended, nothing half done, and the next try works', async (signal, code) => {
  const { run, clone } = await stage({ systemNode: null });
  expect(await run([], { env: { NPM_INTERRUPTS: signal } })).toMatchObject({ code, stdout: '' });
  expect(await readdir(join(clone, '.linstock'))).toEqual([]);
  expect((await run()).code).toBe(0);
});

test('no npm and no apt-get: what to do', async () => {
  const { run } = await stage({ npm: false });
  expect(await run()).toMatchObject({ code: 1, stderr: expect.stringContaining('npm is missing, and so is apt-get') as string });
});

test('no npm and an ordinary user: the command for the administrator', async () => {
  const { run, bin } = await stage({ npm: false });
  await script(join(bin, 'apt-get'), '#!/bin/sh\nexit 1\n');
  await rm(join(bin, 'id'));
  await script(join(bin, 'id'), '#!/bin/sh\necho 1000\n');
  expect((await run()).stderr).toContain('sudo apt-get install --no-install-recommends npm');
});

test('no npm and root: it is named, then installed, the lists refreshed when needed', async () => {
  const { run, bin, clone } = await stage({ npm: false });
  await writeFile(join(clone, '..', 'npm-later'), fakeNpm);
  await rm(join(bin, 'id'));
  await script(join(bin, 'id'), '#!/bin/sh\necho 0\n');
  await script(
    join(bin, 'apt-get'),
    `#!/bin/sh\ncase $* in *update*) : > lists; exit 0 ;; esac\n[ -f lists ] || exit 100\ncp npm-later "${bin}/npm"; ${find('chmod')} +x "${bin}/npm"\n`,
  );
  const { code, stderr } = await run();
  expect(code).toBe(0);
  expect(stderr).toContain('Installing it: apt-get install --no-install-recommends npm');
});

test('several front doors at once: one prepares, the others wait, all succeed', async () => {
  const { run, npmCalls } = await stage({ systemNode: 'v20.20.2' });
  const runs = await Promise.all([1, 2, 3, 4].map((n) => run([String(n)])));
  expect(runs.map((one) => one.code)).toEqual([0, 0, 0, 0]);
  expect(await npmCalls()).toEqual(['install', 'ci']);
});

test('a lock whose owner is gone does not stand in the way', async () => {
  const { run, clone } = await stage();
  await mkdir(join(clone, '.linstock/front-door.lock'), { recursive: true });
  await writeFile(join(clone, '.linstock/front-door.lock/pid'), '999999999\n');
  expect((await run()).code).toBe(0);
});
