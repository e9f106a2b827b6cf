/** The client against the gateway itself: crashes, restarts, refusals, a browser without a network. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { launchChromium } from "../../test/chromium.ts";
import { CODE, Gateway } from "../../test/gateway.ts";
import {
  type AssistantEvent,
  callGateway,
  cancelAssistantRequest,
  cancelJob,
  type DebugEntry,
  getAssistantRequest,
  interactWithAssistant,
  requestAssistant,
  type Status,
  streamAssistantResponse,
  submitJob,
  waitForJob,
  whole,
} from "../src/index.ts";

const TEXT = Array.from({ length: 200 }, (_, at) => `word-${at}`).join(" ");
const SLOW = "simulator/echo?first=0&gap=0.02";
const STALLED = "simulator/echo?first=0&gap=0&stall=3";
const ENDLESS = "simulator/lorem?first=0&gap=0.02&tokens=100000";

let gateway: Gateway;
const options = () => ({ url: gateway.origin, token: CODE, delay: () => 100, attempts: 1000 });

beforeAll(async () => {
  gateway = await Gateway.start({ environ: { DRAIN_TIMEOUT: "1" } });
});

afterAll(() => gateway?.close());

/** Reads to the end as a page does; calls `after` once, when ten pieces have come. */
async function read(stream: AsyncIterable<AssistantEvent>, after: () => Promise<void>) {
  let text = "";
  let restarts = 0;
  let pieces = 0;
  let response: string | undefined;
  const pending: Promise<void>[] = [];
  for await (const event of stream) {
    if (event.event === "response_chunk") {
      text += event.data.text;
      if (++pieces === 10) pending.push(after());
    }
    if (event.event === "restart") {
      text = "";
      restarts++;
    }
    if (event.event === "complete") response = event.data.response;
  }
  await Promise.all(pending);
  return { text, restarts, response };
}

test("A gateway that crashes and comes back tells the answer whole, from its beginning.", async () => {
  // A job of the queue is run again after a crash.
  const job = { request_type: "ask", request: TEXT, model: SLOW };
  const { request_id } = await submitJob(job, options());
  const crash = async () => {
    await gateway.end("SIGKILL");
    await gateway.run();
  };
  const seen = await read(streamAssistantResponse(request_id, options()), crash);
  expect(seen).toEqual({ text: TEXT, restarts: 1, response: TEXT });
  const { response } = await waitForJob(request_id, options());
  expect(response.ai_response).toBe(TEXT);
});

test("A gateway that is asked to stop, and started again, loses nobody.", async () => {
  const { request_id } = await submitJob(
    { request_type: "ask", request: TEXT, model: SLOW },
    options(),
  );
  const states: string[] = [];
  const onStatus = ({ state }: Status) => states.at(-1) === state || states.push(state);
  const restart = async () => {
    await gateway.end("SIGTERM");
    await gateway.run();
  };
  const stream = streamAssistantResponse(request_id, { ...options(), onStatus });
  const seen = await read(stream, restart);
  expect({ text: seen.text, response: seen.response }).toEqual({ text: TEXT, response: TEXT });
  expect(states.slice(0, 3)).toEqual(["connecting", "open", "waiting"]);
  expect(states.slice(-2)).toEqual(["open", "closed"]);
});

test("A request is read from any event on, and again, and by somebody else.", async () => {
  const accepted = await requestAssistant({ prompt: "one two three", model: SLOW }, options());
  const events: AssistantEvent[] = [];
  for await (const event of streamAssistantResponse(accepted, { url: gateway.origin }))
    events.push(event);
  const after = async (at: number) => {
    const rest: AssistantEvent[] = [];
    const lastEventId = events[at]?.id;
    for await (const event of streamAssistantResponse(accepted.request_id, {
      ...options(),
      lastEventId,
    }))
      rest.push(event);
    return rest;
  };
  for (const at of events.keys()) expect(await after(at)).toEqual(events.slice(at + 1));
});

test("A signal stops the request at the gateway.", async () => {
  const stop = new AbortController();
  let requestId = "";
  const reading = (async () => {
    const asked = { prompt: "x", model: ENDLESS };
    for await (const event of interactWithAssistant(asked, { ...options(), signal: stop.signal })) {
      if (event.event === "accepted") requestId = event.data.request_id;
      if (event.event === "response_chunk") stop.abort(new Error("enough"));
    }
  })();
  await expect(reading).rejects.toThrow("enough");
  const told = whole(streamAssistantResponse(requestId, options()));
  await expect(told).rejects.toMatchObject({ kind: "cancelled", code: "CANCELLED" });
  expect(await getAssistantRequest(requestId, options())).toMatchObject({ status: "cancelled" });
});

test("Somebody else's stop is told to who reads.", async () => {
  const { request_id } = await requestAssistant({ prompt: "x", model: ENDLESS }, options());
  const seen = read(streamAssistantResponse(request_id, options()), async () => {
    await cancelAssistantRequest(request_id, options());
  });
  await expect(seen).rejects.toMatchObject({ kind: "cancelled", retryable: false });
});

