import { command } from '../../command.ts';
import { ConsoleFilter } from '../../console-filter.ts';
import { safeJson } from '../../render.ts';

export const vmConsole = command({
  path: ['vm', 'console'],
  summary: 'Print what the guest wrote to its serial console',
  args: { vm: { kind: 'text', doc: 'name or id' } },
  options: {
    follow: { kind: 'flag', flag: '--follow', doc: 'go on with what it writes from now on' },
    boot: { kind: 'text', flag: '--boot <id>', doc: 'of an earlier boot' },
    from: { kind: 'number', flag: '--from <byte>', doc: 'begin at this byte' },
    raw: {
      kind: 'flag',
      flag: '--raw',
      doc: 'the bytes as they are, escape sequences included: a hostile guest can do things to your terminal',
    },
  },
  async run({ args, options }, tools) {
    const api = await tools.api();
    const filter = new ConsoleFilter();
    const { out } = tools;
    const write = (text: string): Promise<void> =>
      text === '' ? Promise.resolve() : out.json ? out.lines([safeJson({ text })]) : out.bytes(text);
    const chunks = api.vms.console(args.vm, {
      signal: tools.signal,
      follow: options.follow,
      ...(options.boot === undefined ? {} : { boot: options.boot }),
      ...(options.from === undefined ? {} : { from: options.from }),
    });
    for await (const chunk of chunks) await (options.raw && !out.json ? out.bytes(chunk) : write(filter.push(chunk)));
    await write(filter.end());
  },
});
