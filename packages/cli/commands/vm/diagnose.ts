import { command, exitCodes, type ExitCode } from '../../command.ts';
import { diagnosisPage } from '../../diagnosis-page.ts';

export const vmDiagnose = command({
  path: ['vm', 'diagnose'],
  summary: 'Say why the newest boot of a VM failed, by evidence that is taken now',
  args: { vm: { kind: 'text', doc: 'name or id' } },
  options: {},
  async run({ args }, tools): Promise<ExitCode> {
    const { out } = tools;
    out.progress({ name: 'taking the evidence' });
    const diagnosis = await (await tools.api()).vms.diagnosis(args.vm, { signal: tools.signal });
    out.quiet();
    await out.answer(diagnosis, () => diagnosisPage(diagnosis, out.style));
    return diagnosis.outcome === 'ok' ? exitCodes.done : exitCodes.fault;
  },
});
