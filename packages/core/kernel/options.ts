/**
 * What is known of each option of a kernel, and how. Pure.
 *
 * A configuration, where there is one, answers everything. Without one, an option is claimed only when something in the kernel shows it:
 * a text that only its code holds, the format of the file, or that Kconfig leaves no choice. That a text is not there says something only
 * where the table says that every kernel with the option has it, and a text that would be beside it is there. All else is unknown.
 */
import type { KnownBy, KnownOption } from '@linstock/contract';
import { compareVersions, known, within } from '../versions.ts';
import type { Version } from '../versions.ts';
import { cleanText } from '../clean.ts';
import type { Banner } from './banner.ts';
import { configValue } from './config-text.ts';
import type { KernelConfig } from './config-text.ts';
import { isUsualArchive } from './contents.ts';
import type { EmbeddedArchive } from './contents.ts';
import { existsIn, optionFacts, whyAbsent } from './option-facts.ts';
import { besides, proofs, TABLES_UNTIL } from './proofs.ts';

export type OptionEvidence = {
  arch: string;
  banner: Banner | null;
  config: { by: 'ikconfig' | 'config-file'; file: string | null; config: KernelConfig } | null;
  /** What was looked for in the kernel proper; null when it could not be read. */
  proper: {
    hits: ReadonlyMap<string, readonly number[]>;
    /** Only an ELF file has notes: undefined for others. */
    pvhEntry: number | null | undefined;
    archive: EmbeddedArchive | null;
    configMarkAt: number | null;
  } | null;
};

/** Each of the options, in the order given. */
export function knowOptions(evidence: OptionEvidence, options: readonly string[]): KnownOption[] {
  const { config } = evidence;
  if (config !== null) return options.map((option) => inConfig(option, config, versionOf(evidence)));
  const found = withoutConfig(evidence);
  return options.map((option) => found.get(option) ?? unknown(option, whyUnknown(option, evidence)));
}

/** The options that the table has, sorted. */
export const knownOptions: readonly string[] = Object.keys(optionFacts).toSorted();

const versionOf = ({ banner }: OptionEvidence): Version | null => banner?.version ?? null;

function inConfig(option: string, source: NonNullable<OptionEvidence['config']>, version: Version | null): KnownOption {
  const { by, config } = source;
  const setting = config.values.get(option);
  if (setting === undefined) {
    if (version !== null && existsIn(option, version) === false) return answer(option, 'no', 'version', whyAbsent(option, version));
    return answer(option, 'no', by, 'it does not name the option, so it is off or cannot be chosen');
  }
  const value = ({ y: 'yes', m: 'module', n: 'no' } as const)[configValue(config, option)];
  const how = setting === 'n' ? `# CONFIG_${option} is not set` : `CONFIG_${option}=${cleanText(setting, 200)}`;
  return {
    ...answer(option, value, by, how),
    setting: /^[ymn]$/.test(setting) ? null : cleanText(setting, 200),
    builtIn: isBuiltIn(option, config),
  };
}

/** Code of an option that is on lies in a module all the same, when it belongs to one. */
function isBuiltIn(option: string, config: KernelConfig): boolean {
  if (configValue(config, option) !== 'y') return false;
  const fact = optionFacts[option];
  return fact === undefined || fact.tristate || fact.needs.every((one) => optionFacts[one]?.tristate !== true || isBuiltIn(one, config));
}

type Answers = Map<string, KnownOption>;

function withoutConfig(evidence: OptionEvidence): Answers {
  const answers: Answers = new Map();
  const { arch } = evidence;
  const version = versionOf(evidence);
  const tablesHold = version !== null && compareVersions(version, known(TABLES_UNTIL)) < 0;
  for (const [option, { always }] of Object.entries(optionFacts)) {
    const seen = proved(option, evidence);
    if (seen !== null) answers.set(option, seen);
    else if (version !== null && existsIn(option, version) === false)
      answers.set(option, answer(option, 'no', 'version', whyAbsent(option, version)));
    else if (always !== undefined && arch === 'x86-64' && tablesHold) answers.set(option, answer(option, 'yes', 'arch', always));
  }
  // Whether there are modules decides what the absence of a tristate option's code says, so it comes first.
  for (const option of ['MODULES', ...knownOptions]) {
    if (answers.has(option)) continue;
    const why = whyGone(option, evidence);
    if (why !== null)
      answers.set(option, mayBeModule(option, answers) ? notBuiltIn(option, why) : answer(option, 'no', 'absent-proved', why));
  }
  // What an option needs is what it needs on x86-64.
  if (arch !== 'x86-64') return answers;
  implyParents(answers);
  implyChildren(answers);
  return answers;
}

