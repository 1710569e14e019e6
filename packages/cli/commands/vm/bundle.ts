import { command } from '../../command.ts';
import { writePrivately } from '../../private-file.ts';

export const vmBundle = command({
  path: ['vm', 'bundle'],
  summary: 'Take the evidence of the newest boot as one file that another person can open',
  args: { vm: { kind: 'text', doc: 'name or id' } },
  options: { out: { kind: 'text', flag: '--out <file>', doc: 'where to write it (VM.evidence.json); it must not be there yet' } },
  async run({ args, options }, tools) {
    const { out } = tools;
    out.progress({ name: 'taking the evidence' });
    const bundle = await (await tools.api()).vms.evidence(args.vm, { signal: tools.signal });
    out.quiet();
    const path = options.out ?? `${args.vm}.evidence.json`;
    await writePrivately(path, `${JSON.stringify(bundle, null, 1)}\n`);
    await out.answer(
      { file: path, subject: bundle.subject, at: bundle.at, documents: bundle.documents.map(({ kind, cut }) => ({ kind, cut })) },
      () => [
        `${path}: ${bundle.subject}`,
        ...bundle.documents.map(
          ({ kind, text, cut }) =>
            `  ${kind.padEnd(10)} ${String(text.split('\n').length - 1).padStart(6)} lines${cut === null ? '' : `; ${cut}`}`,
        ),
      ],
    );
  },
});
