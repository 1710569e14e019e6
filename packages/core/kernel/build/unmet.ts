/** Options that a configuration has otherwise than they were asked for, each with the reason. Pure. */
import type { UnmetOption } from '@linstock/contract';
import type { KernelConfig } from '../config-text.ts';
import { lackingIn, valueOf, wordsOf } from './expression.ts';
import type { Setting } from './expression.ts';
import type { Asked } from './fragment.ts';
import type { Definition, Kconfig } from './kconfig.ts';

const MAX_NAMED = 5;

export function unmetOptions(
  asked: ReadonlyMap<string, Asked & { from: string }>,
  config: KernelConfig,
  kconfig: Kconfig,
  version: string,
): UnmetOption[] {
  const unmet: UnmetOption[] = [];
  for (const { option, value, from } of asked.values()) {
    const got = config.values.get(option) ?? null;
    if (isMet(value, got)) continue;
    unmet.push({ option, asked: value, got, from, ...reasonOf(option, value, got, config, kconfig, version) });
  }
  return unmet;
}

function isMet(asked: string, got: string | null): boolean {
  if (got === null) return asked === 'n' || asked === '""';
  if (asked.startsWith('"')) return got === asked.slice(1, -1).replaceAll(/\\(["\\])/g, '$1');
  if (got === asked) return true;
  return /^(?:-?\d|0x)/i.test(asked) && got !== '' && Number(got) === Number(asked);
}

type Reason = Pick<UnmetOption, 'by' | 'why'>;

function reasonOf(option: string, asked: string, got: string | null, config: KernelConfig, kconfig: Kconfig, version: string): Reason {
  const definitions = kconfig.definitions.get(option);
  if (definitions === undefined) return { by: 'no-such-option', why: `Linux ${version} has no option of this name` };
  const setting: Setting = (name) => config.values.get(name);
  const isOn = got === 'y' || got === 'm';
  if (asked === 'm' && setting('MODULES') !== 'y') return { by: 'dependency', why: 'MODULES is off, so that nothing can be a module' };
  if (asked === 'n' || (asked === 'm' && got === 'y')) return whyOn(option, definitions, setting, kconfig);
  if (asked === 'y' || asked === 'm' || got === null) {
    const off = whyOff(option, asked === 'm' ? 'm' : 'y', definitions, setting, kconfig);
    if (off !== null) return off;
  }
  const range = definitions.find((one) => one.range !== null)?.range;
  if (range !== undefined && range !== null && !isOn)
    return { by: 'range', why: `it must be in the range ${range.replaceAll(/[A-Z]\w*/g, (name) => setting(name) ?? name)}` };
  if (asked === 'm' || asked === 'y')
    return { by: 'unknown', why: 'nothing in the Kconfig files that was understood here says why it was left out' };
  return { by: 'unknown', why: 'Kconfig gave it another value, and why was not understood here' };
}

function whyOn(option: string, definitions: readonly Definition[], setting: Setting, kconfig: Kconfig): Reason {
  const by = (kconfig.selectors.get(option) ?? [])
    .filter((one) => isSet(setting(one.by)) && (one.when === null || valueOf(one.when, setting) !== 'n'))
    .map((one) => one.by);
  if (by.length > 0) return { by: 'selected', why: `selected by ${listed(by)}, which ${by.length === 1 ? 'is' : 'are'} on` };
  if (definitions.every((one) => !canBeAsked(one, setting)))
    return { by: 'hidden', why: 'nobody is asked about it here: its default decides' };
  if (definitions.some(({ choice }) => choice !== null))
    return { by: 'choice', why: 'one of its choice must be on, and no other one is asked for' };
  return { by: 'unknown', why: 'nothing in the Kconfig files that was understood here says why it is on' };
}

function whyOff(option: string, least: 'm' | 'y', definitions: readonly Definition[], setting: Setting, kconfig: Kconfig): Reason | null {
  // Of several places that define it the one that is nearest to being met.
  const lacking = definitions
    .map(({ depends }) => [...new Set(depends.flatMap((one) => lackingIn(one, setting, least)))])
    .toSorted((a, b) => a.length - b.length)[0];
  if (lacking !== undefined && lacking.length > 0) return { by: 'dependency', why: `it depends on what is not met: ${lacking.join('; ')}` };
  const { choice } = definitions.find((one) => one.choice !== null) ?? { choice: null };
  const chosen = choice === null ? undefined : kconfig.choices[choice]?.find((one) => one !== option && isSet(setting(one)));
  if (chosen !== undefined) return { by: 'choice', why: `of its choice ${chosen} is on, and only one can be` };
  if (definitions.every((one) => !canBeAsked(one, setting))) {
    const conditions = definitions.flatMap(({ prompt }) => (prompt?.when ? [wordsOf(prompt.when)] : []));
    const selectors = (kconfig.selectors.get(option) ?? []).map((one) => one.by);
    const only = selectors.length === 0 ? 'its default decides' : `it is on where one of these is: ${listed(selectors)}`;
    const why = conditions.length === 0 ? 'nobody is asked about it' : `nobody is asked about it unless ${conditions.join(' or ')}`;
    return { by: 'hidden', why: `${why}; ${only}` };
  }
  return null;
}

function canBeAsked({ prompt }: Definition, setting: Setting): boolean {
  return prompt !== null && (prompt.when === null || valueOf(prompt.when, setting) !== 'n');
}

function isSet(value: string | undefined): boolean {
  return value === 'y' || value === 'm';
}

function listed(names: readonly string[]): string {
  const unique = [...new Set(names)];
  return unique.length <= MAX_NAMED ? unique.join(', ') : `${unique.slice(0, MAX_NAMED).join(', ')} and ${unique.length - MAX_NAMED} more`;
}
