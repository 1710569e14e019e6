import { FaultError } from '@linstock/contract';

/** What the image code answers when something cannot be done: a code for programs and one sentence for people (what, why, what to do). */

export type ImageRefusalCode =
  | 'distribution-unknown'
  | 'package-unknown'
  | 'download-failed'
  | 'tool-missing'
  | 'tool-failed'
  | 'not-a-kernel'
  | 'kernel-incomplete-package'
  | 'kernel-without-pvh'
  | 'kernel-too-big-for-memory'
  | 'modules-missing'
  | 'not-an-initrd'
  | 'not-ext4'
  | 'rootfs-cut-short'
  | 'no-init'
  | 'file-not-found'
  | 'file-unreadable'
  | 'name-not-allowed'
  | 'golden-not-found'
  | 'golden-damaged'
  | 'disk-full';

export type ImageRefusal = {
  ok: false;
  code: ImageRefusalCode;
  say: string;
  /** With `disk-full`: what is free, `MiB`. */ freeMiB?: number;
};

export function refusal(code: ImageRefusalCode, say: string): ImageRefusal {
  return { ok: false, code, say };
}

/** The named fault that a refusal becomes outside of the image code; `folder` is where room was needed. */
export function faultOfRefusal(refused: ImageRefusal, folder: string): FaultError {
  switch (refused.code) {
    case 'disk-full':
      return new FaultError('host-disk-full', { path: folder, freeMiB: refused.freeMiB ?? 0 });
    case 'golden-damaged':
      return new FaultError('artifact-corrupt', { say: refused.say });
    case 'distribution-unknown':
    case 'package-unknown':
    case 'download-failed':
    case 'tool-missing':
    case 'tool-failed':
    case 'not-a-kernel':
    case 'kernel-incomplete-package':
    case 'kernel-without-pvh':
    case 'kernel-too-big-for-memory':
    case 'modules-missing':
    case 'not-an-initrd':
    case 'not-ext4':
    case 'rootfs-cut-short':
    case 'no-init':
    case 'file-not-found':
    case 'file-unreadable':
    case 'name-not-allowed':
    case 'golden-not-found':
      return new FaultError('image-refused', { say: refused.say });
  }
}

/** The same as one thing to throw, for work that is many calls deep. */
export function imageFault(say: string, cause?: unknown): FaultError {
  return new FaultError('image-refused', { say }, { cause });
}
