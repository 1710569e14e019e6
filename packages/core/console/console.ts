/**
 * What a console says, line numbers from 1. Filled by `readConsole`. The whole console is the guest's word; what stands before user space
 * started can only be forged by the kernel or the image itself, what comes after by any process in the guest: `afterUserspace`.
 *
 * Facts are those of the first boot on this console; a second banner is counted, never mixed in.
 */
export type ConsoleLine = {
  line: number;
  /** the line, cleaned */
  text: string;
  /** any process of the guest may have written it */
  afterUserspace: boolean;
};

export type ConsoleFacts = {
  bytes: number;
  lines: number;
  /** the first `Linux version …`; `version` without timestamps and prefixes */
  banner: (ConsoleLine & { version: string }) | null;
  /** the beginning was not there to be read: every line may be a process's, and line numbers count from what was there */
  headLost: boolean;
  /** how many banners were seen; more than one: the guest restarted, or something prints the kernel's log */
  banners: number;
  /** the second banner */
  laterBanner: ConsoleLine | null;
  /**
   * The command line as the kernel printed it. `saved` (`Kernel command line:`, init/main.c) is what /proc/cmdline shows and replaces
   * `early` (`Command line:`, arch/x86/kernel/setup.c). `cut`: printk may have cut its end off.
   */
  commandLine: (ConsoleLine & { args: string; form: 'early' | 'saved'; cut: boolean }) | null;
  /** words of `Unknown kernel command line parameters "…"`; kernels before 5.14 never print it */
  unknownParameters: (ConsoleLine & { tokens: readonly string[]; cut: boolean }) | null;
  /** `Memory: 112984K/130680K available` */
  memory: (ConsoleLine & { availableKiB: number; totalKiB: number }) | null;
  cpus: (ConsoleLine & { count: number }) | null;
  /** file systems that a driver of the kernel said it mounted, at most 8 */
  mounts: readonly (ConsoleLine & { device: string; fstype: string; readonly: boolean | null })[];
  /** root mounted by the kernel or by an initrd of ours */
  rootMounted: (ConsoleLine & { device: string | null; fstype: string | null; readonly: boolean | null; by: 'kernel' | 'initrd' }) | null;
  /** the kernel waits for a root device, or cannot open or mount it; or our initrd gave up */
  rootProblem: ConsoleLine | null;
  /** kernel IP-Config block or our initrd's own line: the address was set at that moment */
  ipConfig:
    | (ConsoleLine & {
        device: string;
        address: string;
        gateway: string | null;
        mask: string | null;
        mac: string | null;
        by: 'kernel' | 'initrd';
      })
    | null;
  /** what the kernel or our initrd could not do about ip=, at most 8 */
  ipProblems: readonly ConsoleLine[];
  /** who in user space started to configure network interfaces, at most 8 */
  networkConfigurators: readonly (ConsoleLine & { name: string })[];
  /** the line after which any process may write */
  userspaceFrom: ConsoleLine | null;
  /** the kernel handed over: `Run /init as init process` */
  initStarted: (ConsoleLine & { path: string }) | null;
  /** `linstock-init: ready`, or systemd's `Startup finished` / `Reached target Multi-User System` */
  initFinished: (ConsoleLine & { by: 'linstock-init' | 'systemd' }) | null;
  /** `linstock-init: FAILED …` or `… not ready` */
  initProblem: ConsoleLine | null;
  /** at most 32 */
  failedUnits: readonly (ConsoleLine & { unit: string })[];
  randomReady: ConsoleLine | null;
  panic: ConsoleLine | null;
  oops: ConsoleLine | null;
  oom: ConsoleLine | null;
  /** the guest went down by itself */
  shutdown: (ConsoleLine & { how: 'restart' | 'power-off' | 'halt' }) | null;
  tscMhz: number | null;
};
