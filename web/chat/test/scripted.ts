/** A gateway that says what a test tells it to, and frames that come at once. */

import type { Kept } from "../exchange.ts";
import type { Frames } from "../livetext.ts";
import {
  type Accepted,
  type News,
  type Question,
  type Reading,
  type Transport,
  TransportError,
} from "../transport.ts";

export const ACCEPTED: Accepted = { requestId: "job-1", streamUrl: "https://x/?access_token=t" };
export const COMPLETE = { model: "m", tokens: 3, firstTokenS: 0.1, totalS: 0.2 };

/** One reading, in the hands of the test. */
export class Reader {
  readonly reading: Reading;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;
  readonly done: Promise<void>;

  constructor(reading: Reading) {
    this.reading = reading;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    reading.signal.addEventListener("abort", () => this.#reject(reading.signal.reason));
  }

  say(...news: News[]): this {
    for (const each of news) this.reading.onNews(each);
    return this;
  }

  text(id: string, text: string): this {
    return this.say({ kind: "text", id, text });
  }

  complete(id: string, response: string): void {
    this.say({ kind: "complete", id, response, facts: COMPLETE });
    this.#resolve();
  }

  fail(code: string, resumable: boolean): void {
    this.#reject(new TransportError({ code, message: code, retryable: true, resumable }));
  }
}

export class Scripted implements Transport {
  readonly asked: Question[] = [];
  readonly cancelled: string[] = [];
  readonly readers: Reader[] = [];
  refuse: TransportError | null = null;

  async ask(question: Question): Promise<Accepted> {
    this.asked.push(question);
    if (this.refuse) throw this.refuse;
    return { ...ACCEPTED, requestId: `job-${this.asked.length}` };
  }

  read(_: Accepted, reading: Reading): Promise<void> {
    const reader = new Reader(reading);
    this.readers.push(reader);
    return reader.done;
  }

  async cancel({ requestId }: Accepted): Promise<void> {
    this.cancelled.push(requestId);
  }

  /** The last reading there is; everything that was begun before is given its turn first. */
  async reader(): Promise<Reader> {
    await turn();
    const last = this.readers.at(-1);
    if (!last) throw new Error("nobody reads");
    return last;
  }
}

/** Everything that waits for nothing else has happened. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Frames that are there as soon as they are wanted. */
export const atOnce: Frames = {
  still: true,
  next(call) {
    const timer = setImmediate(() => call(0));
    return () => clearImmediate(timer);
  },
};

/** A session of a browser's, which may be full. */
export class Session implements Storage {
  readonly kept = new Map<string, string>();
  room = Number.POSITIVE_INFINITY;

  get length(): number {
    return this.kept.size;
  }

  clear(): void {
    this.kept.clear();
  }

  getItem(key: string): string | null {
    return this.kept.get(key) ?? null;
  }

  key(index: number): string | null {
    return [...this.kept.keys()][index] ?? null;
  }

  removeItem(key: string): void {
    this.kept.delete(key);
  }

  setItem(key: string, value: string): void {
    const others = [...this.kept].filter(([name]) => name !== key);
    const size = others.reduce((sum, [, text]) => sum + text.length, value.length);
    if (size > this.room) throw new DOMException("full", "QuotaExceededError");
    this.kept.set(key, value);
  }

  /** What is kept of one exchange. */
  exchange(id: string): Kept | null {
    return JSON.parse(this.getItem(`chat:${id}`) ?? "null");
  }
}
