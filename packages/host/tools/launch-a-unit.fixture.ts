/** A process of its own for tests: launches (or ends) one unit and says what it sees. MARK STATE BOOT CGROUP|- [end] */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isId } from '@linstock/contract';
import { closeInheritedFiles } from './detached.ts';
import { Units } from './units.ts';

closeInheritedFiles();
const [mark = '', state = '', boot = '', cgroup = '-', what = 'launch'] = process.argv.slice(2);
if (!isId('boot', boot)) throw new Error('usage: MARK STATE BOOT CGROUP|- [end]');
const units = new Units({ mark, ends: join(state, 'ends'), cgroup: cgroup === '-' ? null : cgroup });
const folder = join(state, 'boots', boot);
mkdirSync(folder, { recursive: true });
const signal = AbortSignal.timeout(20_000);
if (what === 'end') {
  await units.end(boot, folder, signal);
  console.log(JSON.stringify(await units.look(boot, folder)));
} else {
  await units.launch({ boot, folder, netns: null, argv: ['/bin/sleep', '100000'] }, signal);
  console.log(JSON.stringify(await units.look(boot, folder)));
  // the unprivileged test wants it to end by itself, the other one kills it: both must leave the unit alive
  if (cgroup === '-' && process.getuid?.() !== 0) process.exit(0);
  setInterval(() => {}, 1_000);
}
