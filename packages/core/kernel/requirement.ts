/** The shape of a requirement (requirements.ts holds them, check.ts judges them). */
import type { Span } from '../versions.ts';

/** An option, all or any of several, an option that must be off, or something that the banner says. */
export type Need = string | { all: readonly Need[] } | { any: readonly Need[] } | { off: string } | { banner: RegExp; means: string };

/** What is enough: in the kernel itself; a module, where an initrd loads it before it is needed; a module from the root file system. */
export type Enough = 'built-in' | 'initrd' | 'module';

export type Vmm = 'firecracker' | 'qemu';
export type Transport = 'mmio' | 'pci';

export type Requirement = {
  id: string;
  /** Without what is required it does not work; what is advised can be done without, at a price. */
  level: 'required' | 'advised';
  need: Need;
  enough: Enough;
  when: {
    vmm?: Vmm;
    versions?: Span;
    transport?: Transport;
    /** asked for with --needs */
    asked?: string;
    /** not when one of these is asked for */
    unless?: readonly string[];
  };
  why: string;
  symptom: string | null;
  /** The symptom is of the kernel's own mount of the root, which does not come where an initrd runs. */
  atRoot?: true;
  source: string;
};
