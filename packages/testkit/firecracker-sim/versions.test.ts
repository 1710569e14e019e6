/** The tables that say since when a thing exists, against the OpenAPI files of the releases, where those are at hand. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bodyOf, bodyTable } from './bodies.ts';
import { sections } from './config-file.ts';
import { endpoints } from './requests.ts';
import { atLeast, has, simVersions, snapshotFormat, type SimVersion } from './versions.ts';

const folder = join(import.meta.dirname, '../../../../shared/facts/firecracker-openapi');
const documented = ['1.9.1', '1.10.1', '1.12.1', '1.13.1', '1.14.4', '1.15.1', '1.16.1'] as const satisfies SimVersion[];
const missing = existsSync(folder) ? false : `there are no OpenAPI files at ${folder}`;

type Definition = { fields: Map<string, string[]>; required: string[]; values: string[] };
type Document = { paths: Map<string, string[]>; definitions: Map<string, Definition> };

/** As much of YAML as these files use: what something is, its indentation says. */
function read(version: SimVersion): Document {
  const paths = new Map<string, string[]>();
  const definitions = new Map<string, Definition>();
  let part = '';
  let list: string[] | null = null;
  let path: string[] = [];
  let definition: Definition = { fields: new Map(), required: [], values: [] };
  let within = '';
  for (const line of readFileSync(join(folder, `firecracker-v${version}.yaml`), 'utf8').split('\n')) {
    if (line.trim().startsWith('#')) continue;
    const [, indent = '', key = '', value = ''] = /^( *)([^\s:][^:]*):(?: (.*))?$/.exec(line) ?? [];
    const item = /^ *- (.*)$/.exec(line)?.[1];
    if (item !== undefined) list?.push(item.replaceAll(/["']/g, ''));
    else if (key !== '' && value === '' && /^(?:enum|required)$/.test(key)) list = [];
    else if (key !== '') list = null;
    if (indent === '' && key !== '') part = key;
    else if (part === 'paths' && indent.length === 2) paths.set(key, (path = []));
    else if (part === 'paths' && indent.length === 4 && /^(?:get|put|patch|delete)$/.test(key)) path.push(key.toUpperCase());
    else if (part === 'definitions' && indent.length === 2)
      definitions.set(key, (definition = { fields: new Map(), required: [], values: [] }));
    else if (part === 'definitions' && indent.length === 4) {
      within = key;
      if (key === 'required') list = definition.required;
      if (key === 'enum') list = definition.values;
    } else if (part === 'definitions' && indent.length === 6 && within === 'properties' && key !== '') definition.fields.set(key, []);
    else if (part === 'definitions' && indent.length === 8 && key === 'enum' && within === 'properties') {
      list = [...definition.fields.values()].at(-1) ?? [];
      // Some are written on one line.
      list.push(...value.split(/[[\],"' ]+/).filter((one) => one !== ''));
    }
  }
  return { paths, definitions };
}

describe.skipIf(missing !== false)(`against the OpenAPI files${missing === false ? '' : ` (skipped: ${missing})`}`, () => {
  test.each(documented)('the endpoints of %s', (version) => {
    const { paths } = read(version);
    const said = [...paths]
      .flatMap(([path, methods]) => methods.map((method) => `${method} ${path.replace(/\/\{.*\}$/, '/*')}`))
      .toSorted();
    const ours = endpoints
      .filter((one) => has(version, one.since))
      .map((one) => `${one.method} ${one.path}${one.id ? '/*' : ''}`)
      // What the parser has and the document does not.
      .filter((one) => !one.startsWith('DELETE '))
      .toSorted();
    expect(ours).toEqual(said);
  });

  test.each(documented)('the bodies of %s: fields, values, what must be there', (version) => {
    const { definitions } = read(version);
    for (const [name, { definition, since }] of bodyTable()) {
      if (definition === null) continue;
      const there = since === undefined || has(version, since);
      expect([name, definitions.has(definition)]).toEqual([name, there]);
      const said = definitions.get(definition);
      if (!said || !there) continue;
      const ours = bodyOf(name, version).fields;
      // The fields of a CPU template differ by architecture: the document has those of both.
      if (name !== 'cpuConfig') expect([name, Object.keys(ours).toSorted()]).toEqual([name, [...said.fields.keys()].toSorted()]);
      for (const [field, values] of said.fields) {
        const shape = ours[field]?.shape;
        // Level is spelt in many ways, and the two templates of api_server/request are one list in the code.
        if (values.length > 0 && shape?.is === 'enum')
          expect([name, field, shape.variants.toSorted()]).toEqual([name, field, values.toSorted()]);
      }
      const required = Object.entries(ours)
        .filter(([, { need }]) => need === 'required')
        .map(([field]) => field);
      const [more, fewer] = [
        required.filter((one) => !said.required.includes(one)),
        said.required.filter((one) => !required.includes(one)),
      ];
      expect([name, more, fewer]).toEqual([name, ...(knownDifferences[name] ?? [[], []])]);
    }
  });

  test.each(documented)('the CPU templates of %s', (version) => {
    const shape = bodyOf('machine', version).fields['cpu_template']?.shape;
    // the document is for all processors; on x86 the parser does not know the one for arm64 (cpu_template is an enum per architecture)
    const said = (read(version).definitions.get('CpuTemplate')?.values ?? []).filter((name) => name !== 'V1N1');
    expect(shape?.is === 'enum' ? shape.variants.toSorted() : shape).toEqual(said.toSorted());
  });

  test.each(documented)('the sections of a configuration file of %s are the keys of GET /vm/config', (version) => {
    const said = [...(read(version).definitions.get('FullVmConfiguration')?.fields.keys() ?? [])];
    const ours = Object.entries(sections)
      .filter(([, { since }]) => since === undefined || has(version, since))
      .map(([name]) => name)
      // The document of 1.9.1 does not name these two, and it lists no CPU configuration at first.
      .filter((name) => version !== '1.9.1' || (name !== 'cpu-config' && name !== 'entropy'));
    expect(ours.toSorted()).toEqual(said.toSorted());
  });
});

/** Where the parser and the document disagree, the parser wins: [it demands more, it demands less]. */
const knownDifferences: Readonly<Record<string, readonly [string[], string[]]>> = {
  memoryHotplug: [['total_size_mib'], []],
  memoryHotplugUpdate: [['requested_size_mib'], []],
};

test('a field may come, go and come back', () => {
  const versions = simVersions.filter((version) => Object.hasOwn(bodyOf('snapshotLoad', version).fields, 'clock_realtime'));
  expect(versions).toEqual(['1.14.4', '1.15.1', '1.16.0', '1.16.1']);
});

test('the formats of snapshots', () => {
  expect(Object.fromEntries(simVersions.map((version) => [version, snapshotFormat(version)]))).toMatchObject({
    '1.9.1': '3.0.0',
    '1.10.0': '3.0.0',
    '1.10.1': '4.0.0',
    '1.11.0': '5.0.0',
    '1.12.1': '6.0.0',
    '1.13.0': '8.0.0',
    '1.14.4': '8.0.0',
    '1.15.1': '9.0.0',
    '1.16.1': '10.0.0',
  });
});

test('versions are ordered as numbers are', () => {
  expect(atLeast('1.10.0', '1.9.1')).toBe(true);
  expect(atLeast('1.9.1', '1.10.0')).toBe(false);
  expect(atLeast('1.9.1', '1.9.1')).toBe(true);
});
