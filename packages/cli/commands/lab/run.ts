import { command, UsageError } from '../../command.ts';

export const labRun = command({
  path: ['lab', 'run'],
  summary: 'Break one thing at a time on real guests, and see whether the diagnosis finds it (the front door `./linstock lab run` does it)',
  args: { words: { kind: 'rest', doc: 'names of scenarios, and --list, --fast, --json, --keep DIR; all scenarios when none is named' } },
  options: {},
  // The front door starts lab/main.ts in our place: it needs the whole clone, and no controller.
  run: (_, tools) => Promise.reject(new UsageError(`the lab is started by the front door: ${tools.environment.clone}/linstock lab run`)),
});
