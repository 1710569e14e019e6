/** PID 1: whether the kernel can start it. */
import { argOf } from '../context.ts';
import { FALLBACKS } from '../facts/init.ts';
import { obstacle } from '../facts/program.ts';
import type { Rule } from './rule.ts';

export const initRules: readonly Rule[] = [
  {
    id: 'init.unusable',
    severity: 'error',
    finds: 'the program that becomes PID 1 is missing, not executable, for another processor, or lacks its loader or interpreter',
    why: 'The kernel cannot execute it.',
    fix: 'Put an executable init for x86-64 there, with its loader and interpreter, or name another with init=.',
    predicts: 'Kernel panic - not syncing: No working init found.',
    refutes: 'init.finished',
    look: ({ init, fallbackInit }) => {
      const wrong = obstacle(init.program);
      if (wrong === null) return [];
      const path = init.program.is === 'there' ? init.program.path : init.path;
      if (init.named) {
        return [
          {
            path,
            what: `${init.path}, which init= names, cannot become PID 1: ${wrong.what}.`,
            predicts: `Kernel panic - not syncing: Requested init ${init.path} failed (error ${wrong.error}).`,
          },
        ];
      }
      return [
        {
          path,
          what: `${init.path} cannot become PID 1: ${wrong.what}.`,
          ...(fallbackInit === null
            ? {}
            : {
                predicts: `The kernel tries ${FALLBACKS.join(', ')} in its place and starts ${fallbackInit} as PID 1: Run ${fallbackInit} as init process.`,
              }),
        },
      ];
    },
  },
  {
    id: 'init.no-target',
    severity: 'error',
    finds: 'systemd finds no default target',
    why: 'systemd starts what its default target asks for; without one it falls back to rescue.target, a shell on the console.',
    fix: 'Link /etc/systemd/system/default.target to /usr/lib/systemd/system/multi-user.target.',
    predicts: 'Unit default.target not found., then Falling back to rescue.target.',
    refutes: 'init.finished',
    look: ({ systemd }, context) =>
      systemd === null || systemd.boot.target !== null
        ? []
        : [{ path: '/etc/systemd/system/default.target', what: `There is no unit ${argOf(context, 'systemd.unit') ?? 'default.target'}.` }],
  },
];
