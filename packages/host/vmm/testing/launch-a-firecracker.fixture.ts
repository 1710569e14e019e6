/**
 * A process of its own for tests: launches one boot and dies by SIGKILL before the N-th thing that it does to the world. Node's own functions
 * do what they did before; they are only counted. SETUP ORDER-JSON N; N = 0 counts all and says their names.
 */
import childProcess from 'node:child_process';
import fs from 'node:fs';
import { enableCompileCache, syncBuiltinESMExports } from 'node:module';
import type { LaunchOrder } from '../vmm.ts';
import type { Setup } from './firecracker-bench.ts';

type Call = (this: unknown, ...args: unknown[]) => unknown;
const [setupText = '', orderText = '', blowText = '0'] = process.argv.slice(2);
const names: string[] = [];
let counting = false;

function spot(name: string): void {
  if (!counting) return;
  names.push(name);
  if (names.length === Number(blowText)) process.kill(process.pid, 'SIGKILL');
}

function count(object: object, key: string, changes: (args: unknown[]) => boolean = () => true): void {
  const table = object as Record<string, Call>;
  const original = table[key] as Call;
  table[key] = function counted(this: unknown, ...args: unknown[]) {
    if (changes(args)) spot(key);
    return original.apply(this, args);
  };
}

/** Opening is a deed when it makes something. */
const makes = ([, flags]: unknown[]): boolean =>
  typeof flags === 'number' ? (flags & fs.constants.O_CREAT) !== 0 : /[wa]/.test(String(flags));
count(fs.promises, 'open', makes);
for (const key of ['mkdir', 'link', 'chown', 'chmod', 'rename', 'rm', 'mkdtemp']) count(fs.promises, key);
for (const key of ['mkdirSync', 'writeFileSync', 'rmdirSync', 'renameSync', 'chmodSync']) count(fs, key);
count(fs, 'openSync', makes);
count(childProcess, 'spawn');
syncBuiltinESMExports();

const file = await fs.promises.open(import.meta.filename, 'r');
for (const key of ['write', 'truncate', 'chmod', 'chown']) count(Object.getPrototypeOf(file) as object, key);
await file.close();

enableCompileCache(); // a test starts dozens
// only now, so that they import what counts
const { driverOf } = await import('./firecracker-bench.ts');
const order = JSON.parse(orderText) as LaunchOrder;
const vmm = driverOf(JSON.parse(setupText) as Setup);
const plan = vmm.plan(order);
counting = true;
await vmm.launch(plan, order.folder, AbortSignal.timeout(60_000));
spot('launched');
counting = false;
fs.writeSync(1, JSON.stringify(names));
