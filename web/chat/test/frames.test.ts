/** Ten thousand chunks into the chat: how long its frames take, and what it keeps in memory. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { launchChromium } from "../../test/chromium.ts";
import { Gateway } from "../../test/gateway.ts";
import { Reader } from "./reader.ts";

const CHUNKS = 10_000;
/** What a machine that does other things at the same time may add, in the best of some rounds. */
const SLOW_FRAMES_MOST = 10;
const MEDIAN_MOST_MS = 50;
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
  const heap = [await memory()];
  const rounds: number[] = [];
  for (const gap of ["0.0005", "0", "0.0005"]) {
    await page.evaluate(() => {
      (window as unknown as { frames: number[] }).frames.length = 0;
    });
    const model = `simulator/lorem?tokens=${CHUNKS}&first=0&gap=${gap}`;
    await reader.ask("go", model);
    await reader.until("writing");
    await reader.until("done");
    const frames = await page.evaluate(() => (window as unknown as { frames: number[] }).frames);
    heap.push(await memory());
    const sorted = frames.toSorted((a, b) => a - b);
    const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1);
    const slow = frames.filter((each) => each > 50);
    const grown = (heap.at(-1) ?? 0) - (heap.at(-2) ?? 0);
    console.info(
      `${CHUNKS} chunks, ${gap} s apart: ${frames.length} frames, median ${at(0.5)} ms, ` +
        `99 % ${at(0.99)} ms, longest ${at(1)} ms, ${slow.length} over 50 ms; ` +
        `memory grew by ${Math.round(grown / 1000)} kB`,
    );
    expect((await reader.answer()).split(" ").length).toBe(CHUNKS);
    expect(Number(at(0.5))).toBeLessThan(MEDIAN_MOST_MS);
    expect(grown).toBeLessThan(GROWTH_MOST_BYTES);
    rounds.push(slow.length);
  }
  expect(Math.min(...rounds)).toBeLessThanOrEqual(SLOW_FRAMES_MOST);
});
