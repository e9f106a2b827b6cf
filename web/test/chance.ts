/** Chance that can be repeated: every test that uses it prints its seed. */
export class Chance {
  readonly seed: number;
  #state: number;

  constructor(seed = Number(process.env.SEED ?? Date.now() % 1_000_000)) {
    this.seed = seed;
    this.#state = seed;
    console.log(`SEED=${seed}`);
  }

  /** mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number below `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** The bytes in pieces of up to `most`. */
  *cuts(bytes: Uint8Array, most: number): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length;) {
      const end = at + 1 + this.below(most);
      yield bytes.subarray(at, end);
      at = end;
    }
  }
}
