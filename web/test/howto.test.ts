/** docs/how-to/fetch-and-websocket.md: what it shows reads an answer whole over a line that is cut. */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { Chance } from "./chance.ts";
import { launchChromium } from "./chromium.ts";
import { Cutter } from "./cutter.ts";
import { CODE, Gateway, ROOT } from "./gateway.ts";

/** Less than the answer takes on the wire: no connection sees all of it. */
const MOST_BYTES = 4_000;
const WORDS = Array.from({ length: 200 }, (_, i) => `word${i}`).join(" ");

let browser: Browser;
let snippets: string[];

beforeAll(async () => {
  const page = await readFile(join(ROOT, "docs/how-to/fetch-and-websocket.md"), "utf-8");
  snippets = [...page.matchAll(/```js\n(.*?)```/gs)].map((found) => found[1] as string);
  browser = await launchChromium();
});

afterAll(() => browser?.close());

/** A page of somebody's own; its text may still change. */
async function site(): Promise<{ origin: string; text: string }> {
  const page = { origin: "", text: "" };
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(page.text);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  page.origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  return page;
}

test.each([
  [0, "fetch"],
  [1, "WebSocket"],
])("Snippet %i reads by %s to the last word.", async (nth) => {
  const page = await site();
  const gateway = await Gateway.start({ environ: { ALLOWED_ORIGINS: page.origin } });
  onTestFinished(() => gateway.close());
  const cutter = await Cutter.start(gateway.origin, new Chance(), MOST_BYTES);
  onTestFinished(() => cutter.close());
  const asked = await fetch(`${gateway.origin}/assistant/request`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${CODE}` },
    body: JSON.stringify({ prompt: WORDS }),
  });
  const { stream_url } = (await asked.json()) as { stream_url: string };
  const streamUrl = stream_url.replace(gateway.origin, cutter.origin);
  // The pause between two connections, milliseconds.
  const snippet = (snippets[nth] as string).replace("1500", "10");
  page.text = `<!doctype html><output></output><script>const streamUrl = "${streamUrl}";${snippet}</script>`;
  const tab = await browser.newPage();
  onTestFinished(() => tab.close());
  const errors: Error[] = [];
  tab.on("pageerror", (error) => errors.push(error));
  await tab.goto(page.origin);
  await expect.poll(() => tab.locator("output").textContent()).toBe(WORDS);
  expect(cutter.cuts).toBeGreaterThan(1);
  expect(errors).toEqual([]);
});
