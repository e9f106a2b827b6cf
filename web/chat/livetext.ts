/**
 * An answer while it is written: chunks come in at any pace, the page is told once a frame.
 *
 * What is shown may lie a little behind what was received; `received` is what to keep.
 */

import { Blocks } from "./markdown/blocks.ts";
import { Pacer } from "./pacer.ts";

/** The page is in the background, where there are no frames. */
const HIDDEN_MS = 250;

/** When the next piece is due; the page's own clock, or a test's. */
export interface Frames {
  /** Call once, at the next frame, with the time in milliseconds; returns how to call it off. */
  next(call: (now: number) => void): () => void;
  /** Nothing should move that need not. */
  readonly still: boolean;
}

export const pageFrames: Frames = {
  next(call) {
    if (document.visibilityState === "hidden") {
      const timer = setTimeout(() => call(performance.now()), HIDDEN_MS);
      return () => clearTimeout(timer);
    }
    // A frame that is due when the page is put away comes when it is looked at again.
    const frame = requestAnimationFrame(call);
    return () => cancelAnimationFrame(frame);
  },
  get still() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  },
};

export class LiveText {
  blocks = new Blocks();
  received = "";
  /** Changes whenever `blocks` shows more. */
  version = 0;
  #frames: Frames;
  #pacer = new Pacer();
  #listeners = new Set<() => void>();
  #callOff: (() => void) | null = null;
  #shownAt = 0;
  #over = false;

  constructor(frames: Frames = pageFrames) {
    this.#frames = frames;
  }

  /** All that was received is shown, and nothing more will come. */
  get settled(): boolean {
    return this.#over && this.#pacer.empty;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getVersion = (): number => this.version;

  append(text: string): void {
    if (!text) return;
    this.received += text;
    this.#pacer.push(text);
    this.#await();
  }

  /** Begin anew: what was shown is void. */
  reset(text = ""): void {
    this.#pacer = new Pacer();
    this.blocks = new Blocks();
    this.received = text;
    this.#over = false;
    this.blocks.append(text);
    this.#tell();
  }

  /** Nothing more will come; what waits is shown at its pace, or at once. */
  end({ now = false }: { now?: boolean } = {}): void {
    if (this.#over) return;
    this.#over = true;
    if (now) this.blocks.append(this.#pacer.takeAll());
    if (this.#pacer.empty) this.#finish();
    else this.#await();
  }

  /** Nobody looks any more. */
  stop(): void {
    this.#callOff?.();
    this.#callOff = null;
  }

  #await(): void {
    this.#callOff ??= this.#frames.next(this.#show);
  }

  readonly #show = (now: number): void => {
    this.#callOff = null;
    const elapsed = Math.min(now - this.#shownAt, 100);
    this.#shownAt = now;
    this.blocks.append(this.#frames.still ? this.#pacer.takeMost() : this.#pacer.take(elapsed));
    if (this.settled) {
      this.#finish();
      return;
    }
    if (!this.#pacer.empty) this.#await();
    this.#tell();
  };

  #finish(): void {
    this.stop();
    this.blocks.end();
    this.#tell();
  }

  #tell(): void {
    this.version += 1;
    for (const listener of this.#listeners) listener();
  }
}
