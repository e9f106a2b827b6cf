/** Text on its way to the eye: it arrives in bursts, and is let out evenly, frame by frame. */

/** How long a burst takes to be shown, about. */
const DRAIN_MS = 140;
/** What one frame may be given: more would be longer than a frame to show. */
const FRAME_MOST = 3_000;

export class Pacer {
  #waiting = "";

  get empty(): boolean {
    return this.#waiting === "";
  }

  push(text: string): void {
    this.#waiting += text;
  }

  /** The text to show now, where so much time has passed since the last; never half a character. */
  take(elapsedMs: number): string {
    const share = Math.ceil((this.#waiting.length * Math.max(elapsedMs, 1)) / DRAIN_MS);
    return this.#cut(Math.min(Math.max(share, 2), FRAME_MOST));
  }

  /** As much as one frame may be given, without keeping an even pace. */
  takeMost(): string {
    return this.#cut(FRAME_MOST);
  }

  /** Everything that still waits. */
  takeAll(): string {
    return this.#cut(this.#waiting.length);
  }

  #cut(wanted: number): string {
    const last = this.#waiting.charCodeAt(wanted - 1);
    const end = last >= 0xd800 && last <= 0xdbff ? wanted + 1 : wanted;
    const text = this.#waiting.slice(0, end);
    this.#waiting = this.#waiting.slice(end);
    return text;
  }
}
