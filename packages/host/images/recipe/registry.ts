/** An image from a registry: fetched by skopeo into an OCI layout, which is then read like any other. Who may fetch is skopeo's business (containers-auth.json(5)). */
import { describeFailure, exec, succeeded } from '../../tools/exec.ts';
import { imageFault } from '../refusal.ts';

/** Some GB over a slow line. */
const FETCH_TIMEOUT_MS = 3_600_000;

export function skopeoArgv(reference: string, layout: string): string[] {
  return [
    'skopeo',
    '--override-os',
    'linux',
    '--override-arch',
    'amd64',
    'copy',
    '--quiet',
    '--retry-times',
    '2',
    reference,
    `oci:${layout}`,
  ];
}

export async function fetchImage(reference: string, layout: string, signal: AbortSignal | undefined): Promise<void> {
  const result = await exec(skopeoArgv(reference, layout), { timeoutMs: FETCH_TIMEOUT_MS, signal });
  if (result.aborted) signal?.throwIfAborted();
  if (result.spawnError === 'ENOENT')
    throw imageFault(
      'skopeo is not installed, which images are fetched from registries with: install the package skopeo, or fetch the image elsewhere and give its file (docker-archive:FILE).',
    );
  if (!succeeded(result))
    throw imageFault(
      `${reference} could not be fetched. ${describeFailure(result)} See whether the name is right, the registry can be reached from here, and it wants a login ("skopeo login").`,
    );
}
