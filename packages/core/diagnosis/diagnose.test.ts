import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { diagnosisSchema, type DocumentKind, type EvidenceDocument } from '@linstock/contract';
import { readCases, scoreOf } from '@linstock/testkit/cases';
import { catalogue, entryOf, layerOf } from './catalogue.ts';
import { diagnose } from './diagnose.ts';

const cases = readCases(join(import.meta.dirname, '../../../test/cases'));
const document = (kind: DocumentKind, text: string): EvidenceDocument => ({ kind, name: kind, text, cut: null });

test('the cases are there', () => expect(cases.length).toBeGreaterThan(60));

test.each(cases.map((c) => [c.name, c] as const))('%s', (_name, c) => {
  const diagnosis = diagnose(c.documents);
  expect(diagnosisSchema.parse(diagnosis)).toEqual(diagnosis);
  expect([scoreOf(c, diagnosis), diagnosis.causes.map((cause) => cause.code)]).toEqual(['right', expect.anything()]);
  // nothing false beside it is called likely
  expect(diagnosis.causes.slice(1).filter((cause) => cause.confidence !== 'possible')).toEqual([]);
  for (const cause of diagnosis.causes) {
    expect(entryOf(cause.code)).not.toBeNull();
    expect(cause.code.startsWith('unknown.') || cause.because.length > 0).toBe(true);
  }
});

describe('what holds for any evidence', () => {
  const kinds = fc.constantFrom<DocumentKind>('requested', 'console', 'vmm-log', 'config', 'host', 'guest', 'controller');
  const words = fc.constantFrom(
    ...cases.flatMap((c) => c.documents.flatMap((d) => d.text.split('\n').slice(0, 400))).filter((_, i) => i % 23 === 0),
  );
  const line = fc.oneof(words, fc.string({ unit: 'binary', maxLength: 200 }));

  test('no bytes make it throw, and its answer has its shape', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ kind: kinds, lines: fc.array(line, { maxLength: 30 }) }), { maxLength: 4 }), (parts) => {
        const diagnosis = diagnose(parts.map((p) => document(p.kind, p.lines.join('\n'))));
        expect(diagnosisSchema.safeParse(diagnosis).success).toBe(true);
        for (const cause of diagnosis.causes) expect(entryOf(cause.code)).not.toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  test('lines that say nothing change no verdict', () => {
    const chatter = ['hello world', 'the quick brown fox', 'note: seen on Tuesday', '-- 8< --', 'lorem ipsum dolor sit amet', ''];
    fc.assert(
      fc.property(fc.constantFrom(...cases), fc.nat(), fc.constantFrom(...chatter), (c, seed, text) => {
        const before = diagnose(c.documents);
        const after = diagnose(
          c.documents.map((d) => {
            if (d.kind !== 'host' || d.text === '') return d;
            const lines = d.text.split('\n');
            const starts = lines.flatMap((l, i) => (l.startsWith('== ') ? [i] : []));
            const at = starts[seed % Math.max(1, starts.length)] ?? 0;
            return { ...d, text: [...lines.slice(0, at), text, ...lines.slice(at)].join('\n') };
          }),
        );
        expect([after.outcome, after.causes.map((x) => x.code)]).toEqual([before.outcome, before.causes.map((x) => x.code)]);
      }),
      { numRuns: 150 },
    );
  });

  test.each(cases.filter((c) => c.name.startsWith('lab-')).map((c) => [c.name, c] as const))(
    '%s: the order of its sections plays no part',
    (_name, c) => {
      const shuffled = c.documents.map((d) =>
        d.kind === 'host'
          ? {
              ...d,
              text: d.text
                .split(/^(?=== )/m)
                .toReversed()
                .join('\n'),
            }
          : d,
      );
      expect(scoreOf(c, diagnose(shuffled))).toBe('right');
    },
  );

  /** what is true of such a VM as well, and shallower: its VMM is gone, nothing listens */
  const stillTrue =
    /^(?:host\.vmm-not-attached-to-tap|service\.(?:port-\d+-not-listening|unit-failed|crashed)|guest\.net\.(?:default-route-missing|gateway-wrong))$/;

  /** with the first .network file gone, the second one is what the image sets */
  const otherFiles: Record<string, string> = { '13-guest-net-oneshot-false-success': 'guest.net.address-replaced-by-image-config' };

  test.each(cases.filter((c) => !/^(?:ok|unknown)\./.test(c.verdicts[0] ?? '')).map((c) => [c.name, c] as const))(
    '%s: without its decisive evidence it is not called by its name with confidence',
    (_name, c) => {
      const diagnosis = diagnose(c.documents);
      const decisive = new Set(diagnosis.causes[0]?.because.map((b) => `${b.source}:${b.line}`));
      const without = c.documents.map((d) => ({
        ...d,
        text: d.text
          .split('\n')
          .map((l, i) => (decisive.has(`${d.name}:${i + 1}`) ? '' : l))
          .join('\n'),
      }));
      const rest = diagnose(without);
      // what is left may prove the same by other lines, or nothing; another cause is never called likely
      const likely = rest.causes.filter((cause) => cause.confidence !== 'possible').map((cause) => cause.code);
      expect(likely.filter((code) => code !== c.verdicts[0] && !stillTrue.test(code) && otherFiles[c.name] !== code)).toEqual([]);
    },
  );

  test('a panic that a process of a VM that answers has written is not believed', () => {
    const console = [
      '[    0.000000] Linux version 6.1.0 (x@y) #1',
      '[    0.700000] Run /init as init process',
      'Kernel panic - not syncing: gotcha',
    ].join('\n');
    const answers =
      '== probes\n$ ping -c 1 10.0.0.2\n64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.5 ms\n$ curl http://10.0.0.2:80/\nHTTP/1.1 200 OK\n';
    expect(diagnose([document('console', console), document('host', `== requested\nip=10.0.0.2\n${answers}`)]).outcome).toBe('ok');
    const silent = diagnose([document('console', console)]);
    expect(silent.causes[0]).toMatchObject({ code: 'boot.kernel-panic', because: [{ guestControlled: true }] });
  });

  test('secrets do not come out', () => {
    const text = 'Authorization: Bearer abcdefghijklmnop\nPASSWORD=hunter2hunter2\nKernel panic - not syncing: token=verysecretvalue123';
    expect(JSON.stringify(diagnose([document('host', text), document('console', text)]))).not.toMatch(
      /abcdefghijklmnop|hunter2|verysecretvalue/,
    );
  });
});

test('each code begins with its layer, and each cause says what to do and what would disprove it', () => {
  for (const [code, entry] of Object.entries(catalogue)) {
    expect(code.startsWith(`${layerOf(code)}.`)).toBe(true);
    expect(entry.fix.length * entry.disproof.length * entry.title.length).toBeGreaterThan(0);
  }
});
