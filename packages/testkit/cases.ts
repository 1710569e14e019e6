import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnosis, DocumentKind, EvidenceDocument } from '@linstock/contract';

/** A failure with its true verdict: a folder of what somebody had, and `expected.md` (or `expected.json`, where several would be fair). */
export type Case = { name: string; documents: EvidenceDocument[]; /** the true one first */ verdicts: string[] };

const files: readonly [string, DocumentKind][] = [
  ['console.log', 'console'],
  ['host.txt', 'host'],
  ['vmm.log', 'vmm-log'],
  ['config.json', 'config'],
  ['requested.txt', 'requested'],
];

function verdictsIn(folder: string): string[] {
  const [text, data] = [join(folder, 'expected.md'), join(folder, 'expected.json')];
  if (existsSync(text)) return [/^verdict: (\S+)/m.exec(readFileSync(text, 'utf8'))?.[1] ?? ''];
  if (!existsSync(data)) return [];
  const { verdict, accept = [] } = JSON.parse(readFileSync(data, 'utf8')) as { verdict: string; accept?: string[] };
  return [verdict, ...accept];
}

export function readCases(root: string): Case[] {
  return readdirSync(root)
    .toSorted()
    .flatMap((name) => {
      const verdicts = verdictsIn(join(root, name)).map((verdict) => verdict.replaceAll('_', '-'));
      if (verdicts.length === 0) return [];
      const documents = files.flatMap(([file, kind]) => {
        const path = join(root, name, file);
        return existsSync(path) ? [{ kind, name: kind, text: readFileSync(path, 'utf8'), cut: null }] : [];
      });
      return [{ name, documents, verdicts }];
    });
}

export type Score = 'right' | 'right, not first' | 'unknown' | 'wrong';

/** Right: the first cause is the true one, a healthy VM has none, and of what cannot be known nothing is claimed. */
export function scoreOf({ verdicts }: Pick<Case, 'verdicts'>, diagnosis: Diagnosis): Score {
  const codes = diagnosis.causes.map((c) => c.code);
  const [verdict = ''] = verdicts;
  if (verdict.startsWith('ok.')) return diagnosis.outcome === 'ok' ? 'right' : diagnosis.outcome === 'unknown' ? 'unknown' : 'wrong';
  if (verdicts.includes(codes[0] ?? '')) return 'right';
  if (codes.some((code) => verdicts.includes(code))) return 'right, not first';
  return diagnosis.outcome === 'unknown' ? 'unknown' : 'wrong';
}
