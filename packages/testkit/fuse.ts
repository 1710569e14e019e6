/** Power was cut: everything in memory is gone, everything on disk and in the world stays. */
export class PowerCut extends Error {
  constructor(spot: string) {
    super(`power cut at ${spot}`);
    this.name = 'PowerCut';
  }
}

/** Counts the spots where power may fail (or a tool may break), and fails at one of them. */
export class Fuse {
  at = 0;
  names: string[] = [];
  readonly #blowAt: number | null;
  readonly #blow: (spot: string) => never;
  constructor(
    blowAt: number | null,
    blow: (spot: string) => never = (spot) => {
      throw new PowerCut(spot);
    },
  ) {
    this.#blowAt = blowAt;
    this.#blow = blow;
  }
  spot(name: string): void {
    this.at += 1;
    this.names.push(name);
    if (this.at === this.#blowAt) this.#blow(name);
  }
}
