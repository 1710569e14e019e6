import { join } from 'node:path';
import { ensureTiny, faultOfRefusal, ImageStore, surveyHost } from '@linstock/host';
import { clone } from './build-info.ts';
import { clock } from './clock.ts';
import { readConfig } from './config.ts';
import { openInstallation } from './installation.ts';

export type Progress = (step: { name: string; done?: number; total?: number; unit?: string }) => void;
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
  const tiny = await ensureTiny(images, { agent: { source: join(clone, 'guest', 'agent') }, progress: o.progress, signal: o.signal });
  if (!tiny.ok) throw faultOfRefusal(tiny, paths.state);
  const { name, version } = tiny.golden;
  return {
    changed: probed || tiny.built,
    golden: { name, version },
    accelerator: facts.accelerator,
    root: facts.root,
    advice: facts.advice,
  };
}
