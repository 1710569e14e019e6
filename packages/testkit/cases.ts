import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnosis, DocumentKind, EvidenceDocument } from '@linstock/contract';

/** A failure with its true verdict: a folder of what somebody had, and `expected.md`. */
export type Case = { name: string; documents: EvidenceDocument[]; verdict: string };

const files: readonly [string, DocumentKind][] = [
  ['console.log', 'console'],
  ['host.txt', 'host'],
  ['vmm.log', 'vmm-log'],
  ['config.json', 'config'],
  ['requested.txt', 'requested'],
];

export function readCases(root: string): Case[] {
  return readdirSync(root)
    .toSorted()
    .flatMap((name) => {
      const expected = join(root, name, 'expected.md');
      if (!existsSync(expected)) return [];
      const verdict = /^verdict: (\S+)/m.exec(readFileSync(expected, 'utf8'))?.[1] ?? '';
      const documents = files.flatMap(([file, kind]) => {
        const path = join(root, name, file);
        return existsSync(path) ? [{ kind, name: kind, text: readFileSync(path, 'utf8'), cut: null }] : [];
      });
      return [{ name, documents, verdict: verdict.replaceAll('_', '-') }];
    });
}

export type Score = 'right' | 'right, not first' | 'unknown' | 'wrong';

/** Right: the first cause is the true one, a healthy VM has none, and of what cannot be known nothing is claimed. */
export function scoreOf(verdict: string, diagnosis: Diagnosis): Score {
  const codes = diagnosis.causes.map((c) => c.code);
  if (verdict.startsWith('ok.')) return diagnosis.outcome === 'ok' ? 'right' : diagnosis.outcome === 'unknown' ? 'unknown' : 'wrong';
  if (codes[0] === verdict) return 'right';
  if (codes.includes(verdict)) return 'right, not first';
  return diagnosis.outcome === 'unknown' ? 'unknown' : 'wrong';
}
