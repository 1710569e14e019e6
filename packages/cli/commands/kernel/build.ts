import { build } from '../../building.ts';
import { command, UsageError } from '../../command.ts';
import { loadBuilder } from '../../daemon-face.ts';
import { page, table } from '../../render.ts';
import { recordPairs, storeHere } from './page.ts';

export const kernelBuild = command({
  path: ['kernel', 'build'],
  summary: "Build a kernel from the distribution's sources and keep it by name; ended, the same command goes on where it was",
  args: { version: { kind: 'text', doc: 'the series of the sources, such as 6.1: those of the package linux-source-6.1' } },
  options: {
    fragment: { kind: 'list', flag: '--fragment <file>', doc: 'CONFIG_ lines laid over the built-in ones for microVMs (repeatable)' },
    name: { kind: 'text', flag: '--name <name>', doc: 'what it is called (microvm-VERSION)' },
    jobs: { kind: 'number', flag: '--jobs <n>', doc: 'how many compilers at once (one per core)' },
  },
  async run({ args, options }, tools) {
    storeHere(tools, 'kernel build');
    const { out } = tools;
    const { jobs, name, fragment: fragments } = options;
    if (jobs !== undefined && !(Number.isInteger(jobs) && jobs >= 1 && jobs <= 1024))
      throw new UsageError(`--jobs ${jobs}: a number of 1 or more`);
    const { readFragmentFile } = await loadBuilder();
    const order = {
      what: 'kernel' as const,
      series: args.version,
      fragments: await Promise.all(fragments.map((path) => readFragmentFile(path))),
      name: name ?? null,
      jobs: jobs ?? null,
    };
    const { what: _, ...done } = await build(order, tools);
    const { record, unmet, log, built } = done;
    await out.answer({ kernel: `${record.name}@${record.version}`, ...done }, () => [
      ...page([...recordPairs(record, built), ...(built ? [['log', log] as const] : [])], out.style),
      ...(unmet.length === 0
        ? []
        : [
            '',
            `not as asked (${unmet.length})`,
            ...table(
              ['option', 'asked', 'is', 'by', 'why'],
              unmet.map((one) => [one.option, one.asked, one.got ?? 'off', one.from, one.why]),
              out.style,
            ),
          ]),
    ]);
  },
});
