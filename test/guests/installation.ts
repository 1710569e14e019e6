/**
 * What the tests with real guests share: an installation of their own (state folder, mark, subnet), its controller as a
 * real process that can be killed and started again, the SDK connected to it, and an inventory that tells what is left.
 *
 * `useInstallation` registers the hooks: made and started before the tests of a file, purged and looked for afterwards;
 * a failed test leaves console, logs, rules and rows in `.linstock/failed/`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chown, cp, link, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { FaultError, type BootView, type Condition, type Proof, type VmSpecInput, type VmView } from '@linstock/contract';
import { prepare, readServing } from '@linstock/daemon';
import { allPids, bootFile, cgroup2Mount, commandOf, exec, execOk, Paths, pidsBearing, readKernelFile, stateOfPid } from '@linstock/host';
import { connect, type Linstock } from '@linstock/sdk';
import { eventually } from '@linstock/testkit';

export { eventually };

export const clone = resolve(import.meta.dirname, '../..');
const cli = join(clone, 'packages/cli/main.ts');
/** A made-ready state folder, whose images and probe results the others share: building takes 20 s, asking whether it is still right 20 ms. */
const cache = join(clone, '.linstock', 'test-guests');
const toolMs = 60_000;

/** Why guests of root cannot be tried here; undefined when they can. */
export async function whyNoGuests(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'bridges and namespaces need root';
  return lacks('qemu-system-x86_64', 'qemu-img', 'mke2fs', 'debugfs', 'dpkg-deb', 'ip', 'nft');
}

async function lacks(...programs: readonly string[]): Promise<string | undefined> {
  const missing: string[] = [];
  for (const program of programs)
    if ((await exec([program, '--version'], { timeoutMs: toolMs })).spawnError !== null) missing.push(program);
  return missing.length === 0 ? undefined : `not installed here: ${missing.join(', ')}`;
}

/** Prints why a file is skipped, once. */
export async function reasonToSkip(what: string, ...programs: string[]): Promise<string | undefined> {
  const reason = (await whyNoGuests()) ?? (programs.length > 0 ? await lacks(...programs) : undefined);
  if (reason !== undefined) console.log(`skipped: ${what}: ${reason}`);
  return reason;
}

export type InstallationOptions = {
  /** of this file alone: 10.77.N.0/24 */
  subnet: string;
  environment?: Readonly<Record<string, string>>;
  /** runs the controller as this user, who gets a home and owns the state folder */
  user?: number;
  /** where the state folder is made; a folder of its own below the temporary folder when absent */
  folder?: string;
  /** false leaves out golden image and probe results */
  prepared?: boolean;
};

export class Installation {
  readonly folder: string;
  readonly stateFolder: string;
  readonly paths: Paths;
  readonly #options: InstallationOptions;
  #child: ChildProcess | null = null;
  #api: Linstock | null = null;
  #said = '';

  private constructor(folder: string, options: InstallationOptions) {
    this.folder = folder;
    this.stateFolder = join(folder, 'state');
    this.paths = new Paths(this.stateFolder);
    this.#options = options;
  }

