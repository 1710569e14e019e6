/** Sorts the arguments of the simulator from those of the program that it simulates, and becomes that program. */
import { Fates } from './fates.ts';
import { firecracker } from './firecracker.ts';
import { enterJail } from './jail-paths.ts';
import { jailer } from './jailer.ts';
import { isSimVersion, simVersions } from './versions.ts';

export async function start(argv: readonly string[]): Promise<void> {
  const own: string[] = [];
  const fates: string[] = [];
  const vsockPorts = new Map<number, string>();
  let program = 'firecracker';
  let version = '';
  const words = [...argv];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (!word.startsWith('--sim-')) {
      own.push(word);
      continue;
    }
    const value = words.shift() ?? '';
    switch (word) {
      case '--sim-version':
        version = value;
        break;
      case '--sim-program':
        program = value;
        break;
      case '--sim-fate':
        fates.push(value);
        break;
      case '--sim-vsock':
        vsockPorts.set(Number(value.split('=')[0]), value.slice(value.indexOf('=') + 1));
        break;
      case '--sim-root':
        // The jailer's shell has gone there already; the path is an argument so that it can be seen in /proc.
        enterJail();
        break;
      default:
        throw new Error(`there is no ${word}`);
    }
  }
  if (!isSimVersion(version)) throw new Error(`--sim-version ${version}: simulated are ${simVersions.join(', ')}`);
  if (program === 'jailer') jailer(own, version);
  await firecracker(own, { version, fates: new Fates(fates), vsockPorts });
}
