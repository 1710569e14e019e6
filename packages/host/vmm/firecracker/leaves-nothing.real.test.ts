/**
 * 200 launches and ends, several at once, in every way to launch and at every moment of a life: afterwards nothing of them is on the host but
 * the files that explain a boot. The VMM is the simulator of the testkit; processes, cgroups, jails and namespaces are real.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '@linstock/testkit';
import { aliveSince, allPids, commandOf, readKernelFile } from '../../tools/procs.ts';
import {
  aBoot,
  bare,
  closeBench,
  jailsLeft,
  launched,
  simulated,
  ways,
  type FirecrackerBench,
  type Launched,
  type Way,
} from '../testing/firecracker-bench.ts';
import { firecrackerFile } from './config.ts';

const never = new AbortController().signal;
const total = 200;
const atOnce = 8;
/** Which of each ten go in the way of this name, where that is possible; the others are found by their mark. */
const shares: Readonly<Record<string, readonly number[]>> = { 'by cgroup': [0, 4], jailed: [1], 'jailed, in a pid namespace': [2] };
/** What explains a boot, and is kept with it. */
const evidence = ['config.json', 'console.log', 'exit', firecrackerFile.log, firecrackerFile.metrics, 'ran', 'vmm.log'];

const consoleOf = ({ folder }: Launched): string =>
  existsSync(join(folder, 'console.log')) ? readFileSync(join(folder, 'console.log'), 'latin1') : '';
const speaks = (one: Launched): Promise<string> => eventually(() => consoleOf(one));
const answers = ({ vmm, boot, folder }: Launched): Promise<{ pid: number | null } | null> => eventually(() => vmm.ask(boot, folder));

/** What has happened when it is ended. The guest of the second bench reboots, which ends its VMM. */
const moments: readonly (readonly [when: string, bench: 'stays' | 'reboots', until: (one: Launched) => Promise<unknown>])[] = [
  ['its guest has spoken', 'stays', speaks],
  ['it answers', 'stays', answers],
  ['nothing yet', 'stays', async () => {}],
  [
    'it has ended by itself',
    'reboots',
    ({ vmm, boot, folder }) =>
      eventually(
        () => vmm.look(boot, folder),
        ({ is }) => is === 'ended',
      ),
  ],
  [
    'it stands still',
    'stays',
    async (one) => {
      await answers(one);
      expect(await one.vmm.command(one.boot, one.folder, 'pause', never)).toEqual({ is: 'done' });
    },
  ],
  [
    'somebody has killed it',
    'stays',
    async (one) => {
      process.kill((await answers(one))?.pid ?? 0, 'SIGKILL');
    },
  ],
];

const linkOf = (path: string): string | null => {
  try {
    return readlinkSync(path);
  } catch {
    return null; // ENOENT: gone since it was listed; EACCES: somebody else's
  }
};
const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return []; // as above
  }
};

/** Namespaces of a process, as `pid:[4026532345]`. */
const namespacesOf = (pid: number | 'self'): string[] =>
  namesIn(`/proc/${pid}/ns`).flatMap((name) => linkOf(`/proc/${pid}/ns/${name}`) ?? []);
const mounts = (): string[] => readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
/** Those that a mount keeps, but for those of networks, which others make as well. */
const boundNamespaces = (): string[] => mounts().flatMap((line) => / (?!net:)(\w+:\[\d+\]) .* - nsfs /.exec(line)?.[1] ?? []);
/** How many open files of each kind this process has; sockets and pipes have a number each. */
const openFiles = (): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const name of namesIn('/proc/self/fd')) {
    const to = linkOf(`/proc/self/fd/${name}`)?.replace(/\[\d+\]$/, '') ?? 'being listed';
    counts[to] = (counts[to] ?? 0) + 1;
  }
  return counts;
};
const children = (): string[] =>
  namesIn('/proc/self/task').flatMap((thread) => readKernelFile(`/proc/self/task/${thread}/children`)?.toString('latin1').split(' ') ?? []);

