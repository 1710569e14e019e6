import type { EvidenceLine } from '@linstock/contract';
import { proved, refuted, unknown, type Finding } from './condition.ts';
import type { Sight } from './sight.ts';

/** vmm.started: the process lives in its cgroup and its API answers with the version that was asked for. */
export function vmmStarted(sight: Sight): Finding {
  const { alive, version, expectedVersion, pid, cgroup } = sight.vmm;
  const expected = `the VMM process is alive and its API answers${expectedVersion === null ? '' : ` as version ${expectedVersion}`}`;
  const where = `process ${pid ?? 'of unknown id'}${cgroup === null ? '' : ` in ${cgroup}`}`;
  const says = (text: string): EvidenceLine => ({ source: 'vmm', at: sight.at, text });
  if (!alive)
    return refuted(
      expected,
      'no VMM process',
      [says('no process of this boot is alive')],
      "The end of the console, then the VMM's own log and exit status.",
    );
  if (version === null)
    return unknown(
      expected,
      `${where} is alive, its API does not answer`,
      "The VMM's own log; then whether its API socket is there and who holds it.",
      [says(`${where} is alive`)],
    );
  const answer = says(`${where} is alive, its API answers version ${version}`);
  if (expectedVersion === null)
    return unknown(
      expected,
      `${where}, version ${version}`,
      'Run the VMM binary with --version: the host does not know which version it should be.',
      [answer],
    );
  if (version !== expectedVersion) {
    return refuted(
      expected,
      `version ${version}`,
      [answer],
      'Which binary the process runs (/proc/PID/exe): it was replaced, or another one is first in the path.',
    );
  }
  return proved(expected, `${where}, version ${version}`, [answer]);
}
