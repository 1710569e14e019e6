import { spawnSync } from 'node:child_process';

/** Whether an ordinary user may reach that path; asked as root, who can become one. A clone below /root (0700) may not be reached. */
export function othersCanReach(path: string): boolean {
  return spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'test', '-r', path]).status === 0;
}
