import { describe, expect, test } from "vitest";
import { type Frames, LiveText } from "../livetext.ts";
import { Pacer } from "../pacer.ts";

/** Frames that come when the test says so, 16 ms apart. */
class ByHand implements Frames {
  still = false;
  #due: ((now: number) => void) | null = null;
  #now = 1000;

  next(call: (now: number) => void): () => void {
    this.#due = call;
    return () => {
      this.#due = null;
    };
  }

  /** One frame; false where nobody waits for it. */
  pass(): boolean {
    const due = this.#due;
    this.#due = null;
    this.#now += 16;
    due?.(this.#now);
    return due !== null;
  }
}

const shown = (text: LiveText) => {
  const { groups, live } = text.blocks;
  return [...groups.flat(), ...(live ? [live] : [])]
    .map((block) => (block.kind === "text" ? block.text : block.parts.join("")))
    .join("");
};

describe("Pacer", () => {
  test("lets a burst out over several frames, and all of it", () => {
    const pacer = new Pacer();
    const text = "x".repeat(1000);
    pacer.push(text);
    const pieces: string[] = [];
    while (!pacer.empty) pieces.push(pacer.take(16));
    expect(pieces.join("")).toBe(text);
    expect(pieces.length).toBeGreaterThan(8);
    expect(pieces[0]?.length).toBeLessThan(200);
  });

  test("never tears a character", () => {
    const pacer = new Pacer();
    pacer.push("🙂".repeat(50));
    while (!pacer.empty) expect(pacer.take(1)).toMatch(/^(🙂)*$/u);
  });
});

describe("LiveText", () => {
  test("tells the page once a frame, however many chunks come", () => {
    const frames = new ByHand();
    const text = new LiveText(frames);
    let told = 0;
    text.subscribe(() => {
      told += 1;
    });
    for (let i = 0; i < 1000; i += 1) text.append("word ");
    expect(told).toBe(0);
    frames.pass();
    expect(told).toBe(1);
    text.end();
    let passed = 1;
    while (frames.pass()) passed += 1;
    expect([text.settled, shown(text).trim(), told]).toEqual([
      true,
      "word ".repeat(1000).trim(),
      passed,
    ]);
  });

  test("shows everything at once where it is told to end so", () => {
    const text = new LiveText(new ByHand());
    text.append("half a sent");
    text.end({ now: true });
    expect([text.settled, shown(text)]).toEqual([true, "half a sent\n"]);
  });

  test("begins anew with the text that it is given", () => {
    const frames = new ByHand();
    const text = new LiveText(frames);
    text.append("lost");
    text.reset("kept");
    frames.pass();
    expect([text.received, shown(text)]).toEqual(["kept", "kept"]);
  });
});
