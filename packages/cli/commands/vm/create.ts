import { readFile } from 'node:fs/promises';
import { specOf } from '../../boot-args.ts';
import { command, goalOf, UsageError, waitOptions, withinMsOf } from '../../command.ts';
import { settled, watching } from '../../vm-page.ts';

/** More than the data of MMDS may have. */
const mostJsonBytes = 256 * 1024;

/** What a file says, as JSON; whether it fits is the server's to say. */
async function jsonOf(path: string | undefined): Promise<unknown> {
  if (path === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--firecracker ${path}: it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
  if (text.length > mostJsonBytes) throw new UsageError(`--firecracker ${path}: it has more than ${mostJsonBytes} characters`);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new UsageError(`--firecracker ${path}: it is not JSON`);
  }
}

export const vmCreate = command({
  path: ['vm', 'create'],
  summary: 'Create a VM from a golden image and start it',
  args: {},
  options: {
    name: { kind: 'text', flag: '--name <name>', doc: 'a name of its own; one is made when absent' },
    golden: { kind: 'text', flag: '--golden <golden>', doc: '`name` for the newest version, or `name@version`' },
    memory: { kind: 'number', flag: '--memory <MiB>', doc: 'guest memory' },
    vcpus: { kind: 'number', flag: '--vcpus <n>', doc: 'processors' },
    network: { kind: 'text', flag: '--network <network>', doc: 'network to be in' },
    vmm: { kind: 'text', flag: '--vmm <vmm>', doc: '`qemu`, `firecracker`, or an exact version as in `firecracker@1.9.1`' },
    firecracker: {
      kind: 'text',
      flag: '--firecracker <file>',
      doc: 'JSON file with what only Firecracker has: rate limiters, CPU template, huge pages, balloon, MMDS',
    },
    arg: { kind: 'list', flag: '--arg <key=value>', doc: 'add a boot argument (repeatable)' },
    replaceArg: { kind: 'list', flag: '--replace-arg <key=value>', doc: 'replace a boot argument of the golden image (repeatable)' },
    removeArg: { kind: 'list', flag: '--remove-arg <key>', doc: 'drop a boot argument of the golden image (repeatable)' },
    port: { kind: 'list', flag: '--port <n[:level]>', doc: 'a port to prove: tcp, http, websocket or rfb (repeatable)' },
    noStart: { kind: 'flag', flag: '--no-start', doc: 'leave it stopped' },
    ...waitOptions,
  },
  async run({ options }, tools) {
    const spec = specOf({ ...options, start: !options.noStart, firecracker: await jsonOf(options.firecracker) });
    const until = goalOf(options.wait, options.noStart ? 'stopped' : 'running');
    if (options.noStart && (until === 'running' || until === 'verified'))
      throw new UsageError(`--no-start and --wait ${until} exclude each other`);
    const api = await tools.api();
    const changed = await api.vms.create(spec, {
      signal: tools.signal,
      withinMs: withinMsOf(options.timeout),
      ...(until === undefined ? {} : { until, ...watching(tools) }),
    });
    return settled(tools, changed, until);
  },
});
