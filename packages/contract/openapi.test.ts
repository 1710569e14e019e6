import { describe, expect, it } from 'vitest';
import { commonFaults, faults, isId, makeId, openApi, routes, sentenceOf, type Route } from './index.ts';

const document = openApi('1.2.3') as {
  paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
  components: object;
};

/** Every `$ref` in a document. */
function refsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(refsOf);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => (key === '$ref' ? [String(part)] : refsOf(part)));
}

describe('openApi', () => {
  it('has one operation for each route of the contract, and no other', () => {
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path).map((o) => o.operationId));
    expect(operations.toSorted()).toEqual(Object.keys(routes).toSorted());
  });

  it('names each fault that a route may answer under its status', () => {
    for (const [name, route] of Object.entries(routes) as [string, Route][]) {
      const operation = document.paths[route.path.replaceAll(/:(\w+)/g, '{$1}')]?.[route.method.toLowerCase()];
      for (const code of [...commonFaults, ...route.faults])
        expect(Object.keys(operation?.responses ?? {}), `${name} ${code}`).toContain(String(faults[code].http));
    }
  });

  it('refers to nothing that is not there, and to nothing that is only a reference itself', () => {
    for (const ref of refsOf(document)) {
      const target = ref
        .slice(2)
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
      expect(target, ref).toBeTypeOf('object');
      expect(target, ref).not.toHaveProperty('$ref');
    }
  });

  it('refuses unknown fields in requests and allows added ones in replies', () => {
    const created = document.paths['/v1/vms']?.['post'] as unknown as {
      requestBody: { content: Record<string, { schema: { additionalProperties?: boolean } }> };
      responses: Record<string, { content: Record<string, { schema: { additionalProperties?: boolean } }> }>;
    };
    expect(created.requestBody.content['application/json']?.schema.additionalProperties).toBe(false);
    expect(created.responses['201']?.content['application/json']?.schema).not.toHaveProperty('additionalProperties');
  });
});

describe('faults', () => {
  it('each say a whole sentence, and never show a hole', () => {
    for (const [code, kind] of Object.entries(faults)) {
      expect(kind.say, code).toMatch(/\{say\}|[.}]$/);
      expect(sentenceOf({ code: code as keyof typeof faults, data: {} }), code).not.toMatch(/undefined|[{}]/);
    }
  });
  it('fill in what they know', () => {
    expect(sentenceOf({ code: 'vm-state-forbids', data: { action: 'start', allowed: 'stopped', id: 'web', state: 'running' } })).toBe(
      'start needs a VM that is stopped; web is running.',
    );
  });
});

describe('ids', () => {
  const random = Uint8Array.from({ length: 10 }, (_, i) => i * 25);
  it('carry their kind and sort by time', () => {
    const [a, b] = [makeId('vm', 1_700_000_000_000, random), makeId('vm', 1_700_000_000_001, new Uint8Array(10))];
    expect(isId('vm', a) && isId('vm', b)).toBe(true);
    expect(isId('boot', a)).toBe(false);
    expect(a < b).toBe(true);
  });
  it('are not made of anything else', () => {
    for (const text of ['', 'vm_', 'vm_01', 'vm_../../etc', `vm_${'u'.repeat(26)}`, `vm_${'0'.repeat(27)}`])
      expect(isId('vm', text), text).toBe(false);
  });
});
