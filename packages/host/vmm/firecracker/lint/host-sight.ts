/** What is read of this machine for a configuration. What could not be seen is null or `closed`: that is unknown, never "no". */
export type FileSight =
  | { is: 'absent'; /** whether the folder it would lie in is there, and may be written to */ folder: 'absent' | 'closed' | 'writable' }
  /** it could not be looked at: the errno name, EACCES for a folder on the way that may not be entered */
  | { is: 'closed'; code: string }
  | {
      is: 'there';
      kind: 'file' | 'folder' | 'block' | 'socket' | 'other';
      /** null for what has no size of its own */
      bytes: number | null;
      /** device and inode: the same for two names of one file */
      id: string;
      readable: boolean;
      writable: boolean;
      /** the first bytes of a file that may be read */
      head: Uint8Array | null;
      /** whether somebody listens on a socket of this name; null when that was not seen */
      listening: boolean | null;
    };

export type TapSight = {
  /** a TAP, and not some other kind of interface */
  tap: boolean;
  multiQueue: boolean;
  up: boolean;
  /** somebody has it open; carrier tells, and only of one that is up */
  busy: boolean;
  /** who may open it without CAP_NET_ADMIN; null = not restricted to one */
  owner: number | null;
  group: number | null;
  /** the process that has it open, if it could be seen */
  holder: { pid: number; command: string } | null;
};

export type HostSight = {
  /** where relative paths are looked up */
  folder: string;
  user: { id: number; groups: readonly number[] };
  /** by the path as the configuration writes it */
  files: ReadonlyMap<string, FileSight>;
  /** by name, those that are there; null when the interfaces could not be listed */
  taps: ReadonlyMap<string, TapSight> | null;
  memoryMiB: number;
  /** free pages of 2 MiB; null when the kernel has none */
  freeHugePages: number | null;
};
