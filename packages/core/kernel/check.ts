/**
 * A kernel against what a VMM, a transport and the programs of an image need. Pure.
 *
 * A requirement is missing only when that is known; what is not known is said to be unknown, with what would settle it. An option that the
 * kernel's version has not got cannot be missing.
 */
import type { GoldenManifest, JudgedRequirement, KernelCheck, KernelReport, KnownOption } from '@linstock/contract';
import { compareVersions, known, within } from '../versions.ts';
import type { Version } from '../versions.ts';
import { versionOfRelease } from './banner.ts';
import { noParts } from './no-parts.ts';
import { existsIn, whyAbsent } from './option-facts.ts';
import type { Enough, Need, Requirement, Transport } from './requirement.ts';
import { askable, requirements } from './requirements.ts';

/** `version` null for QEMU, whose microvm asks the same of a kernel in all versions that Linstock runs. */
export type CheckTarget = ({ vmm: 'firecracker'; version: Version } & ForImage) | ({ vmm: 'qemu'; version: null } & ForImage);
type ForImage = {
  transport: Transport;
  needs: readonly string[];
  /** options that a golden version requires by its manifest */
  golden?: { name: string; requires: readonly string[] };
};

/** What a golden version asks of the kernel that its guests run, another than its own perhaps. */
export function needsOfGolden(golden: GoldenManifest): { needs: string[]; golden: { name: string; requires: readonly string[] } } {
  const { agent, bootArgs, initrd, requires, rootfs } = golden;
  const needs = [
    ...(agent ? ['agent'] : []),
    ...(initrd === null ? [] : ['initrd']),
    ...(bootArgs.some((arg) => arg.startsWith('ip=')) ? ['ip-autoconfig'] : []),
    ...(Object.hasOwn(askable, rootfs.fstype) ? [rootfs.fstype] : []),
  ];
  return { needs, golden: { name: `${golden.name}@${golden.version}`, requires } };
}

/** Options that a check reads: the report must hold them. */
export const checkedOptions: readonly string[] = [
  ...new Set([...requirements.flatMap(({ need }) => optionsOf(need)), ...noParts.map(({ option }) => option)]),
];

export function checkKernel(kernel: KernelReport, target: CheckTarget): KernelCheck {
  const states = new Map(kernel.options.map((one) => [one.option, one]));
  const version = kernel.release === null ? null : versionOfRelease(kernel.release);
  const judge = new Judge(states, kernel.banner ?? '', version, {
    initrd: target.needs.includes('initrd'),
    embedded: kernel.initrd.embedded === 'yes',
  });
  const forms = formRequirements(kernel, target);
  const fits = forms.every(({ id, verdict }) => id !== 'arch' || verdict === 'met');
  // What Kconfig offers, and so this table, is that of x86-64.
  const asked = [...requirements.filter((one) => applies(one, target)), ...requiredByGolden(target)];
  const judged = fits ? [...forms, ...asked.map((one) => judge.requirement(one))] : forms;
  const required = judged.filter(({ level }) => level === 'required');
  return {
    kernel,
    target: {
      vmm: target.vmm,
      version: target.version?.text ?? null,
      transport: target.transport,
      needs: [...target.needs],
      golden: target.golden?.name ?? null,
    },
    verdict: required.some(({ verdict }) => verdict === 'missing')
      ? 'missing'
      : required.some(({ verdict }) => verdict === 'unknown')
        ? 'unknown'
        : 'fits',
    requirements: judged,
    noPart: fits
      ? noParts
          .filter((one) => (one.transport ?? target.transport) === target.transport)
          .map(({ option, why }) => ({ option, found: judge.short(option), why }))
      : [],
  };
}

function requiredByGolden({ golden }: CheckTarget): Requirement[] {
  if (golden === undefined) return [];
  return golden.requires.map((option) => ({
    id: 'golden',
    level: 'required',
    need: option,
    enough: 'module',
    when: {},
    why: `the manifest of ${golden.name} requires it`,
    symptom: 'the condition kernel.config of its proof is refuted',
    source: `linstock golden show ${golden.name}`,
  }));
}

function applies({ when }: Requirement, target: CheckTarget): boolean {
  return (
    (when.vmm ?? target.vmm) === target.vmm &&
    (when.transport ?? target.transport) === target.transport &&
    (when.versions === undefined || (target.version !== null && within(target.version, [when.versions]))) &&
    (when.asked === undefined || target.needs.includes(when.asked)) &&
    (when.unless === undefined || !when.unless.some((one) => target.needs.includes(one)))
  );
}

export function optionsOf(need: Need): readonly string[] {
  if (typeof need === 'string') return [need];
  if ('off' in need) return [need.off];
  if ('banner' in need) return [];
  return ('all' in need ? need.all : need.any).flatMap(optionsOf);
}

const INITRD_MOUNTS = 'no line "Unable to mount root fs": the initrd looks for the root, and says itself what it could not do';

