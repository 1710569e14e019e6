import type { DoctorReport } from '@linstock/contract';
import { examineHost, readHost, type LackingPackages } from '@linstock/host';
import { clock } from './clock.ts';
import { readConfig } from './config.ts';
import { usualSubnet } from './default-network.ts';

export type DoctorOptions = {
  stateFolder: string;
  environment: Record<string, string | undefined>;
  /** where programs are looked for */
  programFolders: readonly string[];
  packages: LackingPackages;
  /** false: no guest is started */
  probe: boolean;
  signal: AbortSignal;
  progress(step: { name: string }): void;
};

/** Looks at this host with the settings that a controller would have. Needs no controller and no state folder, and makes neither. */
export async function doctor(o: DoctorOptions): Promise<DoctorReport> {
  const config = readConfig(o.environment);
  const readings = await readHost({
    qemu: config.qemu,
    stateFolder: o.stateFolder,
    subnet: config.subnet ?? usualSubnet,
    programFolders: o.programFolders,
    firecrackers: config.firecrackers,
    packages: o.packages,
    probe: o.probe,
    signal: o.signal,
    progress: (step) => o.progress(step),
  });
  return examineHost(readings, clock.now());
}
