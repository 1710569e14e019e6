/** Runs a firecracker, simulated or real, in a folder of its own. For tests: what was started is ended, and looked after by its pid. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../eventually.ts';
import { RawConnection, requestOf, type Answer } from './client.ts';
import { simulatorAt, type SimulatorOptions } from './executables.ts';
import type { Fate } from './fates.ts';
import type { SimVersion } from './versions.ts';

export type Ended = { code: number | null; signal: NodeJS.Signals | null };

/** Each has its own folder as working folder, with `k` (an ELF head), `disk` and `text` (no kernel) in it. */
export class Bench {
  readonly folder = mkdtempSync('/tmp/ls-fc-');
  readonly #children: ChildProcess[] = [];

  constructor() {
    writeFileSync(join(this.folder, 'k'), Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), Buffer.alloc(200)]));
    writeFileSync(join(this.folder, 'text'), 'this is no kernel, and it is long enough to be looked at as one, all sixty-four bytes\n');
    writeFileSync(join(this.folder, 'disk'), '');
    truncateSync(join(this.folder, 'disk'), 1 << 20);
  }

  path(name: string): string {
    return join(this.folder, name);
  }
  read(name: string): string {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), 'utf8') : '';
  }
  write(name: string, content: unknown): string {
    const asItIs = typeof content === 'string' || content instanceof Uint8Array;
    writeFileSync(this.path(name), asItIs ? content : JSON.stringify(content));
    return name;
  }

  simulator(version: SimVersion, fate: Fate | SimulatorOptions = {}): string {
    return simulatorAt(this.folder, version, fate);
  }

  /** Standard output goes to `out`, standard error to `err` of the folder. */
  run(program: string, args: readonly string[], socket = 'api'): Running {
    const out = openSync(this.path('out'), 'w');
    const err = openSync(this.path('err'), 'w');
    const child = spawn(program, args, { cwd: this.folder, stdio: ['ignore', out, err] });
    closeSync(out);
    closeSync(err);
    this.#children.push(child);
    return new Running(child, this.path(socket));
  }

  /** With an API and no configuration. */
  async withApi(version: SimVersion, fate: Fate | SimulatorOptions = {}, args: readonly string[] = []): Promise<Running> {
    const running = this.run(this.simulator(version, fate), ['--api-sock', 'api', ...args]);
    await running.listens();
    return running;
  }

  async done(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await eventually(() => this.#children.every((child) => child.exitCode !== null || child.signalCode !== null));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Without root no network can be made, and none of the host's changed either. */
export function inItsOwnNetwork(words: readonly [string, ...string[]]): readonly [string, ...string[]] {
  return process.getuid?.() === 0 ? ['unshare', '--net', '--', ...words] : words;
}

export class Running {
  readonly child: ChildProcess;
  readonly #socket: string;
  #connection: RawConnection | null = null;

  constructor(child: ChildProcess, socket: string) {
    this.child = child;
    this.#socket = socket;
    child.on('error', () => {
      // A program that cannot be run has no pid: the test fails where it waits for it.
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  connect(): RawConnection {
    return new RawConnection(this.#socket);
  }

  async listens(): Promise<void> {
    await eventually(async () => {
      if (this.child.exitCode !== null) throw new Error(`it ended with ${this.child.exitCode} before it listened`);
      if (!existsSync(this.#socket)) return false;
      const connection = this.connect();
      const there = await connection.connected();
      connection.destroy();
      return there;
    });
  }

  /** Over one connection that stays open, as a good client does. */
  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    if (!this.#connection || this.#connection.closed) this.#connection = this.connect();
    return await this.raw(requestOf(method, path, body), this.#connection);
  }

  /** Over a connection of its own unless one is given. */
  async raw(bytes: string | Buffer, given: RawConnection | null = null): Promise<Answer> {
    const connection = given ?? this.connect();
    connection.send(bytes);
    const answer = await eventually(() => connection.take() ?? (connection.closed ? closed : null));
    if (given === null) connection.destroy();
    return answer!;
  }

  /** The fault message of a refusal, or '' for an answer that is none. */
  async refusal(method: string, path: string, body?: unknown): Promise<string> {
    const answer = await this.call(method, path, body);
    if (answer.status < 400) return '';
    return (JSON.parse(answer.body) as { fault_message: string }).fault_message;
  }

  async ended(): Promise<Ended> {
    await eventually(() => this.child.exitCode !== null || this.child.signalCode !== null);
    return { code: this.child.exitCode, signal: this.child.signalCode };
  }
}

/** What `raw` gives for a connection that ended without an answer. */
export const closed: Answer = { status: 0, line: 'closed', headers: {}, body: '' };
