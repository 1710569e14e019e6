import type { Because, Cause, Diagnosis, EvidenceDocument } from '@linstock/contract';
import { entryOf, layerOf } from './catalogue.ts';
import type { Evidence } from './evidence.ts';
import { missingOf } from './gaps.ts';
import { benignOf, ruledOutOf } from './noise.ts';
import { pictureOf, type Picture } from './picture.ts';
import { rank } from './rank.ts';
import { readDocuments } from './read/documents.ts';
import { control } from './rules/control.ts';
import { guestNet } from './rules/guest-net.ts';
import { hostNet } from './rules/host-net.ts';
import { imageState } from './rules/image.ts';
import { rootDisk } from './rules/root-disk.ts';
import type { Finding, Rule } from './rules/rule.ts';
import { services } from './rules/services.ts';
import { snapshots } from './rules/snapshots.ts';
import { startUp } from './rules/start-up.ts';
import { vmm } from './rules/vmm.ts';
import { whole } from './rules/whole.ts';

const rules: readonly Rule[] = [vmm, rootDisk, startUp, imageState, snapshots, guestNet, hostNet, services, control, whole];

/**
 * The true cause, from whatever texts there are. Pure and deterministic; never throws, whatever the bytes. With too little evidence the
 * outcome is `unknown` and `missing` says what to look at next.
 */
export function diagnose(documents: readonly EvidenceDocument[]): Diagnosis {
  const e = readDocuments(documents);
  const p = pictureOf(e);
  const findings = rank(rules.flatMap((rule) => rule(e, p)));
  const causes = findings.map(causeOf);
  const strong = findings.filter((f) => f.confidence !== 'possible');
  const outcome = outcomeOf(e, p, findings, strong);
  const shown = outcome === 'ok' ? [] : outcome === 'unknown' ? [...causes, unknownCause(e, p)] : causes;
  const blamed = new Set(shown.flatMap((c) => c.because.map((b) => `${b.source}:${b.line}`)));
  return {
    outcome,
    phaseReached: phaseOf(e, p),
    causes: shown,
    benign: benignOf(e, p, blamed),
    ruledOut: ruledOutOf(e, p, new Set(shown.map((c) => c.code))),
    missing: missingOf(e, p, outcome === 'ok' || strong.length > 0),
  };
}

function causeOf(f: Finding): Cause {
  const entry = entryOf(f.code);
  const because: Because[] = [];
  for (const b of f.because) if (!because.some((k) => k.source === b.source && k.line === b.line)) because.push(b);
  return {
    code: f.code,
    title: f.title ?? entry?.title ?? f.code,
    layer: layerOf(f.code),
    confidence: f.confidence,
    because,
    fix: { text: f.fix ?? entry?.fix ?? '', command: [...(f.command ?? entry?.command ?? [])] },
    disproof: entry?.disproof ?? '',
  };
}

function outcomeOf(e: Evidence, p: Picture, findings: readonly Finding[], strong: readonly Finding[]): Diagnosis['outcome'] {
  if (strong.some((f) => f.degrades !== true)) return 'failed';
  if (strong.length > 0) return 'degraded';
  // somebody's try that failed is not explained by what works
  const unexplained = e.probes.some(
    (x) =>
      x.place === 'guest' &&
      (x.answer === 'no-answer-arp' || x.answer === 'net-unreachable') &&
      !e.probes.some((o) => o.place === 'guest' && o.target === x.target && o.answer === 'ok'),
  );
  if (findings.length === 0 && unexplained) return 'unknown';
  const promised = e.asked.ports.map((x) => x.value);
  const answered = [...p.ports].filter(([, v]) => v.answer === 'ok').map(([port]) => port);
  const bad = [...p.ports].some(([, v]) => v.answer !== 'ok' && v.answer !== 'unclear');
  const complete = promised.length === 0 ? answered.length > 0 : promised.every((port) => answered.includes(port) || answered.length > 0);
  if (!p.lost && !bad && p.vmmGone === null && complete && (p.ping !== 'no' || answered.length > 0))
    return findings.length > 0 ? 'degraded' : 'ok';
  const login = p.find(/^\S{0,64} ?login:\s*$/) !== null;
  const up = (e.facts.initFinished !== null || login) && e.facts.panic === null && e.facts.failedUnits.length === 0;
  const nobodyAsked = e.probes.length === 0 && p.unreached === null;
  if (
    findings.length === 0 &&
    (up || p.ping === 'yes') &&
    (nobodyAsked || p.arp === 'yes') &&
    (p.ping !== 'no' || p.arp !== 'yes') &&
    !bad &&
    p.vmmGone === null &&
    !p.lost
  )
    return 'ok';
  return 'unknown';
}

function unknownCause(e: Evidence, p: Picture): Cause {
  const because: Because[] = [];
  if (p.unreached) because.push(p.citeLine(p.unreached));
  const last = e.console.findLast((l) => l.body !== '');
  if (last && because.length === 0) because.push(p.citeLine(last));
  return causeOf({ code: 'unknown.evidence-missing', confidence: 'possible', because });
}

/** The furthest condition of the boot proof that this evidence shows. */
function phaseOf(e: Evidence, p: Picture): string | null {
  const port = [...p.ports].find(([, v]) => v.answer === 'ok');
  if (port) return `port.${port[0]}`;
  if (p.reached) return 'net.path';
  if (e.facts.initFinished) return 'init.finished';
  if (e.facts.ipConfig && e.facts.rootMounted) return 'net.address';
  if (e.facts.initStarted || e.facts.rootMounted || p.userspace) return 'root.mounted';
  if (e.facts.banner || e.facts.commandLine || e.console.some((l) => l.kernelTime !== null)) return 'kernel.started';
  return e.vmm.alive || p.tap?.flags.includes('LOWER_UP') ? 'vmm.started' : null;
}
