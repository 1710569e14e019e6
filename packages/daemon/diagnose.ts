/** The diagnosis of files alone: it needs no controller and loads nothing of one. */
import type { EvidenceDocument } from '@linstock/contract';
import { Condenser } from '@linstock/core/diagnosis';
import { lookIntoKernel } from '@linstock/host/kernels';

export { diagnose } from '@linstock/core/diagnosis';

/** Takes a text of any size piece by piece, in bounded memory. */
export function condenser(): Condenser {
  return new Condenser((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

/** What is known of a kernel file, as lines; what is not known is not in it. */
export async function kernelDocument(path: string, signal: AbortSignal): Promise<EvidenceDocument> {
  const report = await lookIntoKernel({ path, configPath: undefined, signal }, 'known');
  const options = report.options.flatMap(({ option, value }) =>
    value === 'yes'
      ? [`CONFIG_${option}=y`]
      : value === 'module'
        ? [`CONFIG_${option}=m`]
        : value === 'no'
          ? [`# CONFIG_${option} is not set`]
          : [],
  );
  const boot = report.boot.map(({ protocol, works, detail }) => `boot ${protocol}: ${works ? 'yes' : 'no'} (${detail})`);
  const text = [
    `format: ${report.format}`,
    `architecture: ${report.arch}`,
    `release: ${report.release ?? 'not known'}`,
    ...boot,
    ...options,
  ];
  return { kind: 'kernel', name: 'kernel', text: `${text.join('\n')}\n`, cut: null };
}
