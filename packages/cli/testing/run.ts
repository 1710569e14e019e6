/** Runs the real CLI as a process of its own, for tests: exit code and both streams. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

export type CliRun = { code: number | null; stdout: string; stderr: string };

export function runCliProcess(
  argv: readonly string[],
  env: Record<string, string> = {},
  onStart?: (kill: (signal: NodeJS.Signals) => void) => void,
  input?: string,
): Promise<CliRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'main.ts'), ...argv], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '', LINSTOCK_STATE: '/nonexistent/linstock', ...env },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.on('error', () => {}); // it may end without reading all of it
    child.stdin.end(input);
    onStart?.((signal) => {
      child.kill(signal);
    });
  });
}
