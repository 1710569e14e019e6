/** What is known of a VMM process: alive or how it ended, its own log, its memory. */
import { join } from 'node:path';
import type { EvidenceDocument } from '@linstock/contract';
import { Page, pairs } from '@linstock/core';
import type { PlanFile } from '../plan-file.ts';
import { bootFile } from '../tools/paths.ts';
import { readExit } from '../tools/units.ts';
import { firecrackerFile } from '../vmm/firecracker/config.ts';
import { tailOf } from '../vmm/last-words.ts';
import type { VmmSight } from '../vmm/vmm.ts';
import { lookInto } from './look.ts';

export type VmmOrder = {
  folder: string;
  plan: PlanFile | null;
  /** absent too when the boot is over */
  sight: VmmSight;
  /** what its own API answers */
  asked: { version: string; pid: number | null } | null;
  /** found without asking it */
  pid: number | null;
  signals: Readonly<Record<string, number>>;
};

const logTailBytes = 32 * 1024;
const status = /^(?:Name|State|Pid|PPid|Uid|VmPeak|VmSize|VmRSS|VmSwap|Threads|Seccomp|NoNewPrivs):/;

export async function vmmPage({ folder, plan, sight, asked, pid: found, signals }: VmmOrder): Promise<EvidenceDocument> {
  const page = new Page().section('vmm');
  if (plan) page.line(`${plan.vmm} ${plan.vmmVersion} ${plan.accelerator}; args: ${plan.argv.join(' ')}`);
  else page.line('no launch of it is recorded');
  const exit = await readExit(join(folder, bootFile.exit));
  if (sight.is === 'alive') {
    const pid = asked?.pid ?? found;
    const state = sight.paused ? 'paused' : 'running';
    page.line(
      `${pairs({ pid, version: asked?.version ?? null })} ${asked === null ? '' : `query-status {"status": "${state}", "running": ${String(!sight.paused)}}`}`.trim(),
    );
    if (asked === null) page.line('its API did not answer');
    if (pid !== null) {
      const { shown, output } = await lookInto(`/proc/${pid}/status`);
      page.look(
        shown,
        output
          .split('\n')
          .filter((line) => status.test(line) || line.startsWith('cat: '))
          .join('\n'),
      );
    }
  } else if (exit) {
    const rc = exit.signal === null ? exit.code : -(signals[exit.signal] ?? 0);
    page.line(
      `exited rc=${rc} ${pairs({ signal: exit.signal, at: new Date(exit.at).toISOString(), on_request: exit.onRequest ? 'yes' : 'no' })}`,
    );
  } else if (sight.is === 'ended') page.line('exited, and nobody saw how: its keeper was killed as well');
  else page.line('there is no process of it');
  if (sight.is === 'ended') page.line(sight.hint);
  const log = await tailOf(join(folder, bootFile.vmmLog), logTailBytes);
  page.line(log.trim() === '' ? "stderr: ''" : 'stderr:').block(log);
  const own = plan?.vmm === 'firecracker' ? await tailOf(join(folder, firecrackerFile.log), logTailBytes) : '';
  if (own !== '') page.section('firecracker log').block(own);
  return page.document('vmm-log', 'vmm-log');
}
