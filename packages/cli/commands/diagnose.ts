import type { DocumentKind, EvidenceDocument } from '@linstock/contract';
import { command, exitCodes, UsageError, type ExitCode } from '../command.ts';
import { loadDiagnose } from '../daemon-face.ts';
import { diagnosisPage } from '../diagnosis-page.ts';
import { readBundle, readEvidence } from '../evidence-files.ts';

const file = (flag: string, doc: string) => ({ kind: 'text', flag: `${flag} <file>`, doc }) as const;

export const diagnose = command({
  path: ['diagnose'],
  summary: 'Say why a VM failed, from whatever files you have; no controller, no root',
  args: { files: { kind: 'rest', doc: 'texts of any kind, freely mixed: output of commands, logs, an issue; - is standard input' } },
  options: {
    console: file('--console', 'the console of the guest'),
    host: file('--host', 'pasted output of commands: ip, bridge, arp, ping, curl, tcpdump, ss, nft, systemctl, …'),
    guest: file('--guest', 'the same, run inside of the guest'),
    config: file('--config', 'the configuration of the VMM'),
    vmmLog: file('--vmm-log', 'what the VMM (or jailer, or runtime) printed'),
    kernel: file('--kernel', 'the kernel: vmlinux, bzImage, arm64 Image'),
    requested: { kind: 'text', flag: '--requested <args>', doc: 'the boot arguments that were asked for' },
    bundle: file('--bundle', 'the evidence that `vm bundle` wrote'),
  },
  async run({ args, options }, { out, signal, self }): Promise<ExitCode> {
    const face = await loadDiagnose();
    const given: readonly (readonly [string | undefined, DocumentKind])[] = [
      [options.console, 'console'],
      [options.host, 'host'],
      [options.guest, 'guest'],
      [options.config, 'config'],
      [options.vmmLog, 'vmm-log'],
      ...args.files.map((name) => [name, 'host'] as const),
    ];
    const documents: EvidenceDocument[] = options.bundle === undefined ? [] : await readBundle(options.bundle, signal);
    const pipes = given.filter(([name]) => name === '-').length;
    if (pipes > 1) throw new UsageError('- is given more than once: there is one standard input');
    const names = new Set(documents.map((d) => d.name));
    for (const [path, kind] of given) {
      if (path === undefined) continue;
      const name = args.files.length > 1 && args.files.includes(path) && path !== '-' ? path : unused(kind, names);
      names.add(name);
      documents.push(await readEvidence(path, kind, name, face, signal));
    }
    if (options.requested !== undefined)
      documents.push({ kind: 'requested', name: 'requested', text: `cmdline: ${options.requested}\n`, cut: null });
    if (options.kernel !== undefined) documents.push(await face.kernelDocument(options.kernel, signal));
    if (documents.length === 0) {
      throw new UsageError(
        `there is nothing to look at; paste what you have into a file, and: ${self} diagnose FILE, or ${self} diagnose --console console.log --host host.txt`,
      );
    }
    const diagnosis = face.diagnose(documents);
    await out.answer(diagnosis, () => diagnosisPage(diagnosis, out.style));
    return diagnosis.outcome === 'ok' ? exitCodes.done : exitCodes.fault;
  },
});

function unused(kind: string, names: ReadonlySet<string>): string {
  if (!names.has(kind)) return kind;
  for (let n = 2; ; n++) if (!names.has(`${kind} ${n}`)) return `${kind} ${n}`;
}
