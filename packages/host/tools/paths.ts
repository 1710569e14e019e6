import { join } from 'node:path';

/** One class owns every path of an installation. */
export class Paths {
  readonly state: string;
  constructor(state: string) {
    this.state = state;
  }
  get database(): string {
    return join(this.state, 'linstock.db');
  }
  get installation(): string {
    return join(this.state, 'installation.json');
  }
  /** the header line that every call but health needs: `curl -H @FILE`, so that the token is on no command line */
  get authorization(): string {
    return join(this.state, 'authorization');
  }
  get lock(): string {
    return join(this.state, 'daemon.lock');
  }
  /** where the running controller says how to reach it */
  get serving(): string {
    return join(this.state, 'serving.json');
  }
  get log(): string {
    return join(this.state, 'controller.log');
  }
  get images(): string {
    return join(this.state, 'images');
  }
  /** sources and objects of kernels that are being built; a log stays of those that were */
  get kernelBuilds(): string {
    return join(this.state, 'kernel-builds');
  }
  get disks(): string {
    return join(this.state, 'disks');
  }
  diskFolder(vm: string): string {
    return join(this.disks, vm);
  }
  disk(vm: string, format: 'qcow2' | 'raw'): string {
    return join(this.disks, vm, `root.${format}`);
  }
  /** rule files, and what the host was like before */
  get network(): string {
    return join(this.state, 'network');
  }
  /** what the probe boots showed */
  get hostFacts(): string {
    return join(this.state, 'host.json');
  }
  get boots(): string {
    return join(this.state, 'boots');
  }
  /** Everything one boot leaves: kept after it, for people and diagnosis. */
  boot(boot: string): string {
    return join(this.boots, boot);
  }
  /** what jailed VMMs see as their root; on the filesystem of the rest, because files are linked into it */
  get jails(): string {
    return join(this.state, 'jails');
  }
  /** VMM processes that ended write a file here: one folder to watch for all of them. */
  get ends(): string {
    return join(this.state, 'ends');
  }
}

/** Files inside the folder of one boot. */
export const bootFile = {
  console: 'console.log',
  /** byte offset and host time, a line each */
  consoleTimes: 'console.times',
  /** offset of the first console byte that is still kept */
  consoleOldest: 'console.oldest',
  vmmLog: 'vmm.log',
  plan: 'plan.json',
  exit: 'exit',
  /** written before the VMM is executed: from then on this boot has run and is never launched again */
  ran: 'ran',
  agent: 'agent.sock',
  qmp: 'qmp.sock',
  serial: 'console.sock',
} as const;
