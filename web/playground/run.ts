/** One try of the playground's: what was asked, what comes back, and how it is going. */

import { cancelJob, GatewayError, type Options } from "ai-streaming-gateway-client";
import { LiveText } from "../chat/livetext.ts";
import type { Settings } from "./doors.ts";
import { reading, readingOf, type Word } from "./reading.ts";
import { Wiretap } from "./wiretap.ts";

export type Phase = "asking" | "reading" | "reconnecting" | "done" | "stopped" | "failed";

export interface RunView {
  readonly phase: Phase;
  readonly jobId: string | null;
  readonly note: string;
  readonly actions: readonly { readonly name: string; readonly arguments: unknown }[];
  readonly problem: string | null;
  readonly firstMs: number | null;
  readonly totalMs: number | null;
}

const FRESH: RunView = {
  phase: "asking",
  jobId: null,
  note: "",
  actions: [],
  problem: null,
  firstMs: null,
  totalMs: null,
};

export class Run {
  readonly text = new LiveText();
  readonly wire: Wiretap;
  /** Changes with everything that the page shows of it. */
  version = 0;
  #view = FRESH;
  #options: Options;
  #ending = new AbortController();
  #listeners = new Set<() => void>();
  #telling = false;
  #begun = performance.now();

  private constructor(options: Options) {
    this.wire = new Wiretap(options.fetch ?? fetch, () => this.#tellSoon());
    this.#options = {
      ...options,
      fetch: this.wire.fetch,
      signal: this.#ending.signal,
      onStatus: ({ state }) => {
        if (!this.open) return;
        if (state === "waiting") this.#show({ phase: "reconnecting" });
        else if (state === "open" && this.#view.phase === "reconnecting") {
          this.#show({ phase: "reading" });
        }
      },
    };
  }

  /** Ask as the settings say. */
  static ask(settings: Settings, options: Options): Run {
    const run = new Run(options);
    void run.#follow(reading(settings, run.#options));
    return run;
  }

  /** Read a job that was made before. */
  static read(id: string, options: Options): Run {
    const run = new Run(options);
    void run.#follow(readingOf(id, run.#options));
    return run;
  }

  get view(): RunView {
    return this.#view;
  }

  get open(): boolean {
    return OPEN.has(this.#view.phase);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getVersion = (): number => this.version;

  /** Stop the job, and the reading of it. */
  stop(): void {
    if (!this.open) return;
    const { jobId } = this.#view;
    this.leave();
    this.#end({ phase: "stopped" });
    const { signal: _, onStatus: __, ...options } = this.#options;
    if (jobId) void cancelJob(jobId, { ...options, attempts: 2 }).catch(() => {});
  }

  /** Read no further. */
  leave(): void {
    this.#ending.abort();
  }

  async #follow(words: AsyncIterable<Word>): Promise<void> {
    try {
      for await (const word of words) this.#take(word);
      // Everything was read already: the gateway has nothing to add.
      if (this.open) this.#end({ phase: "done" });
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      if (!(error instanceof GatewayError)) throw error;
      const stopped = error.code === "CANCELLED";
      const problem = stopped ? null : `${error.message} ${error.advice}`;
      this.#end({ phase: stopped ? "stopped" : "failed", problem });
    }
  }

  #take(word: Word): void {
    switch (word.kind) {
      case "job":
        this.#show({ jobId: word.id, phase: "reading" });
        break;
      case "note":
        this.#show({ note: word.text });
        break;
      case "text":
        this.text.append(word.text);
        if (this.#view.firstMs === null) this.#show({ firstMs: this.#elapsed(), note: "" });
        break;
      case "restart":
        this.text.reset();
        this.#show({ actions: [], note: "starting again" });
        break;
      case "action":
        this.#show({ actions: [...this.#view.actions, word] });
        break;
      case "complete":
        this.#end({ phase: "done" });
    }
  }

  #elapsed(): number {
    return performance.now() - this.#begun;
  }

  #end(change: Partial<RunView>): void {
    this.text.end({ now: change.phase === "stopped" });
    this.#show({ note: "", ...change, totalMs: this.#elapsed() });
  }

  #show(change: Partial<RunView>): void {
    this.#view = { ...this.#view, ...change };
    this.#tellSoon();
  }

  /** Chunks come by the thousand; twenty times a second is enough to be told of them. */
  #tellSoon(): void {
    if (this.#telling) return;
    this.#telling = true;
    setTimeout(() => {
      this.#telling = false;
      this.version += 1;
      for (const listener of this.#listeners) listener();
    }, TELL_MS);
  }
}

const TELL_MS = 50;
const OPEN = new Set<Phase>(["asking", "reading", "reconnecting"]);
