/**
 * An installation for a bench: a state folder with the golden image and the survey already in it, and a controller as a process of its own,
 * as in production. `close` purges it: nothing is left on the host.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { prepare, purge } from '@linstock/daemon';
import { Paths } from '@linstock/host';
import { connect, type Linstock } from '@linstock/sdk';
import { note } from './samples.ts';
import { writeProgram } from './program.ts';

const clone = resolve(import.meta.dirname, '../..');
/** Made once; the golden image takes ten seconds and a download. */
const seed = join(clone, '.linstock', 'bench');
const never = new AbortController().signal;

export type StageOptions = {
  subnet: string;
  environment?: Record<string, string>;
  /** execute the stub instead of QEMU */ stub: boolean;
  profile?: boolean;
};

export class Stage {
  readonly folder: string;
  readonly stateFolder: string;
  readonly paths: Paths;
  readonly #options: StageOptions;
  #child: ChildProcess | null = null;
  #api: Linstock | null = null;

  private constructor(folder: string, options: StageOptions) {
    this.folder = folder;
    this.stateFolder = join(folder, 'state');
    this.paths = new Paths(this.stateFolder);
    this.#options = options;
  }

  /** The folder, without a controller. */
  static async make(options: StageOptions): Promise<Stage> {
    await prepare({ stateFolder: seed, environment: {}, signal: never, progress: () => undefined });
    const stage = new Stage(await mkdtemp(join(tmpdir(), 'linstock-bench-')), options);
    await mkdir(stage.stateFolder, { recursive: true });
    for (const part of ['images/blobs', 'images/goldens'])
      await cp(join(seed, part), join(stage.stateFolder, part), { recursive: true, preserveTimestamps: true });
    await cp(new Paths(seed).hostFacts, stage.paths.hostFacts);
    writeProgram(stage.program);
    return stage;
  }

  static async start(options: StageOptions): Promise<Stage> {
    const stage = await Stage.make(options);
    await stage.start();
    return stage;
  }

  get program(): string {
    return join(this.folder, 'stub');
  }

  get environment(): Record<string, string> {
    const { subnet, environment, stub } = this.#options;
    return {
      LINSTOCK_STATE: this.stateFolder,
      LINSTOCK_SUBNET: subnet,
      ...(stub ? { LINSTOCK_VMM: 'stub', LINSTOCK_STUB: this.program } : {}),
      ...environment,
    };
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

  async start(): Promise<void> {
    const profile = process.env['BENCH_PROFILE'] === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${process.env['BENCH_PROFILE']}`];
    const child = spawn(process.execPath, [...profile, join(clone, 'packages/cli/main.ts'), 'serve'], {
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', ...this.environment },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.#child = child;
    while (!existsSync(this.paths.serving)) {
      if (child.exitCode !== null) throw new Error(`the controller ended with ${child.exitCode}`);
      await sleep(20);
    }
    const { url, token } = JSON.parse(readFileSync(this.paths.serving, 'utf8')) as { url: string; token: string };
    this.#api = connect({ url, token });
    await this.#api.health();
  }

  async close(): Promise<void> {
    const child = this.#child;
    await this.#api?.close();
    if (child !== null && child.exitCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    }
    note('  cleaning up');
    await purge({ stateFolder: this.stateFolder, signal: never, progress: () => undefined });
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Asks until the answer is not null, without a time limit of its own: nothing here asserts a time. */
export async function until<T>(look: () => T | null | Promise<T | null>, everyMs = 5): Promise<T> {
  for (;;) {
    const seen = await look();
    if (seen !== null) return seen;
    await sleep(everyMs);
  }
}

export const settled = (ms: number): Promise<void> => sleep(ms);
