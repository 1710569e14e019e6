/** One scenario after the other on the lab's own host. A scenario that cannot run here says why, and hinders no other. */
import { writeFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Diagnosis, EvidenceBundle } from '@linstock/contract';
import { after } from './after.ts';
import { Bench } from './bench.ts';
import { cleaned } from './clean.ts';
import { Forge } from './forge.ts';
import { diagnosisOf, judge, type Verdict } from './judge.ts';
import type { Scenario } from './scenario.ts';
import type { World } from './world.ts';

/** A boot under TCG on a busy machine, seconds; a scenario that never settles says itself how long it is worth waiting. */
const usualSeconds = 150;
const downSeconds = 120;
const mostAskings = 600;

export type Result = {
  scenario: string;
  truth: Scenario['truth'];
  seconds: number;
} & ({ is: 'ran'; verdict: Verdict; diagnosis: Diagnosis } | { is: 'skipped'; why: string } | { is: 'broke'; why: string });

export type RunOrder = {
  world: World;
  scenarios: readonly Scenario[];
  /** a folder of kernels; null: there is none */
  kernels: string | null;
  /** where the recordings go; null: nowhere */
  keep: string | null;
  told(result: Result): void;
};

export async function runScenarios(o: RunOrder): Promise<Result[]> {
  const forge = new Forge(o.world, o.kernels);
  const results: Result[] = [];
  for (const [number, scenario] of o.scenarios.entries()) {
    const began = performance.now();
    const outcome = await runOne(o, forge, scenario, `lab-${number}`);
    const result = {
      scenario: scenario.name,
      truth: scenario.truth,
      seconds: Math.round((performance.now() - began) / 100) / 10,
      ...outcome,
    };
    o.told(result);
    results.push(result);
  }
  return results;
}

type Outcome = { is: 'ran'; verdict: Verdict; diagnosis: Diagnosis } | { is: 'skipped'; why: string } | { is: 'broke'; why: string };

async function runOne(o: RunOrder, forge: Forge, scenario: Scenario, name: string): Promise<Outcome> {
  const { world } = o;
  try {
    const golden = scenario.golden ? await scenario.golden(forge) : world.tiny;
    if (golden === null) return { is: 'skipped', why: 'its kernel is not here: LINSTOCK_TEST_KERNELS names no folder that has it' };
    const bundle = await evidenceOf(world, scenario, name, `${golden.name}@${golden.version}`);
    if (o.keep !== null) await record(o.keep, scenario, bundle, world);
    const diagnosis = diagnosisOf(bundle);
    return { is: 'ran', verdict: judge(diagnosis, scenario.truth), diagnosis };
  } catch (error) {
    return { is: 'broke', why: error instanceof Error ? error.message : String(error) };
  }
}

async function evidenceOf(world: World, scenario: Scenario, name: string, golden: string): Promise<EvidenceBundle> {
  const settles = scenario.withinSeconds ?? usualSeconds;
  await world.send('POST', '/v1/vms?until=verified', { name, golden, ...scenario.vm }, settles);
  await settled(world, name);
  let bench: Bench | null = null;
  try {
    if (scenario.break) {
      bench = await Bench.of(world, name);
      await scenario.break(bench);
      await settled(world, name);
      if (scenario.reprove) await world.send('POST', `/v1/vms/${name}/actions/verify?until=verified`, {}, usualSeconds);
    }
    return await world.evidence(name);
  } finally {
    await bench?.mend();
    await world.send('DELETE', `/v1/vms/${name}?until=deleted`, undefined, downSeconds);
  }
}

/** A boot that failed is looked at when it is over, not while it is taken down. */
async function settled(world: World, name: string): Promise<void> {
  for (let asked = 0; asked < mostAskings && (await world.vm(name)).state === 'stopping'; asked += 1)
    await after(100, AbortSignal.timeout(downSeconds * 1000));
}

async function record(folder: string, scenario: Scenario, bundle: EvidenceBundle, world: World): Promise<void> {
  const places: [string, string][] = [
    [world.paths.state, '/var/lib/linstock'],
    [`ls${world.mark}-`, 'ls1ab0-'],
    [`linstock-${world.mark}`, 'linstock-1ab0'],
  ];
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${scenario.name}.json`), `${JSON.stringify(cleaned(bundle, places), null, 1)}\n`);
}
