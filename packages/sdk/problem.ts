/**
 * Between the RFC 9457 document of a reply and the FaultError a caller catches, both ways.
 * A code that this build does not know (the controller is newer) becomes `bug` in type, but keeps the controller's own
 * sentence, code and document: a client must survive a fault added later.
 */
import { FaultError, faults, isFaultCode, sentenceOf, type Fault, type Problem } from '@linstock/contract';

/** The document as far as a client may rely on it; `code` is any text, because the controller may be newer. */
type LooseProblem = Omit<Problem, 'code'> & { code: string };

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isProblem(value: unknown): value is LooseProblem {
  return isRecord(value) && typeof value['code'] === 'string' && typeof value['status'] === 'number' && typeof value['detail'] === 'string';
}

function dataOf(value: unknown): Fault['data'] {
  const data: Fault['data'] = {};
  if (!isRecord(value)) return data;
  for (const [key, one] of Object.entries(value)) if (typeof one === 'string' || typeof one === 'number') data[key] = one;
  return data;
}

/** The fault a reply carries, or null when the document is no problem document (something else answered). */
export function faultOfReply(document: unknown, requestIdHeader: string | undefined): FaultError | null {
  if (!isProblem(document)) return null;
  const requestId = typeof document.requestId === 'string' ? document.requestId : requestIdHeader;
  const options = requestId === undefined ? { cause: document } : { cause: document, requestId };
  if (isFaultCode(document.code)) return new FaultError(document.code, dataOf(document.data), options);
  const newer = new FaultError('bug', { ...dataOf(document.data), requestId: requestId ?? '?' }, options);
  newer.message = document.detail;
  return newer;
}

/** The problem document of a fault: the one the controller sent, or one made here for a fault that never reached it. */
export function problemOf(error: FaultError): LooseProblem {
  if (isProblem(error.cause)) return error.cause;
  const { code, data } = error.fault;
  const kind = faults[code];
  return {
    type: `docs/errors.md#${code}`,
    title: code,
    status: kind.http,
    detail: sentenceOf(error.fault),
    instance: '',
    code,
    family: kind.family,
    retry: kind.retry,
    requestId: error.requestId ?? '',
    data,
  };
}
