import { command } from '../command.ts';
import { moment, painted, plain, safeJson } from '../render.ts';

export const events = command({
  path: ['events'],
  summary: 'Print the event log, with --json one event per line',
  args: {},
  options: {
    after: { kind: 'number', flag: '--after <seq>', doc: 'only what came after this sequence number' },
    follow: { kind: 'flag', flag: '--follow', doc: 'go on with what happens from now on' },
    subject: { kind: 'text', flag: '--subject <id>', doc: 'of this VM, boot or network only' },
  },
  async run({ options }, tools) {
    const api = await tools.api();
    const { out } = tools;
    const stream = api.events({
      signal: tools.signal,
      follow: options.follow,
      ...(options.after === undefined ? {} : { after: options.after }),
      ...(options.subject === undefined ? {} : { subject: options.subject }),
    });
    for await (const event of stream) {
      if (out.json) await out.lines([safeJson(event)]);
      else
        await out.lines([
          `${painted(out.style, 'dim', `${String(event.seq).padStart(6)}  ${moment(event.time)}`)}  ${plain(event.type).padEnd(18)}  ${plain(event.subject)}  ${plain(safeJson(event.data))}`,
        ]);
    }
  },
});