  static async make(options: InstallationOptions): Promise<Installation> {
    const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'linstock-guests-')));
    const one = new Installation(folder, options);
    await mkdir(one.stateFolder, { recursive: true });
    if (options.prepared !== false) await one.#share();
    if (options.user !== undefined) {
      const below = await readdir(one.stateFolder, { recursive: true });
      for (const path of [folder, one.stateFolder, ...below.map((name) => join(one.stateFolder, name))])
        await chown(path, options.user, options.user);
    }
    return one;
  }

  /** Hard links where the file system is the same, copies elsewhere: blobs are read-only and never changed in place. */
  async #share(): Promise<void> {
    await prepareCache();
    // another user cannot read what belongs to us, and a link has one owner: that one gets copies
    const share = this.#options.user === undefined ? linkTree : (from: string, to: string) => cp(from, to, { recursive: true });
    for (const part of ['images/blobs', 'images/goldens']) await share(join(cache, part), join(this.stateFolder, part));
    await mkdir(join(this.stateFolder, 'images/scratch'), { recursive: true });
    // what was probed as root does not hold for somebody else
    if (this.#options.user === undefined) await cp(new Paths(cache).hostFacts, this.paths.hostFacts);
  }

  get mark(): string {
    return (JSON.parse(readFileSync(this.paths.installation, 'utf8')) as { mark: string }).mark;
  }

  get api(): Linstock {
    if (this.#api === null) throw new Error('the controller does not run');
    return this.#api;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('the controller does not run');
    return pid;
  }

  /** What the controller said on its standard streams; empty as long as all is well. */
  get said(): string {
    return this.#said;
  }

  get environment(): Record<string, string> {
    const { user, subnet, environment } = this.#options;
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: user === undefined ? (process.env['HOME'] ?? '/') : this.folder,
      LINSTOCK_STATE: this.stateFolder,
      LINSTOCK_SUBNET: subnet,
      LINSTOCK_SPARES: '0', // what bears the mark then belongs to a VM
      ...environment,
    };
  }

  /** A command of the CLI, as a person would run it. */
  #argv(words: readonly string[]): [string, ...string[]] {
    const { user } = this.#options;
    const node = [process.execPath, cli, ...words] as const;
    return user === undefined ? [...node] : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--inh-caps=-all', ...node];
  }

  /** Starts `linstock serve` and connects to it. Throws what it said when it would not. */
  async start(): Promise<void> {
    this.#said = '';
    const [file, ...args] = this.#argv(['serve']);
    const child = spawn(file, args, { env: this.environment, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    // setpriv becomes node, so the pid is the controller's own
    await eventually(
      async () => child.exitCode !== null || child.signalCode !== null || (await readServing(this.paths))?.pid === child.pid,
      Boolean,
      toolMs,
    );
    const serving = await readServing(this.paths);
    if (serving === null || serving.pid !== child.pid)
      throw new Error(`the controller ended with ${child.exitCode ?? child.signalCode}: ${this.#said}`);
    this.#api = connect({ url: serving.url, ...(serving.token === null ? {} : { token: serving.token }) });
    await this.#api.health();
  }

  /** `kill -9`, and it is really gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** As a person would end it; its exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === null) return null;
    const gone = once(child, 'exit');
    child.kill(signal);
    if (child.exitCode === null && child.signalCode === null) await gone;
    this.#child = null;
    await this.#api?.close();
    this.#api = null;
    return child.exitCode;
  }

  /** `serve --json` where it is expected to refuse: exit code and problem document. */
  async refusal(): Promise<{ code: number | null; problem: { code: string; detail: string } }> {
    const result = await this.run(['serve', '--json']);
    if (!result.stdout.startsWith('{')) throw new Error(`no problem document, exit ${result.code}: ${result.stdout}${result.stderr}`);
    return { code: result.code, problem: JSON.parse(result.stdout) as { code: string; detail: string } };
  }

  async run(words: readonly string[], timeoutMs = toolMs): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const variables = Object.entries(this.environment).map(([key, value]) => `${key}=${value}`); // exec lets no LINSTOCK_ name through
    return exec(['env', '-i', ...variables, ...this.#argv(words)], { timeoutMs });
  }

  /** `linstock down --purge`, then the look whether it told the truth. */
  async purge(): Promise<void> {
    const mark = existsSync(this.paths.installation) ? this.mark : null;
    const child = this.#child;
    const result = await this.run(['down', '--purge', '--json'], 120_000);
    expect({ code: result.code, said: result.stderr }).toMatchObject({ code: 0 });
    if (child !== null) await eventually(() => child.exitCode !== null || child.signalCode !== null);
    this.#child = null;
    await this.#api?.close();
    this.#api = null;
    if (mark !== null) expect(await leftOf(mark, this.stateFolder)).toEqual([]);
    expect(existsSync(this.stateFolder)).toBe(false);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Nothing of any VM is on the host; the network of all and the records of their boots stay. */
  async expectNoVmLeft(): Promise<void> {
    const network = new Set([
      `link ls${this.mark}-br0`,
      `table bridge ls${this.mark}-0`,
      `table ip ls${this.mark}-0`,
      `cgroup linstock-${this.mark}`,
    ]);
    const own = `process ${this.pid} `;
    const spare = new RegExp(`^(netns|link) ls${this.mark}-0-\\d$`); // the next free slots, made ahead of need
    const left = (await leftOf(this.mark, this.stateFolder)).filter(
      (thing) => !network.has(thing) && !spare.test(thing) && !thing.startsWith(own) && !thing.startsWith('file '),
    );
    expect(left).toEqual([]);
    expect(existsSync(this.paths.disks) ? readdirSync(this.paths.disks) : []).toEqual([]);
    expect(existsSync(this.paths.ends) ? readdirSync(this.paths.ends) : []).toEqual([]);
  }

  // --- looking

  /** The phase in the database itself: it can be read while no controller runs, and a moment earlier than through one. */
  phaseOf(vm: string): string | undefined {
    const database = new DatabaseSync(this.paths.database, { readOnly: true, timeout: 1_000 });
    try {
      return database.prepare('select phase from vms where id = ?').get(vm)?.['phase'] as string | undefined;
    } finally {
      database.close();
    }
  }

  /** Waits until the row is in one of these phases. */
  async inPhase(vm: string, ...phases: string[]): Promise<string> {
    const database = new DatabaseSync(this.paths.database, { readOnly: true, timeout: 1_000 });
    const statement = database.prepare('select phase from vms where id = ?');
    try {
      return await eventually(
        () => String(statement.get(vm)?.['phase']),
        (phase) => phases.includes(phase),
        60_000,
      );
    } finally {
      database.close();
    }
  }

  /** Processes of one boot: its keeper and its VMM. */
  unitOf(boot: string): { keeper: number[]; vmm: number[] } {
    const pids = pidsBearing(`LINSTOCK_UNIT=${this.mark}/${boot}`).filter((pid) => stateOfPid(pid) !== 'Z');
    const isVmm = (pid: number): boolean => commandOf(pid)[0]?.includes('qemu-system') === true;
    return { keeper: pids.filter((pid) => !isVmm(pid)), vmm: pids.filter(isVmm) };
  }

  /** The one VMM of a boot. */
  vmmOf(boot: string): number {
    const { vmm } = this.unitOf(boot);
    expect(vmm).toHaveLength(1);
    return vmm[0] as number;
  }

  /** The trace that a boot has run: the pid of its one keeper. */
  async ranOf(boot: string): Promise<string> {
    return (await readFile(join(this.paths.boot(boot), bootFile.ran), 'utf8')).trim();
  }

  async consoleOf(boot: string): Promise<string> {
    const parts: Uint8Array[] = [];
    const { vm } = await this.api.boots.show(boot);
    for await (const part of this.api.vms.console(vm, { boot, from: 0 })) parts.push(part);
    return Buffer.concat(parts).toString('latin1');
  }

  // --- acting

  /** A VM that is up and proved. */
  async verified(spec: VmSpecInput = {}): Promise<{ vm: VmView; boot: string }> {
    const { vm } = await this.api.vms.create(spec, { until: 'verified', withinMs: 200_000 });
    return { vm, boot: vm.boot as string };
  }

  /** Waits until the VM has failed. */
  async failed(vm: string): Promise<{ vm: VmView; boot: BootView }> {
    const view = await eventually(
      () => this.api.vms.show(vm),
      ({ state }) => state === 'failed',
      200_000,
    );
    return { vm: view, boot: await this.api.boots.show(view.boot as string) };
  }

  async exec(vm: string, ...argv: string[]): Promise<{ code: number | null; out: string }> {
    const running = await this.api.vms.exec(vm, argv, { timeoutMs: 30_000 });
    let out = '';
    for await (const { data } of running) out += Buffer.from(data).toString('utf8');
    const { code } = await running.result();
    return { code, out };
  }

  /** Has the proof made again and returns it, whatever it says. */
  async reproved(vm: string): Promise<Proof> {
    const before = (await this.api.vms.proof(vm)).proof?.at ?? 0;
    await this.api.vms.verify(vm);
    const { proof } = await eventually(
      () => this.api.vms.proof(vm),
      (reply) => reply.vm.phase === 'up' && reply.proof !== null && reply.proof.at > before,
      60_000,
    );
    return proof as Proof;
  }

  /** For people: all that a failed test needs looking at. */
  async keepEvidence(name: string): Promise<string> {
    const to = join(clone, '.linstock', 'failed', `${name.replaceAll(/[^a-z0-9]+/gi, '-').slice(0, 80)}-${randomBytes(2).toString('hex')}`);
    await mkdir(to, { recursive: true });
    await this.#examined();
    for (const part of [this.paths.log, this.paths.boots, this.paths.database, `${this.paths.database}-wal`, this.paths.serving]) {
      if (existsSync(part))
        await cp(part, join(to, part.slice(this.stateFolder.length + 1)), {
          recursive: true,
          filter: async (path) => !(await lstat(path)).isSocket(),
        });
    }
    const rules = await exec(['nft', 'list', 'ruleset'], { timeoutMs: toolMs });
    await writeFile(join(to, 'nft.txt'), rules.stdout);
    await writeFile(join(to, 'said.txt'), this.#said);
    return to;
  }

  /** A boot gets its proof in the autopsy, a moment after its fault was told. */
  async #examined(): Promise<void> {
    if (!existsSync(this.paths.database)) return;
    const database = new DatabaseSync(this.paths.database, { readOnly: true, timeout: 1_000 });
    try {
      const statement = database.prepare("select count(*) as left from vms where phase = 'autopsy'");
      await eventually(() => statement.get()?.['left'] === 0, Boolean, 15_000);
    } catch (error) {
      console.log(`kept without waiting for the autopsies: ${String(error)}`);
    } finally {
      database.close();
    }
  }
}

/** An installation for the tests of one file. */
export function useInstallation(options: InstallationOptions): { readonly it: Installation } {
  let made: Installation | null = null;
  beforeAll(async () => {
    made = await Installation.make(options);
    await made.start();
  });
  afterAll(() => made?.purge());
  return {
    get it() {
      if (made === null) throw new Error('the installation is made before the tests');
      return made;
    },
  };
}

/** After a failed test its evidence is kept; to be called once per file. */
export function keepsEvidence(of: () => Installation): void {
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(`evidence kept in ${await of().keepEvidence(task.name)}`);
  });
}

export const conditionOf = (proof: Proof | null | undefined, id: string): Condition => {
  const found = proof?.conditions.find((c) => c.id === id);
  if (found === undefined) throw new Error(`no condition ${id}`);
  return found;
};

/** The fault of a call that is refused. */
export async function faultOf(call: Promise<unknown>): Promise<{ code: string; says: string }> {
  const error: unknown = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!FaultError.is(error)) throw new Error(`a fault was expected, not ${String(error)}`);
  return { code: error.fault.code, says: error.message };
}

