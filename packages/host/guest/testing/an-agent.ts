/** The real agent, built here and served on a unix socket of the host. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const source = join(import.meta.dirname, '../../../../guest/agent');
const go = spawnSync('go', ['version'], { encoding: 'utf8' });

export const noAgent: string | false = go.status === 0 ? false : 'no go on the PATH to build the agent with';

export type AnAgent = { path: string; stop(): void };

export async function anAgent(): Promise<AnAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'agent-'));
  const path = join(folder, 'socket');
  const binary = join(folder, 'agent');
  const options = { cwd: source, env: { ...process.env, CGO_ENABLED: '0', GOPROXY: 'off', GOFLAGS: '' } };
  execFileSync('go', ['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w -buildid=', '-o', binary, '.'], options);
  const agent = spawn(binary, ['-listen', `unix:${path}`], { stdio: ['ignore', 'ignore', 'pipe'] });
  const { promise, resolve } = Promise.withResolvers<void>();
  agent.stderr.once('data', () => resolve()); // "ready on …"
  await promise;
  return {
    path,
    stop: () => {
      agent.kill();
      rmSync(folder, { recursive: true });
    },
  };
}
