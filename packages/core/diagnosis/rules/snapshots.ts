import type { Finding, Rule } from './rule.ts';

/** What is special about a VM that was restored. */
export const snapshots: Rule = (e, p) => {
  const restored = p.findAny(
    /\brestor(?:e|ed|ing)\b|\bsnapshot\/load|resume(?:d)? from|from (?:a )?snapshot|-incoming\b|clones? of (?:one|the same|a) snapshot|kind=restored/i,
    (l) => !l.console,
  );
  if (!restored) return [];
  const findings: Finding[] = [];
  const donorAddress = e.addresses.find(
    (a) => a.place === 'guest' && p.address !== null && a.address !== p.address && a.link !== 'lo' && !a.address.startsWith('127.'),
  );
  const donorMac = e.links.find(
    (l) => l.place === 'guest' && l.mac !== null && e.asked.mac !== null && l.mac !== e.asked.mac.value && l.name !== 'lo',
  );
  const prose = p.findAny(
    /(?:still|keeps?|has|with|same|old|donor'?s?|template'?s?).{0,50}(?:donor|old|original|template|same|previous).{0,30}(?:address|IP\b|MAC|hostname|machine-id|cmdline|command line|arguments)/i,
    (l) => !l.console,
  );
  const answers =
    p.address !== null && p.reached === null
      ? e.probes.find((x) => x.answer === 'ok' && x.target !== null && x.target !== p.address && x.place !== 'guest')
      : undefined;
  const because = [donorAddress?.at, donorMac?.at, prose, answers?.at].filter((l) => l !== undefined && l !== null);
  if (because.length > 0)
    findings.push({
      code: 'snapshot.restored-keeps-donor-identity',
      confidence: 'likely',
      because: [...because.slice(0, 3).map((l) => p.citeLine(l)), p.citeLine(restored)],
    });
  const clock = p.findAny(
    /clock.{0,40}(?:behind|wrong|stopped|old|past)|(?:date|time).{0,40}(?:minutes|hours|days|seconds) (?:behind|ago|in the past)|not yet valid|offset[= ]-?\d{4,}/i,
  );
  if (clock)
    findings.push({
      code: 'snapshot.clock-behind',
      confidence: 'likely',
      because: [p.citeLine(clock), p.citeLine(restored)],
      degrades: true,
    });
  const random = p.findAny(
    /same (?:random|uuid|UUID|key|token|nonce|session)|identical (?:random|uuid|UUIDs?|keys?|tokens?)|random.{0,40}(?:identical|repeat|same)/i,
  );
  if (random)
    findings.push({
      code: 'snapshot.clones-share-randomness',
      confidence: 'likely',
      because: [p.citeLine(random), p.citeLine(restored)],
      degrades: true,
    });
  return findings;
};
