import { command, exitCodes, withinMsOf } from '../../command.ts';
import { stateCell } from './state.ts';

export const goldenVerify = command({
  path: ['golden', 'verify'],
  summary: 'Boot a throw-away VM of a version and keep whether it was proved',
  args: { golden: { kind: 'text', doc: '`name` for its newest version, `name@version` or `name:tag`' } },
  options: {
    waive: { kind: 'text', flag: '--waive <reason>', doc: 'boot it although a static look found errors; the reason is kept' },
    timeout: { kind: 'number', flag: '--timeout <seconds>', doc: 'how long to wait (300); then exit code 3, and the verification goes on' } },
  async run({ args, options }, tools) {
    const { out, signal, self } = tools;
    out.progress({ name: `${args.golden}: a throw-away VM boots` });
    const one = await (await tools.api()).goldens.verify(args.golden, { signal, withinMs: withinMsOf(options.timeout), ...(options.waive === undefined ? {} : { waive: options.waive }) });
    out.quiet();
    await out.page(one, [
      ['golden', `${one.name}@${one.version}`],
      ['state', stateCell(one.state)],
      ...(one.why === null ? [] : [['because', one.why] as const]),
      ['proof', one.boot === null ? '-' : `${self} boot show ${one.boot}`],
    ]);
    if (one.state === 'verifying') return exitCodes.timedOut;
    return one.state === 'active' ? exitCodes.done : exitCodes.fault;
  },
});
