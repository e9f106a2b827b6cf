/** All exchanges of one chat, in their order, kept in the browser's session. */

import { Exchange } from "./exchange.ts";
import type { Keeper } from "./keeper.ts";
import { type Frames, pageFrames } from "./livetext.ts";
import type { Question, Transport } from "./transport.ts";

/** What of the earlier exchanges goes along with a question, characters at most. */
const BEFORE_MOST = 12_000;

export interface Clock {
  newId(): string;
  readonly frames: Frames;
}

export const pageClock: Clock = {
  // Not randomUUID: it is there only on pages with TLS.
  newId: () =>
    Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join(""),
  frames: pageFrames,
};

export class Conversation {
  model: string | null = null;
  #exchanges: readonly Exchange[] = [];
  #listeners = new Set<() => void>();
  #transport: Transport;
  #keeper: Keeper;
  #clock: Clock;
  #unwatch = new Map<string, () => void>();

  constructor(transport: Transport, keeper: Keeper, clock: Clock = pageClock) {
    this.#transport = transport;
    this.#keeper = keeper;
    this.#clock = clock;
    for (const kept of keeper.read()) {
      this.#add(Exchange.restored(kept, transport, clock.frames));
    }
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getExchanges = (): readonly Exchange[] => this.#exchanges;

  /** The exchange whose answer is on its way; only the last can have one. */
  get open(): Exchange | null {
    const last = this.#exchanges.at(-1);
    return last?.open ? last : null;
  }

  /** Go on reading what was on its way when the page was left. */
  resume(): void {
    for (const exchange of this.#exchanges) if (exchange.open) void exchange.goOn();
  }

  ask(prompt: string): Exchange {
    const exchange = new Exchange(this.#clock.newId(), prompt, this.#transport, this.#clock.frames);
    const question = this.#question(this.#exchanges);
    this.#add(exchange);
    void exchange.ask(question);
    return exchange;
  }

  /** Ask again what had no answer, or another one than was wanted. */
  retry(exchange: Exchange): void {
    const at = this.#exchanges.indexOf(exchange);
    void exchange.ask(this.#question(this.#exchanges.slice(0, at)));
  }

  /** Forget everything, and stop what is on its way. */
  clear(): void {
    for (const exchange of this.#exchanges) {
      exchange.stop();
      this.#unwatch.get(exchange.id)?.();
    }
    this.#unwatch.clear();
    this.#exchanges = [];
    this.#keeper.clear();
    this.#tell();
  }

  /** Keep now what is on its way: the page may be about to go. */
  readonly save = (): void => {
    for (const exchange of this.#exchanges) if (exchange.open) this.#keeper.keep(exchange.keep());
  };

  /** Read no further and hold nothing; what is kept stays for the next time. */
  leave(): void {
    this.save();
    for (const exchange of this.#exchanges) exchange.leave();
  }

  #add(exchange: Exchange): void {
    this.#exchanges = [...this.#exchanges, exchange];
    const offView = exchange.subscribe(() => {
      this.#keeper.keep(exchange.keep());
      // The page asks who is open.
      this.#tell();
    });
    const offText = exchange.text.subscribe(() =>
      this.#keeper.keepSoon(exchange.id, exchange.text.received.length, () => exchange.keep()),
    );
    this.#unwatch.set(exchange.id, () => {
      offView();
      offText();
    });
    this.#keeper.list(this.#exchanges.map(({ id }) => id));
    this.#tell();
  }

  #question(exchanges: readonly Exchange[]): Omit<Question, "prompt"> {
    const before: { user: string; assistant: string }[] = [];
    let size = 0;
    for (const { prompt, text } of exchanges.toReversed()) {
      size += prompt.length + text.received.length;
      if (size > BEFORE_MOST) break;
      if (text.received) before.unshift({ user: prompt, assistant: text.received });
    }
    return { model: this.model, before };
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