function proved(option: string, evidence: OptionEvidence): KnownOption | null {
  const { proper, banner } = evidence;
  const version = versionOf(evidence);
  if (proper !== null) {
    for (const { text } of version !== null && existsIn(option, version) === false ? [] : (proofs[option] ?? [])) {
      const at = proper.hits.get(text)?.[0];
      if (at !== undefined) return { ...answer(option, 'yes', 'proved-by', `${quoted(text)} is in it`), offset: at };
    }
    if (option === 'PVH' && typeof proper.pvhEntry === 'number')
      return answer(option, 'yes', 'proved-by', `it has the PVH note, entry 0x${proper.pvhEntry.toString(16)}`);
    if (option === 'IKCONFIG' && proper.configMarkAt !== null)
      return { ...answer(option, 'yes', 'proved-by', 'it holds the mark IKCFG_ST'), offset: proper.configMarkAt };
    if (option === 'BLK_DEV_INITRD' && proper.archive !== null) {
      const what = isUsualArchive(proper.archive) ? 'the small archive that every kernel with it has' : 'an embedded archive';
      return { ...answer(option, 'yes', 'proved-by', `it holds ${what}`), offset: proper.archive.from };
    }
  }
  if (option === 'SMP' && banner?.flags.includes('SMP') === true) return answer(option, 'yes', 'proved-by', 'its banner says SMP');
  return null;
}

/** Also the code of an option that is only on or off may lie in a module: in that of an option which it needs. */
function mayBeModule(option: string, answers: Answers): boolean {
  if (answers.get('MODULES')?.value === 'no') return false;
  const fact = optionFacts[option];
  const inModule = (one: string): boolean => optionFacts[one]?.tristate === true && answers.get(one)?.builtIn !== true;
  return fact?.tristate === true || fact?.needs.some(inModule) === true;
}

function notBuiltIn(option: string, why: string): KnownOption {
  return { ...unknown(option, `${why}, so it is not built in; it may be a module`), builtIn: false, by: 'absent-proved' };
}

/** Why the absence of what an option puts into a kernel says that it is not built in; null where it says nothing. */
function whyGone(option: string, { proper, banner, arch }: OptionEvidence): string | null {
  // Elsewhere an option of the same name may be other code.
  if (proper === null || arch !== 'x86-64') return null;
  if (option === 'PVH' && proper.pvhEntry === null) return 'it has no PVH note';
  if (option === 'IKCONFIG' && proper.configMarkAt === null) return 'it has no mark IKCFG_ST';
  if (option === 'SMP' && banner !== null && banner.buildNumber !== null) return 'its banner does not say SMP';
  const version = banner?.version ?? null;
  const proof = proofs[option];
  if (proof === undefined || version === null) return null;
  for (const { text, kind, always } of proof) {
    if (always === undefined || !within(version, [always])) continue;
    const control = besides[kind].find((one) => (proper.hits.get(one)?.length ?? 0) > 0);
    if (control !== undefined) return `${quoted(text)} is not in it, ${quoted(control)} is`;
  }
  return null;
}

/** What is proved to be in the kernel cannot be there without what it needs. */
function implyParents(answers: Answers): void {
  const queue = [...answers.values()].filter(({ by, builtIn }) => builtIn === true && by === 'proved-by').map(({ option }) => option);
  for (let option = queue.pop(); option !== undefined; option = queue.pop()) {
    for (const parent of optionFacts[option]?.needs ?? []) {
      if (answers.get(parent)?.builtIn === true) continue;
      answers.set(parent, answer(parent, 'yes', 'implied', `${option} is in the kernel and needs it`));
      queue.push(parent);
    }
  }
}

function implyChildren(answers: Answers): void {
  for (let changed = true; changed;) {
    changed = false;
    for (const [option, { needs }] of Object.entries(optionFacts)) {
      const now = answers.get(option);
      if (now?.value === 'no' || now?.builtIn === true) continue;
      const parent = needs.find((one) => answers.get(one)?.value === 'no');
      if (parent === undefined) continue;
      answers.set(option, answer(option, 'no', 'implied', `it needs ${parent}, which is off`));
      changed = true;
    }
  }
}

function answer(option: string, value: KnownOption['value'], by: KnownBy, how: string): KnownOption {
  return { option, value, setting: null, builtIn: value === 'unknown' ? null : value === 'yes', by, how, offset: null };
}

function unknown(option: string, how: string): KnownOption {
  return answer(option, 'unknown', 'nothing', how);
}

function whyUnknown(option: string, { proper }: OptionEvidence): string {
  if (proper === null) return 'the kernel inside of the file could not be read';
  if (proofs[option] !== undefined) return 'no text of it is there, and that says nothing here';
  return 'there is no configuration, and nothing else in a kernel shows this option';
}

/** As C would write it, so that it can be searched for. */
export function quoted(text: string): string {
  return `"${text.replaceAll('\0', '\\0').replaceAll('\n', '\\n')}"`;
}

/** All texts that are worth looking for, each once. */
export const allNeedles: readonly string[] = [
  ...new Set([...Object.values(proofs).flatMap((needles) => needles.map(({ text }) => text)), ...Object.values(besides).flat()]),
];

/**
 * Where what is in the kernel and what a configuration says of it are not the same; null when nothing contradicts. Modules are not in the
 * kernel, so only built in against not built in can be seen.
 */
export function contradiction(evidence: OptionEvidence, config: KernelConfig): string | null {
  for (const { option, builtIn, by, how } of withoutConfig({ ...evidence, config: null }).values()) {
    if ((by !== 'proved-by' && by !== 'absent-proved') || builtIn === null || isBuiltIn(option, config) === builtIn) continue;
    const set = config.values.get(option);
    return `it says ${set === undefined || set === 'n' ? `${option} is off` : `CONFIG_${option}=${cleanText(set, 60)}`}, and the kernel shows otherwise: ${how}`;
  }
  return null;
}
