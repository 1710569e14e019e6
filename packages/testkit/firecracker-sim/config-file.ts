/**
 * `--config-file` (vmm/src/rpc_interface.rs, firecracker/src/main.rs): the sections in the order in which the real one applies them, whatever their order in the file. What
 * it does not know at the top level it ignores without a word; within a section an unknown field is refused as over the API.
 */
import { readFileSync } from 'node:fs';
import { bodyOf, type BodyName } from './bodies.ts';
import { at } from './jail-paths.ts';
import { JsonError, readJson, type Field, type Json, type StructShape } from './json.ts';
import { osError } from './output.ts';
import { Panic } from './process.ts';
import { Refused } from './resources.ts';
import { atLeast, has, type Since, type SimVersion } from './versions.ts';
import type { Vmm } from './vmm.ts';

type Section = { body: BodyName | 'path'; need: Field['need']; list?: true; since?: Since };
export const sections: Readonly<Record<string, Section>> = {
  balloon: { body: 'balloon', need: 'optional' },
  drives: { body: 'drive', need: 'required', list: true },
  'boot-source': { body: 'bootSource', need: 'required' },
  'cpu-config': { body: 'path', need: 'optional' },
  logger: { body: 'logger', need: 'optional' },
  'machine-config': { body: 'machine', need: 'optional' },
  metrics: { body: 'metrics', need: 'optional' },
  'mmds-config': { body: 'mmdsConfig', need: 'optional' },
  'network-interfaces': { body: 'net', need: 'default', list: true },
  vsock: { body: 'vsock', need: 'optional' },
  entropy: { body: 'entropy', need: 'optional' },
  pmem: { body: 'pmem', need: 'default', list: true, since: { since: '1.14.0' } },
  'memory-hotplug': { body: 'memoryHotplug', need: 'optional', since: { since: '1.14.0' } },
};

/** There is no section for the serial device: it has no key of its own (api_server/request). */
export function configShape(version: SimVersion): StructShape {
  const there = Object.entries(sections).filter(([, section]) => section.since === undefined || has(version, section.since));
  return {
    is: 'struct',
    name: 'VmmConfig',
    strict: false,
    fields: Object.fromEntries(
      there.map(([name, { body, need, list }]) => {
        // From 1.13 the CPU template may stand in the file itself.
        const one = body === 'path' ? { is: atLeast(version, '1.13.0') ? ('any' as const) : ('path' as const) } : bodyOf(body, version);
        return [name, { shape: list ? { is: 'list' as const, of: one } : one, need }];
      }),
    ),
  };
}

/** Throws Refused with the text that follows `Configuration for VMM from one single json failed: `. */
export async function applyConfig(vmm: Vmm, text: string, metadata: string | null): Promise<void> {
  const { version, logger } = vmm.parts;
  const { resources } = vmm;
  let config: Record<string, Json>;
  try {
    config = readJson(Buffer.from(text), configShape(version)) as Record<string, Json>;
  } catch (error) {
    if (error instanceof JsonError) throw new Refused(`Invalid JSON: ${error.message}`);
    throw error;
  }
  const one = async (name: string, prefix: string, set: (given: Record<string, Json>) => void | Promise<void>): Promise<void> => {
    const given = config[name] ?? [];
    for (const part of (Array.isArray(given) ? given : [given]) as Record<string, Json>[]) {
      try {
        await set(part);
      } catch (error) {
        throw error instanceof Refused ? new Refused(`${prefix}: ${error.message}`) : error;
      }
    }
  };
  await one('logger', 'Logger error', (given) => vmm.setLogger(given));
  await one('metrics', 'Metrics error', (given) => vmm.setMetrics(given));
  await one('machine-config', 'VM config error', (given) => resources.setMachine(given));
  const template = config['cpu-config'];
  if (typeof template === 'string') {
    try {
      readFileSync(at(template));
    } catch (error) {
      throw new Refused(`File operation error: ${osError(error)}`);
    }
  }
  await one('boot-source', 'Boot source error', (given) => resources.setBootSource(given));
  await one('drives', 'Block device error', (given) => resources.setDrive(given));
  await one('network-interfaces', 'Network device error', (given) => resources.setNet(given));
  await one('vsock', 'Vsock device error', (given) => resources.setVsock(given));
  await one('balloon', 'Balloon device error', (given) => resources.setBalloon(given));
  if (metadata !== null) {
    vmm.mmds.put(metadataOf(metadata));
    logger.say('info', 'main', 'Successfully added metadata to mmds from file');
  }
  await one('mmds-config', 'MMDS config error', (given) => {
    resources.setMmds(given);
    vmm.mmds.configured();
  });
  await one('entropy', 'Entropy device error', (given) => resources.setEntropy(given));
  await one('pmem', 'Pmem device error', (given) => resources.setPmem(given));
  await one('memory-hotplug', 'Memory hotplug config error', (given) => resources.setMemoryHotplug(given));
}

export function metadataOf(text: string): Json {
  try {
    return readJson(Buffer.from(text), { is: 'any' });
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const [, what = '', line = '', column = ''] = /^(.*) at line (\d+) column (\d+)$/s.exec(error.message) ?? [];
    throw new Panic(`MMDS error: metadata provided not valid json: Error(${JSON.stringify(what)}, line: ${line}, column: ${column})`);
  }
}
