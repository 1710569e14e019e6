/** Evidence as people have it: files, a pipe, a bundle. */
import { createReadStream } from 'node:fs';
import { evidenceBundleSchema, type DocumentKind, type EvidenceDocument } from '@linstock/contract';
import { UsageError } from './command.ts';
import { unreadable } from './config-file.ts';
import type { DiagnoseFace } from './daemon-face.ts';

/** Of a bundle; `vm bundle` writes far less. */
const mostBundleBytes = 64 << 20;

async function* piecesOf(file: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of createReadStream(file, { ...(file === '-' ? { fd: 0 } : {}), signal, highWaterMark: 1 << 18 }))
      yield chunk as Uint8Array;
  } catch (error) {
    signal.throwIfAborted();
    throw new UsageError(`${file}: ${unreadable(error)}`);
  }
}

/** A text of any size; `-` is standard input. */
export async function readEvidence(
  file: string,
  kind: DocumentKind,
  name: string,
  { condenser }: Pick<DiagnoseFace, 'condenser'>,
  signal: AbortSignal,
): Promise<EvidenceDocument> {
  const taken = condenser();
  for await (const piece of piecesOf(file, signal)) taken.feed(piece);
  return taken.document(kind, name);
}

export async function readBundle(file: string, signal: AbortSignal): Promise<EvidenceDocument[]> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of piecesOf(file, signal)) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > mostBundleBytes)
      throw new UsageError(`${file}: it is larger than ${mostBundleBytes >> 20} MiB, so it is no bundle of \`vm bundle\``);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(pieces).toString('utf8'));
  } catch {
    throw new UsageError(`${file}: it is no JSON, so it is no bundle of \`vm bundle\`; give texts with --host or --console`);
  }
  const bundle = evidenceBundleSchema.safeParse(value);
  if (!bundle.success) {
    const [issue] = bundle.error.issues;
    throw new UsageError(`${file}: it is no bundle of \`vm bundle\`: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trimEnd());
  }
  return bundle.data.documents;
}
