import { command } from '../../command.ts';
import { moment, took, verdictCell } from '../../render.ts';

export const bootList = command({
  path: ['boot', 'list'],
  summary: 'List boots, newest first; those of deleted VMs too',
  args: {},
  options: {
    vm: { kind: 'text', flag: '--vm <vm>', doc: 'of this VM only' },
    limit: { kind: 'number', flag: '--limit <n>', doc: 'how many (100)' },
  },
  async run({ options }, tools) {
    const items = await (
      await tools.api()
    ).boots.list(
      { ...(options.vm === undefined ? {} : { vm: options.vm }), ...(options.limit === undefined ? {} : { limit: options.limit }) },
      { signal: tools.signal },
    );
    await tools.out.rows(
      { items },
      ['boot', 'vm', 'started', 'took', 'verified', 'reached', 'golden', 'accelerator', 'end'],
      items.map((boot) => {
        const last = boot.timeline.at(-1);
        return [
          boot.id,
          boot.vmName,
          moment(boot.startedAt),
          last === undefined ? '-' : took(last.ms),
          boot.proof === null ? '-' : verdictCell(boot.proof.verified),
          last?.what ?? '-',
          `${boot.golden.name}@${boot.golden.version}`,
          boot.accelerator,
          boot.end?.reason ?? '-',
        ];
      }),
      'There were no boots.',
    );
  },
});
