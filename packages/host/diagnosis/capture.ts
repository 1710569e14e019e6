/** What goes over the wire while a VM is probed: its TAP and the bridge of its network, bounded in frames and time. */
import { bridgeName, inside, type Wiring } from '@linstock/core';
import type { Network } from '@linstock/contract';
import { exec } from '../tools/exec.ts';
import { lookBy, type Look } from './look.ts';

const mostFrames = 200;
const mostMs = 20_000;

export class Capture {
  readonly #stop = new AbortController();
  readonly #looks: readonly Promise<Look>[];

  private constructor(looks: (signal: AbortSignal) => readonly Promise<Look>[], signal: AbortSignal) {
    this.#looks = looks(AbortSignal.any([this.#stop.signal, signal]));
  }

  static async start(o: { mark: string; network: Network; wiring: Wiring }, signal: AbortSignal): Promise<Capture> {
    const { wiring } = o;
    // its first start is its slowest: who comes after it finds it in the page cache, and it listens before the first probe
    const there = await exec(['tcpdump', '--version'], { timeoutMs: mostMs, signal });
    if (there.spawnError !== null)
      return new Capture(
        () => [Promise.resolve({ shown: `tcpdump -i ${inside.tap}`, output: '', exit: 'not captured: tcpdump is not installed' })],
        signal,
      );
    // ARP as well: who else answers for its address, and with which MAC
    const filter = `ether host ${wiring.mac} or (arp and host ${wiring.address})`;
    const look = (device: string, within: readonly string[], ends: AbortSignal): Promise<Look> => {
      const argv = ['tcpdump', '-n', '-e', '-l', '--immediate-mode', '-s', '128', '-c', String(mostFrames), '-i', device, filter];
      return lookBy(
        [...within, ...argv],
        { signal: ends, timeoutMs: mostMs },
        { shown: `${[...within, ...argv.slice(0, 3)].join(' ')} -i ${device} "${filter}"   (during the probes)` },
      );
    };
    return new Capture(
      (ends) => [look(inside.tap, ['ip', 'netns', 'exec', wiring.netns], ends), look(bridgeName(o.mark, o.network.index), [], ends)],
      signal,
    );
  }

  /** Ends it and gives what was seen. */
  async end(): Promise<Look[]> {
    this.#stop.abort();
    // that we ended it is no trouble of it
    return (await Promise.all(this.#looks)).map(({ exit, ...look }) =>
      exit?.startsWith('not captured') || exit?.startsWith('not looked:') ? { ...look, exit } : look,
    );
  }
}