/** Living processes that have anything to do with one of these words; of a dead one whoever reaps it knows no more. */
function processesOf(words: readonly string[]): string[] {
  return allPids().flatMap((pid) => {
    const of = ['environ', 'cgroup', 'mountinfo'].map((file) => readKernelFile(`/proc/${pid}/${file}`)?.toString('latin1') ?? '');
    const links = [`cwd`, 'root', 'exe', ...namesIn(`/proc/${pid}/fd`).map((fd) => `fd/${fd}`)].map(
      (name) => linkOf(`/proc/${pid}/${name}`) ?? '',
    );
    const all = [...of, ...commandOf(pid), ...links].join('\n');
    return words.some((word) => all.includes(word)) && aliveSince(pid) !== undefined ? [`${pid}: ${commandOf(pid).join(' ')}`] : [];
  });
}

test(`of ${total} boots nothing is left`, async () => {
  const open: FirecrackerBench[] = [];
  const opened = (way: Way): Record<'stays' | 'reboots', FirecrackerBench> => {
    const [stays, reboots] = [simulated('1.16.1', way), simulated('1.9.1', way, { fates: ['guest-reboots'] })];
    open.push(stays, reboots);
    return { stays, reboots };
  };
  try {
    const usual = opened(bare);
    const others = ways.flatMap(([name, way, why]) =>
      why === false && shares[name] !== undefined ? [{ share: shares[name], benches: opened(way) }] : [],
    );
    const namespaces = new Set<string>();
    const launchAndEnd = async (n: number): Promise<Launched> => {
      const benches = others.find(({ share }) => share.includes(n % 10))?.benches ?? usual;
      const [, which, until] = moments[Math.floor(n / 10) % moments.length]!;
      const bench = benches[which];
      const one = await launched(bench, { at: aBoot(bench) });
      await until(one);
      const pid = (await one.vmm.ask(one.boot, one.folder))?.pid ?? null;
      for (const namespace of pid === null ? [] : namespacesOf(pid)) namespaces.add(namespace);
      expect(await one.vmm.end(one.boot, one.folder, never)).toEqual({ is: 'done' });
      return one;
    };

    await launchAndEnd(0); // what this process opens once and for all
    const before = { files: openFiles(), children: children(), bound: boundNamespaces() };
    const boots: Launched[] = [];
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < total) boots.push(await launchAndEnd(next++));
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
    expect(new Set(boots.map(({ boot }) => boot)).size).toBe(total);

    const words = open.flatMap(({ setup }) => [
      setup.state,
      dirname(setup.binaries.firecracker),
      `LINSTOCK_UNIT=${setup.mark}/`,
      `linstock-${setup.mark}/`,
    ]);
    expect(processesOf(words)).toEqual([]);
    expect(children()).toEqual(before.children);
    for (const { folder } of boots) expect(readdirSync(folder).filter((name) => !evidence.includes(name))).toEqual([]);
    for (const bench of open) {
      expect(jailsLeft(bench.jails)).toBe('');
      expect(namesIn(join(bench.state, 'ends'))).toEqual([]);
      expect(await bench.vmm().inventory()).toEqual([]);
      const { cgroup } = bench.setup;
      expect(cgroup === null ? [] : readdirSync(cgroup).filter((name) => statSync(join(cgroup, name)).isDirectory())).toEqual([]);
    }
    expect(mounts().filter((line) => words.some((word) => line.includes(word)))).toEqual([]);
    // one lives as long as a process in it, a file that is open, or a mount; its number is given to another one afterwards
    expect(boundNamespaces()).toEqual(before.bound);
    const own = new Set(namespacesOf('self'));
    const someMade = [...namespaces].some((one) => one.startsWith('pid:') && !own.has(one));
    expect(someMade).toBe(ways.some(([, way, why]) => way.pidNamespace === true && why === false));
    await eventually(openFiles, (now) => JSON.stringify(now) === JSON.stringify(before.files));
  } finally {
    for (const bench of open) await closeBench(bench);
  }
});
