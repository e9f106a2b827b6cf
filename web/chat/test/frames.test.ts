/**
 * Ten thousand chunks into the chat: how long its frames take beside those of a short answer on the
 * same machine, and what it keeps in memory.
 */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { launchChromium } from "../../test/chromium.ts";
import { Gateway } from "../../test/gateway.ts";
import { Reader } from "./reader.ts";

const CHUNKS = 10_000;
const FEW_CHUNKS = 1_000;
/** What a machine that does other things at the same time may add, in the best of some rounds. */
const SLOW_FRAMES_MOST = 10;
/** A frame is slow that takes longer than this, and than so many of a short answer. */
const SLOW_MS = 50;
const SLOW_TIMES = 3;
/** What 10,000 more chunks may leave in memory: 60 kB of text in some forms, not 10,000 things. */
const GROWTH_MOST_BYTES = 3_000_000;

let browser: Browser;
let gateway: Gateway;

beforeAll(async () => {
  [browser, gateway] = await Promise.all([
    launchChromium(),
    Gateway.start({ environ: { ANONYMOUS_APP: "shop" } }),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await gateway?.close();
});

test("ten thousand chunks are shown without a halt, and leave little behind", async () => {
  const reader = await Reader.at(browser, gateway, "/chat");
  onTestFinished(() => reader.leave());
  const { page } = reader;
  const devtools = await page.context().newCDPSession(page);
  const memory = async () => {
    await devtools.send("HeapProfiler.collectGarbage");
    return (await devtools.send("Runtime.getHeapUsage")).usedSize;
  };

  await reader.ask("warm up", "simulator/lorem?tokens=500&first=0&gap=0.001");
  await reader.until("done");
  await page.evaluate(() => {
    const frames: number[] = [];
    let before = performance.now();
    const frame = (now: number) => {
      frames.push(now - before);
      before = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    Object.assign(window, { frames });
  });
  /** The frames of one answer, milliseconds, the shortest first. */
  const framesOf = async (chunks: number, gap: string) => {
    const before = await page.locator(".answer").count();
    await page.evaluate(() => {
      (window as unknown as { frames: number[] }).frames.length = 0;
    });
    await reader.ask("go", `simulator/lorem?tokens=${chunks}&first=0&gap=${gap}`);
    await expect.poll(() => page.locator(".answer").count()).toBe(before + 1);
    await reader.until("done");
    const frames = await page.evaluate(() => (window as unknown as { frames: number[] }).frames);
    expect((await reader.answer()).split(" ").length).toBe(chunks);
    return frames.toSorted((a, b) => a - b);
  };
  const at = (frames: number[], share: number) =>
    frames[Math.floor((frames.length - 1) * share)] ?? 0;

  const medians: number[] = [];
  const slow: number[] = [];
  for (const gap of ["0.0005", "0", "0.0005"]) {
    const short = await framesOf(FEW_CHUNKS, gap);
    const heap = await memory();
    const long = await framesOf(CHUNKS, gap);
    const grown = (await memory()) - heap;
    const most = (share: number) => Math.max(SLOW_MS, SLOW_TIMES * at(short, share));
    medians.push(at(long, 0.5) / most(0.5));
    slow.push(long.filter((each) => each > most(0.99)).length);
    const told = (frames: number[]) =>
      [0.5, 0.99, 1].map((share) => at(frames, share).toFixed(1)).join(", ");
    console.info(
      `${CHUNKS} chunks, ${gap} s apart: ${long.length} frames; median, 99 % and longest ` +
        `${told(long)} ms, of a short answer ${told(short)} ms; ${slow.at(-1)} are slow; ` +
        `memory grew by ${Math.round(grown / 1000)} kB`,
    );
    expect(grown).toBeLessThan(GROWTH_MOST_BYTES);
  }
  expect(Math.min(...medians)).toBeLessThan(1);
  expect(Math.min(...slow)).toBeLessThanOrEqual(SLOW_FRAMES_MOST);
}, 180_000);
