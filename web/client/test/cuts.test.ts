/** 200 streams of all doors through proxies that cut at random bytes: in Node and in Chromium. */

import { createServer } from "node:http";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Chance } from "../../test/chance.ts";
import { launchChromium } from "../../test/chromium.ts";
import { Cutter } from "../../test/cutter.ts";
import { CODE, Gateway } from "../../test/gateway.ts";
import * as client from "../src/index.ts";
import { bundle } from "./bundle.ts";
import { type Play, play, type Seen } from "./play.ts";

const STREAMS = 200;
/** A browser opens no more than six connections to one origin. */
const CUTTERS = 40;
/** Bytes of an answer: some connections end within its headers, some after a few events. */
const MOST = 4_000;
const WORDS = [
  "naïve",
  "漢字",
  "🙂",
  "👩‍👩‍👧‍👦",
  "data:",
  "[DONE]",
  "\n\nid:",
  "a\\nb",
  '"',
  "\t",
  "x".repeat(50),
];

let gateway: Gateway;
let page: PageServer;

beforeAll(async () => {
  page = await PageServer.start();
  gateway = await Gateway.start({
    environ: {
      ALLOWED_ORIGINS: page.origin,
      CALLBACK_ALLOWED_ORIGINS: page.origin,
      WORKERS: "100",
      DISCONNECT_GRACE: "600",
    },
  });
});

afterAll(async () => {
  await gateway?.close();
  await page?.close();
});

/** A page that has the client, as it is built; it also takes the callbacks of workflows. */
class PageServer {
  readonly origin: string;
  readonly #server: ReturnType<typeof createServer>;

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  static async start(): Promise<PageServer> {
    const script = await bundle();
    const html = `<!doctype html><script type="module">
      import * as client from "/client.js"; globalThis.client = client; </script>`;
    const server = createServer((request, response) => {
      const kind = request.url === "/client.js" ? "text/javascript" : "text/html";
      response.setHeader("Content-Type", kind);
      response.end(request.url === "/client.js" ? script : html);
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    return new PageServer(server);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function plays(chance: Chance, cutters: Cutter[]): Promise<Play[]> {
  const doors: Play["door"][] = [
    "assistant",
    "assistant",
    "two-step",
    "chat",
    "chat",
    "ask",
    "job",
    "text",
  ];
  const all: Play[] = [];
  for (let at = 0; at < STREAMS; at++) {
    const door = doors[at % doors.length] as Play["door"];
    const words = Array.from({ length: 20 + chance.below(80) }, () => chance.pick(WORDS));
    const text = `${at} ${words.join(" ")}.`;
    const url = cutters[at % cutters.length]?.origin as string;
    const model = "simulator/echo?first=0&gap=0.02";
    const one: Play = { door, url, token: CODE, text, model };
    if (door === "text") {
      // What a workflow does, on the server's side, where nothing is cut.
      const body = {
        prompt: text,
        model,
        app_code: CODE,
        resumeUrl: `${page.origin}/resume/${chance.seed}/${at}`,
      };
      const { streamUrl } = await client.callGateway<{ streamUrl: string }>(
        "POST",
        "/init-stream",
        body,
        { url: gateway.origin },
      );
      one.streamUrl = streamUrl.replace(gateway.origin, url);
    }
    all.push(one);
  }
  return all;
}

async function throughCuts(run: (plays: Play[]) => Promise<Seen[]>): Promise<void> {
  const chance = new Chance();
  const cutters = await Promise.all(
    Array.from({ length: CUTTERS }, () => Cutter.start(gateway.origin, chance, MOST)),
  );
  try {
    const played = await plays(chance, cutters);
    const seen = await run(played);
    const want = played.map(({ door, text }) => ({ door, text, whole: text, twice: [] }));
    expect(seen.map(({ tries, ...rest }) => rest)).toEqual(want);
    const cuts = cutters.reduce((sum, cutter) => sum + cutter.cuts, 0);
    const tries = seen.reduce((sum, each) => sum + each.tries, 0);
    console.log(`${STREAMS} streams, ${cuts} cuts, ${tries} requests`);
    expect(cuts).toBeGreaterThan(STREAMS);
  } finally {
    await Promise.all(cutters.map((cutter) => cutter.close()));
  }
}

test("Every text arrives whole and once in Node, however often it is cut.", async () => {
  Object.assign(globalThis, { client });
  await throughCuts(play);
  expect(client.activeConnections()).toEqual([]);
}, 120_000);

test("Every text arrives whole and once in Chromium, from another origin too.", async () => {
  let browser: Browser | undefined;
  try {
    browser = await launchChromium();
    const tab = await browser.newPage();
    await tab.goto(page.origin);
    await tab.waitForFunction("globalThis.client");
    await throughCuts((played) => tab.evaluate(play, played));
    expect(await tab.evaluate("client.activeConnections()")).toEqual([]);
  } finally {
    await browser?.close();
  }
}, 120_000);
