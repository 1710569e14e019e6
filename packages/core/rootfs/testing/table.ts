/** Tables of tests for rules: trees that are sick, where one rule must find something, and trees that are well, where none may. */
import { describe, expect, test } from 'vitest';
import type { Rule, Severity } from '../rules/rule.ts';
import type { Pieces } from './memory-image.ts';
import { debian, lintOf } from './systems.ts';
import type { Given } from './systems.ts';

export type Well = {
  name: string;
  /** a small Debian unless told */
  base?: Pieces;
  /** what is put over it */
  pieces?: Pieces | readonly Pieces[];
  given?: Given;
};
export type Sick = Well & {
  id: string;
  /** the place, `path:line` */
  at?: string;
  severity?: Severity;
  /** a word of what is found or predicted */
  says?: string;
};

const layers = ({ base = debian, pieces = [] }: Well): Pieces[] => [
  base,
  ...(Array.isArray(pieces) ? (pieces as readonly Pieces[]) : [pieces as Pieces]),
];

export function table(rules: readonly Rule[], sick: readonly Sick[], well: readonly Well[]): void {
  describe('sick', () => {
    test.each(sick.map((one) => [one.id, one.name, one] as const))('%s: %s', (id, _, one) => {
      const found = lintOf(layers(one), one.given).filter((finding) => finding.id === id);
      expect(found, 'the finding').not.toEqual([]);
      const [first] = found;
      if (one.at !== undefined) expect(found.map(({ path, line }) => `${path}${line === null ? '' : `:${line}`}`)).toContain(one.at);
      if (one.severity !== undefined) expect(first?.severity).toBe(one.severity);
      if (one.says !== undefined) expect(`${first?.what} ${first?.predicts}`).toContain(one.says);
    });
    test('every rule has a sick tree', () => {
      expect([...new Set(sick.map(({ id }) => id))].toSorted()).toEqual(rules.map(({ id }) => id).toSorted());
    });
  });
  describe('well', () => {
    test.each(well.map((one) => [one.name, one] as const))('%s', (_, one) => {
      expect(lintOf(layers(one), one.given)).toEqual([]);
    });
  });
}
