/** Units that systemd will try to start and that cannot work. */
import type { Rule } from './rule.ts';

export const unitsRules: readonly Rule[] = [
  {
    id: 'units.program-absent',
    severity: 'warning',
    finds: 'a unit that the boot starts runs a program that is not there or cannot be executed',
    why: 'The unit fails at once, whatever else is right.',
    fix: 'Install the program, correct ExecStart=, or disable the unit.',
    predicts:
      'A unit of Type=simple (the usual one) is said to be Started nevertheless, then it is failed with status=203/EXEC; others: Failed to start …',
    refutes: 'init.finished',
    look: ({ unitTroubles }) =>
      unitTroubles
        .filter(({ kind }) => kind === 'program')
        .map(({ unit, path, line, what }) => ({ path, line, what: `${unit} cannot start: ${what}.` })),
  },
  {
    id: 'units.environment-absent',
    severity: 'warning',
    finds: 'a unit that the boot starts reads an environment file that is not there',
    why: 'systemd does not start a unit without it, unless a - stands before its name.',
    fix: 'Make the file, or write EnvironmentFile=-/path.',
    predicts: 'Failed to load environment files: No such file or directory',
    refutes: 'init.finished',
    look: ({ unitTroubles }) =>
      unitTroubles
        .filter(({ kind }) => kind === 'environment')
        .map(({ unit, path, line, what }) => ({ path, line, what: `${unit} cannot start: ${what}.` })),
  },
  {
    id: 'units.enabled-and-absent',
    severity: 'warning',
    finds: 'a unit is enabled, and the image has no such unit',
    why: 'The link is left over, or leads to a place that is not in the image. systemd passes over it without a word on the console.',
    fix: 'Install the unit file, or remove the link.',
    predicts: 'Nothing at the boot: the service is just not there',
    refutes: null,
    look: ({ systemd }) =>
      systemd?.boot.missing.map(({ name, path }) => ({ path, what: `It enables ${name}, and there is no such unit.` })) ?? [],
  },
];
