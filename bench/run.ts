/** `node bench/run.ts [name…]`: measures, and leaves raw samples in bench/samples. Without a name: all of them. */
import { boot } from './boot-overhead.ts';
import { diagnosisBench } from './diagnosis.ts';
import { diskClone } from './disk-clone.ts';
import { execLatency } from './exec-latency.ts';
import { firecrackerLaunch } from './firecracker-launch.ts';
import { kernelInspect } from './kernel-inspect.ts';
import { library } from './library.ts';
import { many } from './many.ts';
import { rootfsBuild } from './rootfs-build.ts';
import { note } from './parts/samples.ts';
import { tables } from './table.ts';

const benches: Record<string, () => Promise<void>> = {
  'exec-latency': execLatency,
  library,
  many,
  'boot-overhead': boot,
  'firecracker-launch': firecrackerLaunch,
  'kernel-inspect': kernelInspect,
  diagnosis: diagnosisBench,
  'disk-clone': diskClone,
  'rootfs-build': rootfsBuild,
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in benches));
if (unknown.length > 0) {
  note(`no such bench: ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}`);
  process.exitCode = 2;
} else {
  for (const [name, bench] of Object.entries(benches)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    note(name);
    await bench();
  }
  process.stdout.write(`${tables()}\n`);
}
