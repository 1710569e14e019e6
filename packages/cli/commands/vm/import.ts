import { FaultError, vmSpecSchema } from '@linstock/contract';
import { portOf, specOf } from '../../boot-args.ts';
import { command, exitCodes, goalOf, UsageError, waitOptions, withinMsOf, type Command, type Tools } from '../../command.ts';
import { goldenNameOf, readConfigFile } from '../../config-file.ts';
import { loadImport, type ImportFace } from '../../daemon-face.ts';
import { importPage } from '../../import-page.ts';
import { settled, watching } from '../../vm-page.ts';

/**
 * A golden image is made in this process, because the files are here; the VM is asked of the controller, as `vm create` does. What can be
 * refused is refused before a byte is copied.
 */
export function vmImportCommand(load: () => Promise<ImportFace>): Command {
  return command({
    path: ['vm', 'import'],
    summary: 'Make a VM of a Firecracker config file, and say what is done otherwise',
    args: { file: { kind: 'text', doc: 'the file for --config-file, or - for standard input' } },
    options: {
      name: { kind: 'text', flag: '--name <name>', doc: 'a name of its own for the VM; one is made when absent' },
      dryRun: { kind: 'flag', flag: '--dry-run', doc: 'say what would be done, and change nothing' },
      port: { kind: 'list', flag: '--port <n[:level]>', doc: 'a port to prove: tcp, http, websocket or rfb (repeatable)' },
      vmm: { kind: 'text', flag: '--vmm <vmm>', doc: '`qemu`, `firecracker`, or an exact version as in `firecracker@1.9.1`' },
      noStart: { kind: 'flag', flag: '--no-start', doc: 'leave it stopped' },
      ...waitOptions,
    },
    async run({ args, options }, tools) {
      const { out, signal } = tools;
      const until = goalOf(options.wait, options.noStart ? 'stopped' : 'running');
      if (options.noStart && (until === 'running' || until === 'verified'))
        throw new UsageError(`--no-start and --wait ${until} exclude each other`);
      const name = vmSpecSchema.shape.name.safeParse(options.name);
      if (!name.success) throw new UsageError(`--name ${options.name}: ${name.error.issues[0]?.message ?? 'it does not fit'}`);
      options.port.forEach(portOf);
      if (tools.url !== undefined && !options.dryRun)
        throw new UsageError('vm import copies files into the image store of the controller’s own host: run it there, without --url');
      out.progress({ name: 'looking at the files' });
      const daemon = await load();
      const config = await readConfigFile(args.file, daemon.mostConfigBytes, signal);
      const vmm = vmSpecSchema.shape.vmm.safeParse(options.vmm);
      if (!vmm.success) throw new UsageError(`--vmm ${options.vmm}: it ${vmm.error.issues[0]?.message ?? 'does not fit'}`);
      if (!options.dryRun) await checkName(options.name, tools);
      const onFirecracker = (vmm.data ?? (options.dryRun ? 'qemu' : await usualVmm(tools))).startsWith('firecracker');
      const imported = await daemon.importGolden({
        file: config.name,
        bytes: config.bytes,
        folder: config.folder,
        name: goldenNameOf(config.name),
        onFirecracker,
        stateFolder: options.dryRun ? null : tools.stateFolder,
        signal,
        progress: (step) => out.progress(step),
      });
      out.quiet();
      const report = importPage(tools.self, config.name, imported, out.style);
      const { golden } = imported;
      if (golden === null) {
        await out.answer({ import: imported }, () => report);
        return exitCodes.done;
      }
      if (!out.json) await out.lines([...report, '']);
      const spec = specOf({
        name: options.name,
        golden: `${golden.name}@${golden.version}`,
        memory: imported.memoryMiB,
        vcpus: imported.vcpus,
        vmm: vmm.data,
        ...(imported.firecracker === null ? {} : { firecracker: imported.firecracker }),
        arg: [],
        replaceArg: [],
        removeArg: [],
        port: options.port,
        start: !options.noStart,
      });
      const changed = await (
        await tools.api()
      ).vms.create(spec, { signal, withinMs: withinMsOf(options.timeout), ...(until === undefined ? {} : { until, ...watching(tools) }) });
      return settled(tools, changed, until, { import: imported });
    },
  });
}

/** What the VM will run on when nobody says. */
async function usualVmm(tools: Tools): Promise<string> {
  const [host] = await (await tools.api()).hosts.list({ signal: tools.signal });
  return host?.facts.usualVmm ?? 'qemu';
}

/** The controller says so in the end; asked before, it spares a copy. */
async function checkName(name: string | undefined, tools: Tools): Promise<void> {
  const api = await tools.api();
  if (name === undefined) return void (await api.health({ signal: tools.signal }));
  for await (const vm of api.vms.list({ name, signal: tools.signal }))
    if (vm.state !== 'deleted') throw new FaultError('vm-name-taken', { name, id: vm.id });
}

export const vmImport = vmImportCommand(loadImport);
