import { ImageStore, surveyHost, TINY } from '@linstock/host';
import { clock } from './clock.ts';
import { readConfig } from './config.ts';
import { openInstallation } from './installation.ts';
import type { Progress } from './progress.ts';
import { BY_HAND, buildGoldenIn } from './recipes.ts';

export type PrepareOptions = {
  stateFolder: string;
  environment: Record<string, string | undefined>;
  signal: AbortSignal;
  progress: Progress;
};
export type Prepared = {
  /** whether anything was made that was not there before */
  changed: boolean;
  golden: { name: string; version: number };
  accelerator: 'kvm' | 'tcg';
  root: boolean;
  advice: readonly string[];
};

/** State folder, probe boot and the golden image `tiny`: makes true what is not yet; quick and without effect the second time. */
export async function prepare(o: PrepareOptions): Promise<Prepared> {
  process.umask(0o077); // what is made here is for its owner only
  const config = { ...readConfig(o.environment), stateFolder: o.stateFolder };
  const { paths } = await openInstallation(o.stateFolder, clock.now());
  o.progress({ name: 'see what this host can do (a probe boot)' });
  const { facts, probed } = await surveyHost({ ...config, paths, now: clock.now(), signal: o.signal });
  const images = new ImageStore({ folder: paths.images, now: clock.now });
  await images.open();
  const { progress, signal } = o;
  const tiny = await buildGoldenIn(images, { named: TINY, cwd: paths.state, use: 'as-built', by: BY_HAND, progress, signal });
  const { name, version } = tiny.golden;
  return {
    changed: probed || tiny.built,
    golden: { name, version },
    accelerator: facts.accelerator,
    root: facts.root,
    advice: facts.advice,
  };
}
