/** What each door's functions ask, and what they make of the answers. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  activeConnections,
  ask,
  callGateway,
  cancelJob,
  interactWithAssistant,
  pollJob,
  requestAssistant,
  resumeChat,
  streamAsk,
  streamAssistantResponse,
  streamChat,
  streamText,
  submitJob,
  submitJobs,
  waitForJob,
  whole,
} from "../src/index.ts";
import { json, Reading, Scripted, Stream } from "./scripted.ts";

const ID = "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11";
const ACCEPTED = {
  request_id: ID,
  status: "queued",
  stream_url: `http://inner:5000/assistant/stream/${ID}?access_token=of-the-link`,
};
const LOST = new TypeError("fetch failed");

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  expect(activeConnections()).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const at = (gateway: Scripted) => ({ url: "http://gateway/ai", fetch: gateway.fetch });
const asked = (gateway: Scripted) => gateway.asked.map(({ method, path }) => `${method} ${path}`);
const sse = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;

// The assistant ---------------------------------------------------------------------------------

test("Both steps in one: the request, then its stream, at the address that the caller gave.", async () => {
  const stream = new Stream().tell("1-4", "response_chunk", { text: "ab" });
  stream.tell("1-9", "complete", { response: "ab" });
  const gateway = new Scripted(json(201, ACCEPTED), stream);
  const read = new Reading(interactWithAssistant({ prompt: "x" }, at(gateway)));
  await pass();
  expect(read.events).toEqual([
    { event: "accepted", id: "", data: ACCEPTED },
    { event: "response_chunk", id: "1-4", data: { request_id: ID, text: "ab" } },
    { event: "complete", id: "1-9", data: { request_id: ID, response: "ab" } },
  ]);
  expect(asked(gateway)).toEqual(["POST /ai/assistant/request", `GET /ai/assistant/stream/${ID}`]);
  expect(gateway.asked[1]?.headers.get("Authorization")).toBe("Bearer of-the-link");
});

test("A request whose answer was lost is the same when it is sent again.", async () => {
  const gateway = new Scripted(LOST, () => json(201, ACCEPTED));
  const made = requestAssistant({ prompt: "x" }, { ...at(gateway), token: "code" });
  await pass(1_000);
  expect(await made).toEqual(ACCEPTED);
  const [first, second] = gateway.asked;
  expect(second).toEqual(first);
  expect(first?.headers.get("Idempotency-Key")).toMatch(/^[0-9a-z]{8,40}$/);
  expect(first?.headers.get("Content-Type")).toBe("application/json");
  await requestAssistant({ prompt: "x" }, at(gateway));
  expect(gateway.asked[2]?.headers.get("Idempotency-Key")).not.toBe(
    first?.headers.get("Idempotency-Key"),
  );
});

test.each(["the request is on its way", "the stream is open"])(
  "A signal stops the request at the gateway, too, while %s.",
  async (stage) => {
    let answer: (response: Response) => void = () => {};
    const accepted = new Promise<Response>((resolve) => {
      answer = resolve;
    });
    const gateway = new Scripted(new Stream(), json(200, { request_id: ID, status: "cancelled" }));
    const fetching: typeof fetch = (url, init) =>
      init?.method === "POST" ? accepted : gateway.fetch(url as URL, init);
    const stop = new AbortController();
    const options = { url: "http://gateway", fetch: fetching, signal: stop.signal };
    const read = new Reading(interactWithAssistant({ prompt: "x" }, options));
    if (stage === "the stream is open") answer(json(201, ACCEPTED));
    else await gateway.fetch("http://gateway/");
    await pass();
    stop.abort(new Error("stop"));
    await pass();
    expect(read.error).toEqual(new Error("stop"));
    answer(json(201, ACCEPTED));
    await pass();
    expect(asked(gateway).at(-1)).toBe(`DELETE /assistant/request/${ID}`);
  },
);

test("A time-out of both steps stops the request, and is told as one.", async () => {
  const cancelled = json(200, { request_id: ID, status: "cancelled" });
  const gateway = new Scripted(json(201, ACCEPTED), new Stream(), cancelled);
  const read = new Reading(
    interactWithAssistant({ prompt: "x" }, { ...at(gateway), timeout: 500 }),
  );
  await pass(500);
  expect(read.error).toMatchObject({ kind: "timeout" });
  expect(asked(gateway).at(-1)).toBe(`DELETE /ai/assistant/request/${ID}`);
});

test("To leave the loop lets the request go on.", async () => {
  const stream = new Stream().tell("1-4", "response_chunk", { text: "ab" });
  const gateway = new Scripted(json(201, ACCEPTED), stream);
  for await (const { event } of interactWithAssistant({ prompt: "x" }, at(gateway)))
    if (event === "response_chunk") break;
  await pass();
  expect([stream.left, gateway.asked.length]).toEqual([true, 2]);
});

test("Who wants nothing but the end gets its data.", async () => {
  const gateway = new Scripted(new Stream().tell("1-9", "complete", { response: "ab" }));
  const { response } = await whole(streamAssistantResponse(ID, at(gateway)));
  expect(response).toBe("ab");
  const nothing = new Scripted(new Response(null, { status: 204 }));
  await expect(whole(streamAssistantResponse(ID, at(nothing)))).rejects.toMatchObject({
    kind: "gone",
  });
});

// Texts -----------------------------------------------------------------------------------------

const CHAT = [
  `id: 0-0\n${sse({ conversation_id: "c", model: "m" })}`,
  `id: 1-3\n${sse({ content: "one ", finished: false })}`,
  `id: 1-4\n${sse({ content: "two", finished: false })}`,
  `id: 1-6\n${sse({ content: "", finished: true, usage: { total_tokens: 4 } })}`,
];
const named = { "X-Request-Id": ID };

test("A chat that is cut is read on where it was, and asked only once.", async () => {
  const gateway = new Scripted(
    new Stream(named).write(CHAT.slice(0, 2).join("")).end(),
    new Stream(named).write(CHAT.slice(2).join("")),
  );
  const read = new Reading(streamChat({ user_prompt: "x" }, at(gateway)));
  await pass(1_000);
  expect(read.events).toEqual([
    { event: "begin", id: "0-0", data: { request_id: ID, conversation_id: "c" } },
    { event: "text", id: "1-3", data: "one " },
    { event: "text", id: "1-4", data: "two" },
    {
      event: "complete",
      id: "1-6",
      data: { request_id: ID, text: "one two", usage: { total_tokens: 4 } },
    },
  ]);
  expect(asked(gateway)).toEqual(["POST /ai/api/chat/stream", `GET /ai/api/chat/stream/${ID}`]);
  expect(gateway.asked[1]?.headers.get("Last-Event-ID")).toBe("1-3");
});

test("A chat that begins anew says so, and counts only what came after.", async () => {
  const anew = `id: 2-1\n${sse({ content: "", finished: false, restarted: true })}`;
  const stream = new Stream(named).write(CHAT.slice(0, 2).join("") + anew + CHAT.slice(2).join(""));
  const read = new Reading(streamChat({ user_prompt: "x" }, at(new Scripted(stream))));
  await pass();
  expect(read.events.map(({ event }) => event)).toEqual([
    "begin",
    "text",
    "restart",
    "text",
    "complete",
  ]);
  expect(read.events.at(-1)).toMatchObject({ data: { text: "two" } });
});

test.each([
  ["AI_SERVICE_ERROR", "failed"],
  ["AI_SERVICE_RATE_LIMITED", "limited"],
])("A chat that fails with %s says why.", async (code, kind) => {
  const error = { code, message: "The provider is down." };
  const stream = new Stream(named).write(CHAT[0] + sse({ error, finished: true }));
  const read = new Reading(streamChat({ user_prompt: "x" }, at(new Scripted(stream))));
  await pass();
  expect(read.error).toMatchObject({ kind, code, requestId: ID });
});

test("An earlier answer is read on after the event that is named.", async () => {
  const gateway = new Scripted(new Stream(named).write(CHAT.slice(2).join("")));
  const read = new Reading(resumeChat(ID, { ...at(gateway), lastEventId: "1-3" }));
  await pass();
  expect(read.events.map(({ event }) => event)).toEqual(["begin", "text", "complete"]);
  expect(gateway.asked[0]?.headers.get("Last-Event-ID")).toBe("1-3");
});

const chunk = (delta: object, finish_reason: string | null = null) =>
  sse({ choices: [{ delta, index: 0, finish_reason }] });

test("An answer of the ask door is read on at the chat's, without what was read already.", async () => {
  const first = [{ role: "assistant" }, { content: "on" }, { content: "e " }];
  const gateway = new Scripted(
    new Stream(named).write(first.map((each) => chunk(each)).join("")).end(),
    new Stream(named).write(CHAT.slice(0, 2).join("")).end(),
    new Stream(named).write(CHAT.slice(2).join("")),
  );
  const read = new Reading(streamAsk({ question: "x" }, at(gateway)));
  await pass(2_000);
  expect(read.events.map((event) => (event.event === "text" ? event.data : event.event))).toEqual([
    "begin",
    "on",
    "e ",
    "two",
    "complete",
  ]);
  expect(asked(gateway)).toEqual([
    "POST /ai/v1/ask",
    `GET /ai/api/chat/stream/${ID}`,
    `GET /ai/api/chat/stream/${ID}`,
  ]);
  expect(gateway.asked[0]?.body).toEqual({ question: "x", stream: true });
});

test("An answer of the ask door is whole with its finish; an error in it is thrown.", async () => {
  const good = new Stream(named).write(chunk({ content: "one" }) + chunk({}, "stop"));
  expect(await whole(streamAsk({ question: "x" }, at(new Scripted(good))))).toEqual({
    request_id: ID,
    text: "one",
    usage: undefined,
  });
  const bad = new Stream(named).write(sse({ error: { code: "timeout", message: "Slow." } }));
  const read = new Reading(streamAsk({ question: "x" }, at(new Scripted(bad))));
  await pass();
  expect(read.error).toMatchObject({ kind: "timeout", code: "TIMEOUT" });
});

test("A workflow's text is read from its address, and its end is not taken for text.", async () => {
  const error = { code: "CURSOR_CONFLICT", message: "Anew." };
  const gateway = new Scripted(
    new Stream(named)
      .write("id: 1-3\ndata: one\ndata:  [DONE]\n\n")
      .write(`event: error\ndata: ${JSON.stringify(error)}\n\n`)
      .end(),
    json(409, { ok: false, error }),
    new Stream(named).write("id: 2-3\ndata: two\n\nid: 2-6\ndata: [DONE]\n\n"),
  );
  const url = `http://gateway/stream/${ID}?access_token=of-the-link`;
  const read = new Reading(streamText(url, { fetch: gateway.fetch }));
  await pass(1_000);
  expect(read.events).toEqual([
    { event: "begin", id: "1-3", data: { request_id: ID } },
    { event: "text", id: "1-3", data: "one\n [DONE]" },
    { event: "restart", id: "" },
    { event: "text", id: "2-3", data: "two" },
    { event: "complete", id: "2-6", data: { request_id: ID, text: "two", usage: undefined } },
  ]);
  expect(gateway.asked.map(({ path, headers }) => [path, headers.get("Authorization")])).toEqual(
    Array(3).fill([`/stream/${ID}`, "Bearer of-the-link"]),
  );
});

test("A workflow that failed is told as the error it is.", async () => {
  const told = { code: "CANCELLED", message: "The request was cancelled." };
  const stream = new Stream(named).write(
    `event: error\nid: 1-5\ndata: ${JSON.stringify(told)}\n\n`,
  );
  const options = { fetch: new Scripted(stream).fetch };
  const read = new Reading(streamText(`http://gateway/stream/${ID}`, options));
  await pass();
  expect(read.error).toMatchObject({ kind: "cancelled", ...told });
});

// Jobs and calls --------------------------------------------------------------------------------

test("A job is queued, waited for, and stopped.", async () => {
  const told = { status: "success", request_id: ID, message: "ok" };
  const ready = { status: "completed", response: { ai_response: "two" } };
  const gateway = new Scripted(
    json(200, told),
    json(200, { status: "queued", position: 1, estimated_wait_time: "a few seconds" }),
    json(200, { status: "processing" }),
    json(200, ready),
    json(200, told),
  );
  const options = at(gateway);
  expect(await submitJob({ request_type: "ask", request: "x" }, options)).toEqual(told);
  const seen: string[] = [];
  const answer = await waitForJob(ID, options, ({ status }) => seen.push(status));
  expect([answer, seen]).toEqual([ready, ["queued", "processing", "completed"]]);
  expect(await cancelJob(ID, options)).toEqual(told);
  const poll = `GET /ai/get_request/${ID}?wait=25`;
  expect(asked(gateway)).toEqual([
    "POST /ai/ai_request",
    poll,
    poll,
    poll,
    `POST /ai/cancel_request/${ID}`,
  ]);
});

test.each([
  [{ status: "error", error_code: "TIMEOUT", message: "Slow.", retry_possible: true }, "timeout"],
  [{ status: "cancelled", message: "Request was cancelled" }, "cancelled"],
  [{ status: "expired", message: "Too long.", retry_possible: true }, "expired"],
])("A job that ends without an answer is thrown: %o.", async (polled, kind) => {
  const waiting = waitForJob(ID, at(new Scripted(json(200, polled))));
  await expect(waiting).rejects.toMatchObject({
    kind,
    message: polled.message,
    retryable: kind !== "cancelled",
    requestId: ID,
  });
});

test("A batch tells what became of each.", async () => {
  const told = { status: "success", results: [] };
  const gateway = new Scripted(json(200, told));
  const requests = [{ request_type: "ask", request: "x" }];
  expect(await submitJobs({ requests }, at(gateway))).toEqual(told);
  expect(gateway.asked[0]?.body).toEqual({ requests });
});

test("A poll may take as long as it asks the gateway to wait.", async () => {
  const polling = pollJob(ID, { ...at(new Scripted("silence")), attempts: 1 }, 60);
  const end = expect(polling).rejects.toMatchObject({ kind: "timeout" });
  await pass(79_999);
  expect(activeConnections()).toHaveLength(1);
  await pass(1);
  await end;
});

test("A whole answer is waited for as long as the gateway may take.", async () => {
  const gateway = new Scripted("silence");
  const asking = ask({ question: "x" }, { ...at(gateway), attempts: 1 });
  const end = expect(asking).rejects.toMatchObject({ kind: "timeout" });
  await pass(299_999);
  expect(activeConnections()).toHaveLength(1);
  await pass(1);
  await end;
  expect(gateway.asked[0]?.body).toEqual({ question: "x", stream: false });
});

test("An answer that is cut is asked for again; one that is no JSON is none.", async () => {
  const cut = () => new Response('{"a', { headers: { "Content-Type": "application/json" } });
  const calling = callGateway(
    "GET",
    "/health",
    undefined,
    at(new Scripted(cut, json(200, { a: 1 }))),
  );
  await pass(1_000);
  expect(await calling).toEqual({ a: 1 });
  const page = new Response("<html>", { headers: { "Content-Type": "text/html" } });
  await expect(
    callGateway("GET", "/health", undefined, at(new Scripted(page))),
  ).rejects.toMatchObject({ kind: "protocol" });
  const empty = new Scripted(new Response(null, { status: 204 }));
  expect(await callGateway("DELETE", "/history", undefined, at(empty))).toBeUndefined();
});

test("A refusal says which part of the request is at fault.", async () => {
  const refused = { error: { code: "INVALID_REQUEST", message: "Too hot.", param: "temperature" } };
  const asking = ask({ question: "x" }, at(new Scripted(json(400, refused))));
  await expect(asking).rejects.toMatchObject({
    name: "GatewayError",
    kind: "refused",
    code: "INVALID_REQUEST",
    field: "temperature",
    retryable: false,
    advice: "Change the request, then try again.",
  });
});

test("A limit is told at once, with the time to wait.", async () => {
  const limited = { status: "error", error_code: "RATE_LIMITED", message: "Slowly." };
  const gateway = new Scripted(json(429, limited, { "Retry-After": "30" }));
  const asking = submitJob({ request_type: "ask", request: "x" }, at(gateway));
  await expect(asking).rejects.toMatchObject({
    kind: "limited",
    code: "RATE_LIMITED",
    retryable: true,
    retryAfterMs: 30_000,
  });
});

test("Without a page there must be an address.", async () => {
  await expect(pollJob(ID)).rejects.toThrow("options.url is needed");
});
