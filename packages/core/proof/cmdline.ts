import type { EvidenceLine } from '@linstock/contract';
import { compareArgs, understood, type ArgsComparison } from '../cmdline-compare.ts';
import { knowsCommandLine, tokensAsked, type Asked } from './asked.ts';
import { agentSays, byKernel, consoleSays, guestFacts, proved, refuted, unknown, whyNoAgent, type Finding } from './condition.ts';
import { kernelVersion } from './kernel.ts';
import { netAddress } from './network.ts';
import type { Sight } from './sight.ts';

const list = (items: readonly string[]): string => items.join(' ');

/** What differs, as sentences; empty when nothing does. */
function differences(c: ArgsComparison): string[] {
  const doubled = c.doubled.filter((d) => !d.planned);
  return [
    ...(c.missing.length > 0 ? [`missing: ${list(c.missing)}`] : []),
    ...c.changed.map((x) => `changed: ${x.expected} is ${x.effective}`),
    ...(c.added.length > 0 ? [`added by somebody else: ${list(c.added)}`] : []),
    ...doubled.map((d) => `doubled: ${list(d.texts)} (for most parameters the last one counts)`),
  ];
}

/** cmdline.effective: requested tokens against the kernel's own line and /proc/cmdline. */
export function cmdlineEffective(asked: Asked, sight: Sight): Finding {
  if (!knowsCommandLine(asked))
    return unknown(
      'the command line of the launch plan',
      'the launch plan of this boot is not there',
      'The folder of this boot: without its plan nothing tells what was asked.',
    );
  const tokens = tokensAsked(asked);
  const expected = `exactly these ${tokens.length} tokens: ${list(tokens.map((t) => t.text))}`;
  const next =
    'The command line in the launch plan of this boot: an older controller may still run, the template may be another version, or the kernel may have arguments built in (CONFIG_CMDLINE).';
  const compare = (effective: string, effectiveIsCut: boolean): ArgsComparison =>
    compareArgs({ ...asked.commandLine, effective, effectiveIsCut });

  const line = byKernel(sight.console.commandLine);
  const evidence: EvidenceLine[] = [];
  let whole = false;
  let note = '';
  if (line) {
    let comparison = compare(line.args, false);
    // printk cuts long lines without a sign; only a line that differs needs that excuse
    const cut = line.cut && differences(comparison).length > 0;
    if (cut) comparison = compare(line.args, true);
    evidence.push(consoleSays(line));
    const wrong = differences(comparison);
    if (wrong.length > 0) return refuted(expected, wrong.join('; '), evidence, next);
    whole = !cut || comparison.unseen.length === 0;
    if (!whole) note = `the console shows the line up to where printk cuts it; not seen there: ${list(comparison.unseen)}`;
    else if (comparison.reordered) note = 'in another order';
  }
  const proc = guestFacts(sight)?.cmdline ?? null;
  if (proc !== null) {
    evidence.push(agentSays(sight, `/proc/cmdline: ${proc.trim()}`));
    const wrong = differences(compare(proc, false));
    if (wrong.length > 0) return refuted(expected, `/proc/cmdline: ${wrong.join('; ')}`, evidence, next);
    whole = true;
  }
  const [first, ...rest] = evidence;
  if (first === undefined)
    return unknown(
      expected,
      `the console shows no command line, and ${whyNoAgent(sight)}`,
      'The first console lines: quiet hides the command line; then /proc/cmdline through the agent.',
    );
  if (!whole) return unknown(expected, note, '/proc/cmdline through the agent, which is never cut.', evidence);
  return proved(expected, `as asked${note === '' ? '' : `, ${note}`}`, [first, ...rest]);
}

/** cmdline.understood: the kernel names none of what was asked as unknown, or somebody else is known to read it. */
export function cmdlineUnderstood(asked: Asked, sight: Sight): Finding {
  const tokens = tokensAsked(asked);
  const expected = 'the kernel knows each argument, or somebody else is known to read it';
  if (!knowsCommandLine(asked))
    return unknown(
      expected,
      'the launch plan of this boot is not there',
      'The folder of this boot: without its plan nothing tells what was asked.',
    );
  const line = byKernel(sight.console.unknownParameters);
  const dotted = tokens.filter((t) => t.key.includes('.')).map((t) => t.key);
  const silent = dotted.length > 0 ? `; names with a dot are never listed by the kernel: ${list(dotted)}` : '';
  if (line) {
    const applied = addressIsThere(asked, sight) ? ['ip'] : [];
    const { userspaceArgs } = asked.golden;
    const said = understood({ unknownTokens: line.tokens, given: tokens.map((t) => t.text), userspaceArgs, applied });
    const read = said.readBy.map((r) => `${r.token} is not a parameter of this kernel and is for ${r.reader}`).join('; ');
    if (said.ignored.length > 0) {
      return refuted(
        expected,
        `without effect: ${list(said.ignored)}${read === '' ? '' : `; ${read}`}`,
        [consoleSays(line)],
        `Whether the kernel has the option behind ${said.ignored[0] ?? 'it'} (linstock kernel check), and the spelling; if the image reads it itself, its manifest must name it in userspaceArgs.`,
      );
    }
    if (line.cut)
      return unknown(
        expected,
        `printk cut the list of unknown parameters${read === '' ? '' : `; ${read}`}`,
        'The environment of PID 1 (/proc/1/environ): the kernel puts unknown tokens there.',
        [consoleSays(line)],
      );
    const rest: EvidenceLine[] = said.readBy.map((r) => ({ source: 'golden', text: `${r.token}: ${r.reader}; ${r.why}` }));
    return proved(expected, `${read === '' ? 'the kernel names only tokens that nobody asked for' : read}${silent}`, [
      consoleSays(line),
      ...rest,
    ]);
  }
  const version = kernelVersion(asked, sight);
  // "Unknown kernel command line parameters" came with 5.14 (init/main.c, commit 86d1919232c8)
  if (!version || version[0] < 5 || (version[0] === 5 && version[1] < 14)) {
    return unknown(
      expected,
      `Linux ${version ? version.join('.') : 'of unknown version'} does not say which arguments it does not know; 5.14 and later do`,
      'Each argument against the documentation and the config of this kernel (linstock kernel check).',
    );
  }
  const cmdline = byKernel(sight.console.commandLine);
  // the list would be the next message of the same level: who shows the one shows the other
  if (cmdline?.form === 'saved' && sight.console.lines > cmdline.line) {
    return proved(expected, `the kernel prints its command line and names none of it as unknown${silent}`, [consoleSays(cmdline)]);
  }
  return unknown(
    expected,
    'the console does not show messages of the level at which the kernel would complain',
    'The console without quiet and with loglevel 6 or more.',
  );
}

/** Nothing but ip= tells a guest its leased address: when it has it, somebody has read that argument. */
function addressIsThere(asked: Asked, sight: Sight): boolean {
  const { ipConfig } = sight.console;
  return netAddress(asked, sight).verdict === 'proved' || (ipConfig?.by === 'initrd' && ipConfig.address === asked.wiring.address);
}
