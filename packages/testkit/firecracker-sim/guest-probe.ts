/** Whether a real binary can run a guest here: a KVM may be missing, closed to us, or open and good for nothing. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endingGuest } from '@linstock/host';

/** Ten times what a slow host needs; a guest of ten instructions is over in 1 ms. */
const PATIENCE_MS = 20_000;

/** The reason, or false when a guest of ten instructions has spoken and ended. */
export function whyNoGuest(binary: string): string | false {
  const folder = mkdtempSync(join(tmpdir(), 'linstock-probe-'));
  try {
    writeFileSync(join(folder, 'k'), endingGuest('here', 'resets'));
    const config = { 'boot-source': { kernel_image_path: 'k' }, 'machine-config': { vcpu_count: 1, mem_size_mib: 32 }, drives: [] };
    writeFileSync(join(folder, 'c.json'), JSON.stringify(config));
    writeFileSync(join(folder, 'log'), '');
    const args = ['--no-api', '--config-file', 'c.json', '--log-path', 'log'];
    const { status, signal, stdout, stderr } = spawnSync(binary, args, { cwd: folder, timeout: PATIENCE_MS, encoding: 'utf8' });
    if (stdout.includes('here') && status === 0) return false;
    return `it runs no guest here: ${stderr.trim().split('\n').at(-1) || `it ended with ${String(status ?? signal)}`}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
