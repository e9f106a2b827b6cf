/** One question and its answer, from the first click to the last word, also across reloads. */

import { type Frames, LiveText, pageFrames } from "./livetext.ts";
import {
  type Accepted,
  type Action,
  type Calling,
  type Facts,
  type News,
  type Problem,
  type Question,
  type Transport,
  TransportError,
} from "./transport.ts";

export type Phase = "asking" | "waiting" | "writing" | "done" | "stopped" | "failed";

/** What the page shows beside the text. */
export interface View {
  readonly phase: Phase;
  readonly notice: string;
  readonly lineLost: boolean;
  readonly requestId: string | null;
  readonly actions: readonly Action[];
  readonly problem: Problem | null;
  readonly facts: Facts | null;
}

/** What a reload needs to go on at the exact character: `text` is all up to `after`. */
export interface Kept {
  readonly id: string;
  readonly prompt: string;
  readonly phase: Phase;
  readonly accepted: Accepted | null;
  readonly after: string | null;
  readonly text: string;
  readonly actions: readonly Action[];
  readonly problem: Problem | null;
  readonly facts: Facts | null;
}

const FRESH: View = {
  phase: "asking",
  notice: "",
  lineLost: false,
  requestId: null,
  actions: [],
  problem: null,
  facts: null,
};

const LOST: Problem = {
  code: "INTERRUPTED",
  message: "The page was closed before the gateway had the question.",
  retryable: true,
  resumable: false,
};

export class Exchange {
  readonly id: string;
  readonly prompt: string;
  readonly text: LiveText;
  #transport: Transport;
  #view: View = FRESH;
  #accepted: Accepted | null = null;
  #after: string | null = null;
  #listeners = new Set<() => void>();
  #running: AbortController | null = null;

  constructor(id: string, prompt: string, transport: Transport, frames: Frames = pageFrames) {
    this.id = id;
    this.prompt = prompt;
    this.#transport = transport;
    this.text = new LiveText(frames);
  }

  /** An exchange as it was kept. */
  static restored(kept: Kept, transport: Transport, frames: Frames = pageFrames): Exchange {
    const exchange = new Exchange(kept.id, kept.prompt, transport, frames);
    exchange.#restore(kept);
    return exchange;
  }

  get view(): View {
    return this.#view;
  }

  /** An answer is on its way. */
  get open(): boolean {
    return isOpen(this.#view.phase);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getView = (): View => this.#view;

  /** What to keep of it now. */
  keep(): Kept {
    const { phase, actions, problem, facts } = this.#view;
    return {
      id: this.id,
      prompt: this.prompt,
      phase,
      // A credential: kept while there is something to read with it.
      accepted: isOpen(phase) || problem?.resumable ? this.#accepted : null,
      after: this.#after,
      text: this.text.received,
      actions,
      problem,
      facts,
    };
  }

  /** Ask from the beginning. What was said to an earlier try is void. */
  async ask(question: Omit<Question, "prompt">): Promise<void> {
    this.#accepted = this.#after = null;
    this.text.reset();
    this.#show(FRESH);
    await this.#run(async (signal) => {
      const asked = { ...question, prompt: this.prompt };
      this.#accepted = await this.#transport.ask(asked, this.#calling(signal));
      this.#show({ phase: "waiting", requestId: this.#accepted.requestId });
      await this.#read(this.#accepted, signal);
    });
  }

  /** Read on where the answer was left: after a reload, or when the line was lost for long. */
  async goOn(): Promise<void> {
    const accepted = this.#accepted;
    if (!accepted) return;
    this.#show({ phase: this.text.received ? "writing" : "waiting", problem: null });
    await this.#run((signal) => this.#read(accepted, signal));
  }

  /** Stop the answer, here at once and at the gateway as soon as it hears of it. */
  stop(): void {
    if (!this.open) return;
    this.leave();
    this.#end({ phase: "stopped" }, true);
    if (this.#accepted) void this.#transport.cancel(this.#accepted).catch(() => {});
  }

  /** Read no further; the answer goes on at the gateway. */
  leave(): void {
    this.#running?.abort();
    this.#running = null;
  }

  async #run(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.leave();
    const running = new AbortController();
    this.#running = running;
    try {
      await work(running.signal);
    } catch (error) {
      if (running.signal.aborted) return;
      this.#fail(error);
    }
  }

  #read(accepted: Accepted, signal: AbortSignal): Promise<void> {
    return this.#transport.read(accepted, {
      ...this.#calling(signal),
      after: this.#after,
      onNews: (news) => {
        if (!signal.aborted) this.#take(news);
      },
    });
  }

  #calling(signal: AbortSignal): Calling {
    return {
      signal,
      onLine: (there) => {
        const changed = this.#view.lineLost === there;
        if (changed && this.open && !signal.aborted) this.#show({ lineLost: !there });
      },
    };
  }

  #take(news: News): void {
    // First: what is kept from here on is the text with this in it.
    this.#after = news.id ?? this.#after;
    switch (news.kind) {
      case "notice":
        this.#show({ notice: news.text });
        break;
      case "text":
        this.text.append(news.text);
        if (this.#view.phase !== "writing") this.#show({ phase: "writing", notice: "" });
        break;
      case "restart":
        this.text.reset();
        this.#show({ phase: "waiting", actions: [], notice: "Starting again" });
        break;
      case "action":
        this.#show({ actions: [...this.#view.actions, news.action] });
        break;
      case "complete":
        // It never differs; if it did, the gateway's own words are the answer.
        if (news.response !== this.text.received) this.text.reset(news.response);
        this.#end({ phase: "done", facts: news.facts });
        break;
      case "failed":
        if (news.problem.code === "CANCELLED") this.#end({ phase: "stopped" }, true);
        else this.#end({ phase: "failed", problem: news.problem });
    }
  }

  #fail(error: unknown): void {
    if (!(error instanceof TransportError)) throw error;
    // What was not accepted has nothing to read on.
    const resumable = error.problem.resumable && this.#accepted !== null;
    this.#end({ phase: "failed", problem: { ...error.problem, resumable } });
  }

  #end(change: Partial<View>, now = false): void {
    this.text.end({ now });
    this.#show({ ...change, lineLost: false, notice: "" });
  }

  #restore(kept: Kept): void {
    this.#accepted = kept.accepted;
    this.#after = kept.after;
    this.text.reset(kept.text);
    const { phase, actions, problem, facts } = kept;
    const requestId = kept.accepted?.requestId ?? null;
    this.#show({ phase, actions, problem, facts, requestId });
    if (!this.open) this.text.end({ now: true });
    else if (!kept.accepted) this.#end({ phase: "failed", problem: LOST });
  }

  #show(change: Partial<View>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function isOpen(phase: Phase): boolean {
  return phase === "asking" || phase === "waiting" || phase === "writing";
}
