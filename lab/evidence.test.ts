/** The recordings of the lab, judged again without any guest: each scenario was played for real, and its evidence kept. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { evidenceBundleSchema, layerSchema, type EvidenceBundle } from '@linstock/contract';
import { diagnosisOf, judge } from './judge.ts';
import { notYet } from './not-yet.ts';
import { scenarios } from './scenarios.ts';

const folder = join(import.meta.dirname, 'evidence');
const fileOf = (name: string): string => join(folder, `${name}.json`);
const read = (name: string): EvidenceBundle => evidenceBundleSchema.parse(JSON.parse(readFileSync(fileOf(name), 'utf8')));
/** A scenario is some tens of KiB: the console of a boot, and what a host prints. */
const mostBytes = 256 * 1024;

describe('the scenarios', () => {
  test('are many, and each has a name of its own', () => {
    const names = scenarios.map((s) => s.name);
    expect(new Set(names).size).toBe(names.length);
    expect(scenarios.filter((s) => s.needs === undefined).length).toBeGreaterThanOrEqual(40);
    for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9-]+$/);
  });

  test('that are a debt are scenarios', () => {
    expect(Object.keys(notYet).filter((name) => !scenarios.some((s) => s.name === name))).toEqual([]);
  });

  test('say a truth that a diagnosis can say', () => {
    const layers = layerSchema.options.toSorted((a, b) => b.length - a.length);
    for (const { name, truth } of scenarios) {
      expect(truth.outcome === 'ok', name).toBe(truth.code === null);
      for (const code of [truth.code ?? 'boot.none', ...(truth.alsoTrue ?? [])])
        expect(
          layers.some((layer) => code.startsWith(`${layer}.`)),
          code,
        ).toBe(true);
    }
  });

  test('each have their recording, and no recording is of nothing', () => {
    expect(readdirSync(folder).toSorted()).toEqual(scenarios.map((s) => `${s.name}.json`).toSorted());
  });
});

describe.each(scenarios)('$name', ({ name, truth }) => {
  test.skipIf(!existsSync(fileOf(name)))('its recording is whole, of a bounded size, and names no place', () => {
    const text = readFileSync(fileOf(name), 'utf8');
    const bundle = read(name);
    expect(text.length).toBeLessThan(mostBytes);
    expect(/\/tmp\/linstock.{0,40}|\/home\/.{0,40}|\/root\/.{0,40}/.exec(text)?.[0] ?? null).toBeNull();
    expect(bundle.documents.map((d) => d.kind)).toEqual(['requested', 'console', 'vmm-log', 'host', 'guest', 'controller', 'proof']);
  });

  test.skipIf(!existsSync(fileOf(name)))('the diagnosis of its recording names the true cause first, and claims nothing false', () => {
    const verdict = judge(diagnosisOf(read(name)), truth);
    const debt = notYet[name];
    if (debt === undefined) expect(verdict).toEqual({ is: 'right' });
    else expect({ [name]: verdict.is }, 'what changed is said in lab/not-yet.ts').toEqual({ [name]: debt });
  });
});
