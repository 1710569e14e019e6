/**
 * How a simulated Firecracker can be told to behave otherwise than well: `--sim-fate NAME` or `--sim-fate NAME=ARGUMENT`, several times if
 * they do not exclude each other. The texts and exit codes stand where they are produced.
 */
export const fateNames = {
  // The guest, after it is up; vmm/src/vstate/vcpu.rs.
  'guest-reboots': 'the guest reboots once it is ready: i8042 reset, exit 0',
  'guest-panics': 'the kernel panics; with panic=N on the command line and reboot=k it then resets (exit 0), else the process lives on',
  'guest-triple-faults': 'KVM_EXIT_SHUTDOWN: exit 0 up to 1.14, exit 1 from 1.15',
  'guest-powers-off': 'x86 has no power device: the guest halts and the process lives on',
  'guest-hangs': 'the console stops after the kernel banner',
  'guest-without-root': 'VFS: Cannot open root device, then a panic as with guest-panics',
  'hangs-at-end': 'as after a request that came while the guest ended: the process lives on, and answers nothing any more',
  'guest-ignores-keys': 'SendCtrlAltDel is answered 204 and has no effect',
  // The process; firecracker/src/main.rs.
  seccomp: 'SIGSYS is caught: exit 148 after the line of the log; the argument is the call number',
  sigbus: 'exit 149',
  sigxfsz: 'exit 151',
  panics: 'a panic of Rust: text on stderr, SIGABRT',
  killed: 'SIGKILL to itself once the guest is ready',
  'vcpu-fails': 'a KVM error of a vCPU: exit 1',
  'ignores-sigterm': 'SIGTERM and SIGINT have no effect, as for pid 1 of a pid namespace',
  // KVM; at InstanceStart, so 400 with the API and exit 1 with a config file.
  'kvm-missing': 'there is no /dev/kvm',
  'kvm-denied': 'no permission to open /dev/kvm',
  'kvm-busy': 'another hypervisor holds the processor',
  'kvm-unable': 'KVM opens and cannot create a VM',
  // The API thread.
  'api-mute': 'connections are accepted and nothing is ever answered',
  'api-garbage': 'every answer is bytes that are no HTTP',
  'api-torn': 'the process dies in the middle of an answer; the argument says of which call, counted from 1',
  'api-dies-after': 'the process dies (SIGKILL) after as many answers as the argument says',
  'api-never-binds': 'the socket never appears',
  'start-hangs': 'InstanceStart is never answered, and nor is anything after it',
  'builds-slowly': 'the VM of a configuration file takes as many milliseconds to be made as the argument says',
  'start-fails': 'InstanceStart is refused: not enough memory',
  slow: 'each answer takes as many milliseconds as the argument says',
  // Output.
  'floods-console': 'the guest writes without end',
  'floods-log': 'the logger writes without end',
  'vsock-reset': 'host-initiated vsock connections are closed as soon as they are made',
} as const;
export type FateName = keyof typeof fateNames;
export type Fate = FateName | `${FateName}=${string}`;

export class Fates {
  readonly #given: ReadonlyMap<string, string>;

  /** Throws on a name that is none: a test with a misspelt fate would test nothing. */
  constructor(fates: readonly string[]) {
    this.#given = new Map(
      fates.map((fate) => {
        const cut = fate.indexOf('=');
        const name = cut === -1 ? fate : fate.slice(0, cut);
        if (!Object.hasOwn(fateNames, name)) throw new Error(`there is no fate ${name}; there are: ${Object.keys(fateNames).join(', ')}`);
        return [name, cut === -1 ? '' : fate.slice(cut + 1)];
      }),
    );
  }

  has(name: FateName): boolean {
    return this.#given.has(name);
  }
  number(name: FateName, otherwise: number): number | null {
    const text = this.#given.get(name);
    if (text === undefined) return null;
    return text === '' ? otherwise : Number(text);
  }
}
