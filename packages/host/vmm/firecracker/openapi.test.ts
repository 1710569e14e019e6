/** fields.ts against the OpenAPI files of each version. They are not ours, so they lie beside the checkout; without them this skips. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { endpoints, shapes, type Endpoint, type Field, type FieldType, type ShapeName } from './fields.ts';
import { parseVersion, within, type Version } from '@linstock/core';

const root = join(import.meta.dirname, '../../../..');
const folder = ['../shared/facts/firecracker-openapi', '../../shared/facts/firecracker-openapi']
  .map((path) => join(root, path))
  .find((path) => existsSync(path));
const files = folder === undefined ? [] : readdirSync(folder).filter((name) => /^firecracker-v[\d.]+\.yaml$/.test(name));
const missing = files.length === 0 ? 'no ../shared/facts/firecracker-openapi beside the checkout' : false;

type Tree = { [key: string]: Tree | string | string[] };
const tree = (value: Tree[string] | undefined): Tree => (typeof value === 'object' && !Array.isArray(value) ? value : {});
const words = (value: Tree[string] | undefined): string[] => (Array.isArray(value) ? value : []);

/** As much YAML as these files have: maps, lists of words, words. Prose is skipped. */
function readYaml(text: string): Tree {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.trim().startsWith('#'));
  let at = 0;
  const indent = (line: string): number => line.length - line.trimStart().length;
  // a list may stand as deep as its key: it is moved in
  for (let i = 0; i + 1 < lines.length; i += 1) {
    const depth = indent(lines[i]!);
    if (!lines[i]!.endsWith(':') || lines[i]!.trim().startsWith('- ')) continue;
    for (let j = i + 1; j < lines.length; j += 1) {
      const isItem = indent(lines[j]!) === depth && lines[j]!.trim().startsWith('- ');
      if (j === i + 1 ? !isItem : !isItem && indent(lines[j]!) <= depth) break;
      lines[j] = `  ${lines[j]}`;
    }
  }
  const plain = (word: string): string => word.trim().replaceAll(/^["']|["']$/g, '');
  const block = (depth: number): Tree | string[] => {
    const list: string[] = [];
    const map: Tree = {};
    while (at < lines.length && indent(lines[at]!) >= depth) {
      const line = lines[at]!;
      const item = /^- ([^:]+)$/.exec(line.trim());
      if (item) {
        list.push(plain(item[1]!));
        at += 1;
        continue;
      }
      if (line.trim().startsWith('- ')) lines[at] = line.replace('- ', '  '); // a list of maps: those of parameters, read as one
      const pair = /^\s*([^\s:][^:]*|\/[^:]*):(?:\s+(.*))?$/.exec(lines[at]!);
      at += 1;
      if (!pair) continue;
      const [key, value] = [plain(pair[1]!), pair[2]?.trim() ?? ''];
      const inner = indent(lines[at - 1]!);
      if (['description', 'summary', 'format', 'example'].includes(key)) {
        while (at < lines.length && indent(lines[at]!) > inner) at += 1;
      } else if (value.startsWith('[')) {
        map[key] = value.slice(1, -1).split(',').map(plain);
      } else if (value !== '') {
        map[key] = plain(value);
      } else if (at < lines.length && indent(lines[at]!) > inner) {
        map[key] = block(indent(lines[at]!));
      }
    }
    return list.length > 0 ? list : map;
  };
  return tree(block(0));
}

const referred = (value: Tree): string | undefined =>
  typeof value['$ref'] === 'string' ? value['$ref'].replace('#/definitions/', '') : undefined;

/** Where parser and document disagree; the parser is what runs. `shape.field` → why, for every version or for one. */
const knownDifferences: Readonly<Record<string, string>> = {
  'MemoryHotplugConfig.total_size_mib required': 'the struct has no default for it (vmm_config/memory_hotplug.rs)',
  'MemoryHotplugSizeUpdate.requested_size_mib required': 'the struct has no default for it (vmm_config/memory_hotplug.rs)',
  'CpuConfig.cpuid_modifiers type': 'the document says string or object up to 1.12; lists of modifiers are what is read (templates)',
  'CpuConfig.msr_modifiers type': 'as above',
  'CpuConfig.kvm_capabilities type': 'as above',
  'CpuConfig.reg_modifiers': 'arm64 only: an x86 binary does not know it (cpu_config/x86_64/custom_cpu_template.rs)',
  'CpuConfig.vcpu_features': 'as above',
  'CpuConfig.kvm_capabilities': 'documented from 1.12 on; the parser of 1.9.1 takes it (cpu_config/templates.rs)',
  'MachineConfiguration.cpu_template type': 'V1N1 is for arm64 only (cpu_config/x86_64/static_cpu_templates/mod.rs)',
};

const activeIn = (version: Version, spans: Field['spans']): boolean => spans === undefined || within(version, spans);

describe.skipIf(missing !== false)(`the table and the OpenAPI files${missing === false ? '' : ` (skipped: ${missing})`}`, () => {
  const used = new Set<string>();
  const excused = (key: string): boolean => Object.hasOwn(knownDifferences, key) && used.add(key) !== undefined;

  const sameType = (ours: FieldType, theirs: Tree, definitions: Tree): boolean => {
    const ref = referred(theirs);
    if (ref !== undefined) {
      if (ours.is === 'shape') return ours.name === ref;
      return sameType(ours, tree(definitions[ref]), definitions);
    }
    const values = words(theirs['enum']);
    const bounds = (key: 'minimum' | 'maximum', own: number): boolean => theirs[key] === undefined || Number(theirs[key]) === own;
    switch (ours.is) {
      case 'text':
      case 'id':
      case 'mac':
      case 'ipv4':
        return theirs['type'] === 'string' && values.length === 0;
      case 'level':
        return values.toSorted().join() === 'Debug,Error,Info,Off,Trace,Warning';
      case 'bool':
        return theirs['type'] === 'boolean';
      case 'int':
        return theirs['type'] === 'integer' && bounds('minimum', ours.min) && bounds('maximum', ours.max);
      case 'one':
        return theirs['type'] === 'string' && values.toSorted().join() === ours.of.toSorted().join();
      case 'list':
        return theirs['type'] === 'array' && (ours.of.is === 'object' || sameType(ours.of, tree(theirs['items']), definitions));
      case 'shape':
        return false;
      case 'object':
        return theirs['type'] === 'object';
    }
  };

  test.each(files)('%s', (file) => {
    const version = parseVersion(/v([\d.]+)\.yaml/.exec(file)![1]!)!;
    const document = readYaml(readFileSync(join(folder!, file), 'utf8'));
    const definitions = tree(document['definitions']);
    const differences: string[] = [];
    const differ = (key: string, says: string): void => {
      if (!excused(key)) differences.push(`${key}: ${says}`);
    };

    const theirPaths = Object.entries(tree(document['paths'])).flatMap(([path, methods]) =>
      Object.keys(tree(methods)).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const ourPaths = Object.entries<Endpoint>(endpoints).filter(([, { spans }]) => activeIn(version, spans));
    // DELETE is taken since 1.16.0 and stands in no document (firecracker/src/api_server/parsed_request.rs has it)
    const documented = ourPaths.map(([name]) => name).filter((name) => !name.startsWith('DELETE '));
    expect(documented.toSorted()).toEqual(theirPaths.toSorted());
    for (const [name, endpoint] of ourPaths) {
      if (name.startsWith('DELETE ')) continue;
      const [method = '', path = ''] = name.split(' ');
      const theirs = tree(tree(tree(document['paths'])[path])[method.toLowerCase()]);
      const schema = tree(tree(theirs['parameters'])['schema']);
      const body = referred(schema);
      if (typeof endpoint.body === 'string' && endpoint.body !== 'object') expect(`${name} ${body}`).toBe(`${name} ${endpoint.body}`);
      const answers = Object.keys(tree(theirs['responses']));
      // hinting start and stop: documented as 200 up to 1.15, and 204 in the code (the same file)
      if (!name.includes('hinting')) expect(`${name} ${answers[0]}`).toBe(`${name} ${endpoint.answers}`);
    }

    for (const [name, shape] of Object.entries(shapes)) {
      const theirs = tree(definitions[name]);
      const properties = tree(theirs['properties']);
      const ourFields = Object.entries(shape.fields).filter(([, { spans }]) => activeIn(version, spans));
      if (Object.keys(properties).length === 0) {
        const shapeIsUsed = ourPaths.some(([, { body }]) => body === name);
        if (shapeIsUsed) differ(`${name} absent`, 'not in the document');
        continue;
      }
      const required = words(theirs['required']);
      for (const [field, { type, need }] of ourFields) {
        const key = `${name}.${field}`;
        if (properties[field] === undefined) differ(key, 'only in our table');
        else {
          if (!sameType(type, tree(properties[field]), definitions)) differ(`${key} type`, JSON.stringify(properties[field]));
          if (need !== required.includes(field)) differ(`${key} required`, `we say ${need}`);
        }
      }
      for (const field of Object.keys(properties)) {
        if (!ourFields.some(([ours]) => ours === field)) differ(`${name}.${field}`, 'only in the document');
      }
    }
    expect(differences).toEqual([]);
  });

  test('every excused difference is still one', () => {
    expect(Object.keys(knownDifferences).filter((key) => !used.has(key))).toEqual([]);
  });

  test('the check sees each kind of difference', () => {
    const definitions: Tree = { Other: { type: 'string', enum: ['a', 'b'] } };
    expect(sameType({ is: 'int', min: 1, max: 32 }, { type: 'integer', minimum: '1', maximum: '16' }, definitions)).toBe(false);
    expect(sameType({ is: 'int', min: 1, max: 32 }, { type: 'integer', minimum: '1' }, definitions)).toBe(true);
    expect(sameType({ is: 'one', of: ['b', 'a'] }, { $ref: '#/definitions/Other' }, definitions)).toBe(true);
    expect(sameType({ is: 'one', of: ['a'] }, { $ref: '#/definitions/Other' }, definitions)).toBe(false);
    expect(sameType({ is: 'shape', name: 'Vm' as ShapeName }, { $ref: '#/definitions/Other' }, definitions)).toBe(false);
    expect(sameType({ is: 'text' }, { type: 'boolean' }, definitions)).toBe(false);
  });
});