/** `absent`: the kernel's version has no such option. */
type State = 'yes' | 'no' | 'unknown' | 'absent';

class Judge {
  readonly #states: ReadonlyMap<string, KnownOption>;
  readonly #banner: string;
  readonly #version: Version | null;
  readonly #initrd: boolean;
  readonly #embedded: boolean;

  constructor(
    states: ReadonlyMap<string, KnownOption>,
    banner: string,
    version: Version | null,
    has: { initrd: boolean; embedded: boolean },
  ) {
    this.#states = states;
    this.#banner = banner;
    this.#version = version;
    this.#initrd = has.initrd;
    this.#embedded = has.embedded;
  }

  requirement({ id, level, need, enough, why, symptom, atRoot, source }: Requirement): JudgedRequirement {
    const shows = atRoot === true && (this.#initrd || this.#embedded) ? INITRD_MOUNTS : symptom;
    const verdict = ({ yes: 'met', no: 'missing', unknown: 'unknown', absent: 'not-applicable' } as const)[this.#state(need, enough)];
    return {
      id,
      level,
      verdict,
      needs: wordsOf(need, true),
      found: this.found(optionsOf(need)),
      why,
      symptom: verdict === 'met' || verdict === 'not-applicable' ? null : shows,
      next: this.#next(verdict, need, enough),
      source,
    };
  }

  /** One word, or why there is no such option. */
  short(option: string): string {
    return this.#isAbsent(option) && this.#version !== null ? whyAbsent(option, this.#version) : this.#kindOf(option);
  }

  /** What decides first: what is off, with how that is known; then by name what is not known, and what is there. */
  found(options: readonly string[]): string {
    const names = [...new Set(options)];
    const of = (...kinds: readonly string[]): string[] => names.filter((option) => kinds.includes(this.#kindOf(option)));
    const [unknown, there] = [of('unknown'), of('yes')];
    return [
      ...of('absent', 'no', 'not built in', 'module').map((option) => this.#foundOf(option)),
      ...(unknown.length === 0 ? [] : [`unknown: ${unknown.join(', ')}`]),
      ...(there.length === 0 ? [] : [names.length === 1 ? this.#foundOf(there[0] ?? '') : `there: ${there.join(', ')}`]),
    ].join('; ');
  }

  #kindOf(option: string): 'absent' | 'yes' | 'module' | 'no' | 'not built in' | 'unknown' {
    if (this.#isAbsent(option)) return 'absent';
    const state = this.#states.get(option);
    return state?.value === 'unknown' && state.builtIn === false ? 'not built in' : (state?.value ?? 'unknown');
  }

  #foundOf(option: string): string {
    if (this.#isAbsent(option) && this.#version !== null) return `${option}: ${whyAbsent(option, this.#version)}`;
    return `${option}: ${this.#kindOf(option)} (${this.#states.get(option)?.how ?? ''})`;
  }

  #isAbsent(option: string): boolean {
    return this.#version !== null && existsIn(option, this.#version) === false && this.#states.get(option)?.value !== 'yes';
  }

  #state(need: Need, enough: Enough): State {
    if (typeof need === 'string') return this.#stateOf(need, enough);
    if ('off' in need) {
      const value = this.#states.get(need.off)?.value ?? 'unknown';
      return value === 'unknown' ? 'unknown' : value === 'no' ? 'yes' : 'no';
    }
    if ('banner' in need) return need.banner.test(this.#banner) ? 'yes' : 'no';
    const [parts, decides, other] = 'all' in need ? ([need.all, 'no', 'yes'] as const) : ([need.any, 'yes', 'no'] as const);
    const states = parts.map((part) => this.#state(part, enough));
    if (states.includes(decides)) return decides;
    return states.includes('unknown') ? 'unknown' : other;
  }

  #stateOf(option: string, enough: Enough): State {
    if (this.#isAbsent(option)) return 'absent';
    const state = this.#states.get(option);
    const moduleWillDo = enough === 'module' || (enough === 'initrd' && this.#initrd);
    switch (state?.value) {
      case 'yes':
        return 'yes';
      case 'module':
        return moduleWillDo ? 'yes' : 'no';
      case 'no':
        return 'no';
      default:
        return state?.builtIn === false && !moduleWillDo ? 'no' : 'unknown';
    }
  }

  #next(verdict: JudgedRequirement['verdict'], need: Need, enough: Enough): string | null {
    if (verdict === 'unknown') return 'give its configuration with --config, or look on the console of a boot';
    if (verdict !== 'missing') return null;
    const lacking = this.#lacking(need, enough) ?? need;
    const build = `build the kernel with ${wordsOf(lacking, false)}`;
    const inModules = optionsOf(lacking).every((option) => ['module', 'not built in'].includes(this.#kindOf(option)));
    return enough === 'initrd' && inModules ? `${build}, or load the module from an initrd and check with --needs initrd` : build;
  }

  /** The part of a need that is not met; null when it is. Of alternatives, all. */
  #lacking(need: Need, enough: Enough): Need | null {
    if (this.#state(need, enough) !== 'no') return null;
    if (typeof need === 'string' || !('all' in need)) return need;
    const parts = need.all.flatMap((part) => this.#lacking(part, enough) ?? []);
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { all: parts };
  }
}

/** In words for people; an option as Kconfig writes it. */
function wordsOf(need: Need, short: boolean): string {
  if (typeof need === 'string') return short ? need : `CONFIG_${need}=y`;
  if ('off' in need) return `no ${need.off}`;
  if ('banner' in need) return need.means;
  const [parts, word] = 'all' in need ? [need.all, ' and '] : [need.any, ' or '];
  return parts
    .map((part) => (typeof part === 'object' && ('all' in part || 'any' in part) ? `(${wordsOf(part, short)})` : wordsOf(part, short)))
    .join(word);
}

const BZIMAGE_SINCE = '1.17.0';

/** What is asked of the file itself, before any option. */
function formRequirements(kernel: KernelReport, target: CheckTarget): JudgedRequirement[] {
  const judged = (
    row: Pick<JudgedRequirement, 'id' | 'verdict' | 'needs' | 'found' | 'why' | 'source'> & Partial<JudgedRequirement>,
  ): JudgedRequirement => ({ level: 'required', ...row, symptom: row.symptom ?? null, next: row.next ?? null });
  const rows = [
    judged({
      id: 'arch',
      verdict: kernel.arch === 'x86-64' ? 'met' : 'missing',
      needs: 'x86-64',
      found: kernel.arch,
      why: 'Linstock runs x86-64 guests, and its tables are those of x86-64',
      source: 'docs/limits.md',
    }),
  ];
  if (target.vmm === 'firecracker') {
    const bare = kernel.format === 'ELF vmlinux' && kernel.wrapped === null;
    const packedWillDo =
      compareVersions(target.version, known(BZIMAGE_SINCE)) >= 0 && kernel.format === 'bzImage' && kernel.wrapped === null;
    rows.push(
      judged({
        id: 'format',
        verdict: bare || packedWillDo ? 'met' : 'missing',
        needs: 'an uncompressed ELF vmlinux',
        found: `${kernel.wrapped === null ? '' : `${kernel.wrapped}-compressed `}${kernel.format}`,
        why: 'Firecracker up to 1.16.1 loads nothing else on x86-64; golden images keep the vmlinux that Linstock takes out of a bzImage',
        symptom: bare || packedWillDo ? null : 'InstanceStart answers 400: Invalid Elf magic number',
        next: bare || packedWillDo ? null : 'take the vmlinux out of it with extract-vmlinux (Linux scripts/), or build the target vmlinux',
        source: 'Firecracker docs/rootfs-and-kernel-setup.md',
      }),
      policyRow(kernel, target.version),
    );
  } else {
    const pvh = kernel.boot.find(({ protocol }) => protocol === 'PVH');
    rows.push(
      judged({
        id: 'pvh',
        verdict: kernel.unreadable !== null || pvh === undefined ? 'unknown' : pvh.works ? 'met' : 'missing',
        needs: 'a PVH entry (PVH)',
        found: kernel.unreadable ?? pvh?.detail ?? 'unknown',
        why: 'QEMU starts an ELF kernel by it, and Linstock takes the ELF kernel out of a bzImage',
        symptom: pvh?.works === true ? null : 'QEMU ends with 1: Error loading uncompressed kernel without PVH ELF Note',
        next: pvh?.works === true ? null : 'build the kernel with CONFIG_PVH=y (Linux 5.0 and newer)',
        source: 'QEMU hw/i386/x86.c',
      }),
    );
  }
  return rows;
}

/** Guest kernels that each Firecracker is tested with. */
const TESTED: readonly { kernel: string; from: string; until?: string }[] = [
  { kernel: '4.14', from: '1.0.0', until: '1.10.0' },
  { kernel: '5.10', from: '1.0.0' },
  { kernel: '6.1', from: '1.9.0' },
  { kernel: '6.18', from: '1.16.1' },
];

function policyRow(kernel: KernelReport, version: Version): JudgedRequirement {
  const tested = TESTED.filter((span) => within(version, [span])).map((one) => one.kernel);
  const own = kernel.release === null ? null : versionOfRelease(kernel.release);
  const line = own === null ? null : `${own.major}.${own.minor}`;
  return {
    id: 'tested-version',
    level: 'advised',
    verdict: line === null ? 'unknown' : tested.includes(line) ? 'met' : 'missing',
    needs: `Linux ${tested.join(', ')}`,
    found: kernel.release ?? 'unknown',
    why: `Firecracker ${version.text} is tested with these guest kernels; others may work`,
    symptom: null,
    next: null,
    source: 'Firecracker docs/kernel-policy.md',
  };
}