/** Everything on this host that bears a mark or knows a state folder. */
export async function leftOf(mark: string, stateFolder: string): Promise<string[]> {
  const found: string[] = [];
  const cgroup = join(cgroup2Mount() ?? '/nowhere', `linstock-${mark}`);
  if (existsSync(cgroup)) {
    found.push(`cgroup linstock-${mark}`);
    for (const entry of readdirSync(cgroup, { withFileTypes: true })) if (entry.isDirectory()) found.push(`cgroup ${entry.name}`);
  }
  const spaces = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  found.push(...spaces.filter((name) => name.startsWith(`ls${mark}-`)).map((name) => `netns ${name}`));
  const links = JSON.parse((await execOk(['ip', '-json', 'link', 'show'], { timeoutMs: toolMs, maxOutputBytes: 16 << 20 })).stdout) as {
    ifname?: string;
  }[];
  found.push(...links.flatMap((l) => (l.ifname?.startsWith(`ls${mark}-`) ? [`link ${l.ifname}`] : [])));
  const tables = (await execOk(['nft', 'list', 'tables'], { timeoutMs: toolMs })).stdout.split('\n');
  found.push(...tables.filter((line) => line.includes(` ls${mark}-`)));
  for (const pid of allPids()) {
    if (pid === process.pid || stateOfPid(pid) === 'Z') continue;
    const words = readKernelFile(`/proc/${pid}/environ`)?.toString('latin1') ?? '';
    const argv = commandOf(pid);
    if (words.includes(`LINSTOCK_UNIT=${mark}/`) || words.includes(`=${stateFolder}`) || argv.some((word) => word.includes(stateFolder))) {
      found.push(`process ${pid} ${argv.slice(0, 3).join(' ')}`);
    }
  }
  if (existsSync(stateFolder)) found.push(...(await readdir(stateFolder)).map((name) => `file ${name}`));
  return found;
}

let cacheReady: Promise<unknown> | null = null;

/** The golden image of today's sources, built when the last one is older. */
function prepareCache(): Promise<unknown> {
  cacheReady ??= prepare({ stateFolder: cache, environment: {}, signal: AbortSignal.timeout(600_000), progress: () => {} });
  return cacheReady;
}

async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await linkTree(source, target);
    else {
      await link(source, target).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EXDEV') throw error;
        await cp(source, target);
      });
    }
  }
}
