import type { Goal } from '@linstock/contract';
import type { ActOptions, Changed, Vms } from '@linstock/sdk';
import { command, goalOf, waitOptions, withinMsOf, type Command } from '../../command.ts';
import { settled, watching } from '../../vm-page.ts';

type Act = (vms: Vms, vm: string, options: ActOptions) => Promise<Changed>;

/** stop, start, pause, resume, verify and delete differ in a word and in what "done" means. */
export function vmAction(verb: string, summary: string, done: Goal, act: Act): Command {
  return command({
    path: ['vm', verb],
    summary,
    args: { vm: { kind: 'text', doc: 'name or id' } },
    options: { ...waitOptions, ifVersion: { kind: 'number', flag: '--if-version <n>', doc: 'only if the VM is still at this version' } },
    async run({ args, options }, tools) {
      const until = goalOf(options.wait, done);
      const api = await tools.api();
      const changed = await act(api.vms, args.vm, {
        signal: tools.signal,
        withinMs: withinMsOf(options.timeout),
        ...(until === undefined ? {} : { until, ...watching(tools) }),
        ...(options.ifVersion === undefined ? {} : { ifMatch: options.ifVersion }),
      });
      return settled(tools, changed, until);
    },
  });
}