test("The gateway's refusals are what they are called.", async () => {
  const at = options();
  const refused = (prompt: object, more: object = {}) =>
    requestAssistant(prompt as { prompt: string }, { ...at, ...more });
  await expect(refused({ prompt: "" })).rejects.toMatchObject({ kind: "refused", field: "prompt" });
  await expect(refused({ prompt: "x", model: "none" })).rejects.toMatchObject({
    code: "UNKNOWN_MODEL",
  });
  await expect(refused({ prompt: "x" }, { token: "wrong" })).rejects.toMatchObject({
    kind: "unauthenticated",
    status: 401,
  });
  const id = "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11";
  await expect(whole(streamAssistantResponse(id, at))).rejects.toMatchObject({ kind: "unknown" });
  const badCursor = whole(streamAssistantResponse(id, { ...at, lastEventId: "x" }));
  await expect(badCursor).rejects.toMatchObject({ kind: "unknown" });
  const failing = { prompt: "x", model: "simulator/echo?first=0&gap=0&error=1" };
  await expect(whole(interactWithAssistant(failing, at))).rejects.toMatchObject({ kind: "failed" });
  const key = { ...at, idempotencyKey: "one-key" };
  await requestAssistant({ prompt: "x" }, key);
  await expect(requestAssistant({ prompt: "y" }, key)).rejects.toMatchObject({ kind: "conflict" });
});

test("A wrong credential is made good by a fresh one.", async () => {
  const token = (fresh: boolean) => (fresh ? CODE : "run-out");
  const { response } = await whole(
    interactWithAssistant({ prompt: "one two" }, { ...options(), token }),
  );
  expect(response).toBe("one two");
});

test("What is logged holds no credential, also of the stream's address.", async () => {
  const entries: DebugEntry[] = [];
  const debug = (entry: DebugEntry) => entries.push(entry);
  await whole(interactWithAssistant({ prompt: "one two" }, { ...options(), debug }));
  expect(entries.length).toBeGreaterThan(5);
  expect(JSON.stringify(entries)).not.toMatch(/access_token|app-code/);
});

test("In a page of the gateway's own it needs no address, and a network that returns is used at once.", async () => {
  const browser = await launchChromium();
  try {
    const context = await browser.newContext();
    const tab = await context.newPage();
    await tab.goto(`${gateway.origin}/docs`);
    // It says three words, and then nothing: the page decides how long that takes.
    const job = { request_type: "ask", request: "one two three four", model: STALLED };
    const { request_id } = await submitJob(job, options());
    // What the page tells: it may wait for nothing that the page's policy would not let run.
    const told = new Map<string, () => void>();
    const happens = (what: string) => new Promise<void>((resolve) => told.set(what, resolve));
    await tab.exposeFunction("tell", (what: string) => told.get(what)?.());
    const begun = happens("one two three");
    const reading = tab.evaluate(`(async () => {
      const { streamAssistantResponse } = await import("./static/client.js");
      let text = "";
      let tries = 0;
      const options = {
        token: "${CODE}",
        // Were it not for the network's return, it would wait for a minute.
        delay: () => 60_000,
        onStatus: ({ state }) => {
          if (state === "open") tell("try " + ++tries);
        },
      };
      addEventListener("offline", () => tell("offline"));
      try {
        for await (const event of streamAssistantResponse("${request_id}", options))
          if (event.event === "response_chunk") tell((text += event.data.text));
      } catch ({ kind }) {
        return { text, tries, kind };
      }
    })()`);
    await begun;
    const [offline, again] = [happens("offline"), happens("try 2")];
    await context.setOffline(true);
    await offline;
    await context.setOffline(false);
    await again;
    await cancelJob(request_id, options());
    expect(await reading).toEqual({ text: "one two three", tries: 2, kind: "cancelled" });
  } finally {
    await browser.close();
  }
});

test("Ten tabs read one answer, though a browser opens six connections to one origin.", async () => {
  const browser = await launchChromium();
  try {
    const context = await browser.newContext();
    const tabs = await Promise.all(Array.from({ length: 10 }, () => context.newPage()));
    for (const tab of tabs) await tab.goto(`${gateway.origin}/health`);
    const job = { request_type: "ask", request: TEXT, model: SLOW };
    const { request_id } = await submitJob(job, options());
    const script = `(async () => {
      const { streamAssistantResponse, whole } = await import("./static/client.js");
      const stream = streamAssistantResponse("${request_id}", { token: "${CODE}" });
      return (await whole(stream)).response;
    })()`;
    const texts = await Promise.all(tabs.map((tab) => tab.evaluate(script)));
    expect(texts).toEqual(tabs.map(() => TEXT));
  } finally {
    await browser.close();
  }
});

test("The operations' doors are called like any other.", async () => {
  const health = await callGateway<{ status: string }>("GET", "/health", undefined, options());
  expect(health.status).toBe("healthy");
});
