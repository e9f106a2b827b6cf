/** The state machine of a stream, on a clock that jumps. */

import { inspect } from "node:util";
import { expect, test, vi } from "vitest";
import {
  activeConnections,
  type DebugEntry,
  GatewayError,
  streamAssistantResponse,
} from "../src/index.ts";
import { ID, jump, pass, reading } from "./jumping.ts";
import { json, Reading, Scripted, Stream } from "./scripted.ts";

const COMPLETE = { response: "ab" };
const LOST = new TypeError("fetch failed");

jump();

const whole = () => new Stream().tell("1-9", "complete", COMPLETE).end();
const told = (read: Reading<{ event: string; id: string }>) =>
  read.events.map(({ event, id }) => `${event} ${id}`);
const cursors = (gateway: Scripted) =>
  gateway.asked.map(({ headers }) => headers.get("Last-Event-ID"));

test("A stream is read to its last event, and left.", async () => {
  const stream = new Stream();
  const gateway = new Scripted(stream);
  const read = reading(gateway);
  stream.write(":\nretry: 1500\n").tell("1-1", "response_chunk", { text: "ab" });
  await pass();
  expect(read.events).toEqual([
    { event: "response_chunk", id: "1-1", data: { request_id: ID, text: "ab" } },
  ]);
  stream.tell("1-9", "complete", COMPLETE);
  await pass();
  expect([read.over, stream.left]).toEqual([true, true]);
  expect(gateway.asked).toEqual([
    expect.objectContaining({ method: "GET", path: `/assistant/stream/${ID}` }),
  ]);
});

test("A stream that is cut goes on after its last event, when the gateway wants it to.", async () => {
  const first = new Stream();
  const gateway = new Scripted(first, whole());
  const read = reading(gateway);
  first.write("retry: 1600\n").tell("1-1", "response_chunk", { text: "a" }).write("id: 1-2\nda");
  await pass();
  first.cut();
  await pass(1599);
  expect(gateway.asked).toHaveLength(1);
  await pass(1);
  expect(told(read)).toEqual(["response_chunk 1-1", "complete 1-9"]);
  expect(cursors(gateway)).toEqual([null, "1-1"]);
});

test("A stream that ends without its last event was cut.", async () => {
  const gateway = new Scripted(
    new Stream().tell("1-1", "response_chunk", { text: "a" }).end(),
    whole(),
  );
  const read = reading(gateway);
  await pass(1000);
  expect(told(read)).toEqual(["response_chunk 1-1", "complete 1-9"]);
});

test("An earlier read goes on after the event it names; all read is the end.", async () => {
  const gateway = new Scripted(new Response(null, { status: 204 }));
  const read = reading(gateway, { lastEventId: "1-9" });
  await pass();
  expect([read.over, read.error, read.events]).toEqual([true, undefined, []]);
  expect(cursors(gateway)).toEqual(["1-9"]);
});

test("Pauses double up to 15 seconds, and the last failure is thrown.", async () => {
  const waits: (number | undefined)[] = [];
  const gateway = new Scripted(LOST);
  const read = reading(gateway, {
    onStatus: (status) => status.state === "waiting" && waits.push(status.delay),
  });
  await pass(200_000);
  expect(waits).toEqual([1, 2, 4, 8, 15, 15, 15, 15, 15].map((s) => s * 1000));
  expect(read.error).toMatchObject({
    kind: "network",
    retryable: true,
    advice: "Check the connection, then try again.",
    cause: LOST,
  });
});

test("Chance shortens a pause by up to a half.", async () => {
  vi.spyOn(Math, "random").mockReturnValue(0.999);
  const gateway = new Scripted(LOST, whole());
  const read = reading(gateway);
  await pass(501);
  expect(read.over).toBe(true);
});

test("A connection that told something makes up for all that failed.", async () => {
  const answers = [LOST, LOST, () => new Stream().tell("1-1", "stage", {}).end()];
  const gateway = new Scripted(...answers, ...answers, ...answers, whole());
  const read = reading(gateway, { attempts: 4, delay: () => 1 });
  await pass(1000);
  expect([read.error, gateway.asked.length]).toEqual([undefined, 10]);
});

test("One that is taken and cut at once, again and again, is given up.", async () => {
  const gateway = new Scripted(() => new Stream().write(":\nretry: 1\n").end());
  const read = reading(gateway, { attempts: 5 });
  await pass(60_000);
  expect([gateway.asked.length, read.error]).toEqual([5, expect.any(GatewayError)]);
});

test("A silent queue is no failure, when its connection is old and cut.", async () => {
  const streams = Array.from({ length: 8 }, () => new Stream());
  const gateway = new Scripted(...streams, whole());
  const read = reading(gateway, { attempts: 3 });
  for (const stream of streams) {
    for (let beat = 0; beat < 4; beat++) {
      await pass(15_000);
      stream.write(":\n");
    }
    stream.end();
  }
  await pass(5_000);
  expect([read.error, read.over]).toEqual([undefined, true]);
});

test("A gateway without heartbeats is only asked more often.", async () => {
  const streams = Array.from({ length: 20 }, () => new Stream());
  const gateway = new Scripted(...streams, whole());
  const read = reading(gateway, { attempts: 3 });
  await pass(20 * 41_000);
  expect([read.error, read.over, gateway.asked.length]).toEqual([undefined, true, 21]);
});

test("A socket that died in silence is noticed by the heartbeats that stay away.", async () => {
  const dead = new Stream();
  const gateway = new Scripted(dead, whole());
  const read = reading(gateway);
  dead.tell("1-1", "response_chunk", { text: "a" });
  await pass(30_000);
  dead.write(":\n");
  await pass(39_999);
  expect(dead.left).toBe(false);
  await pass(1001);
  expect(told(read)).toEqual(["response_chunk 1-1", "complete 1-9"]);
});

test("A reader who takes time between two events is not taken for a dead socket.", async () => {
  const stream = new Stream();
  const gateway = new Scripted(stream);
  const source = streamAssistantResponse(ID, { url: "http://gateway", fetch: gateway.fetch });
  stream.tell("1-1", "stage", {}).tell("1-9", "complete", COMPLETE);
  await source.next();
  await pass(300_000);
  expect((await source.next()).value).toMatchObject({ event: "complete" });
  await source.return();
});

test("An answer that does not begin is asked for again.", async () => {
  const gateway = new Scripted("silence", whole());
  const read = reading(gateway, { connectTimeout: 5_000 });
  await pass(5_999);
  expect(gateway.asked).toHaveLength(1);
  await pass(1);
  expect(read.over).toBe(true);
});

test("A text that the gateway has lost begins anew, and says so.", async () => {
  const conflict = json(409, { error: { code: "CURSOR_CONFLICT", message: "Behind." } });
  const gateway = new Scripted(conflict, whole());
  const read = reading(gateway, { lastEventId: "1-5" });
  await pass();
  expect(read.events[0]).toEqual({
    event: "restart",
    id: "",
    data: { request_id: ID, reason: "lost" },
  });
  expect(told(read)).toEqual(["restart ", "complete 1-9"]);
  expect(cursors(gateway)).toEqual(["1-5", null]);
});

test("The gateway's own restart is passed on.", async () => {
  const stream = new Stream().tell("1-3", "response_chunk", { text: "a" });
  stream.tell("2-0", "restart", { reason: "gateway restarted" });
  const read = reading(new Scripted(stream.tell("2-4", "complete", COMPLETE)));
  await pass();
  expect(told(read)).toEqual(["response_chunk 1-3", "restart 2-0", "complete 2-4"]);
});

test("What is no stream of events is no gateway.", async () => {
  const page = new Response("<html>", { headers: { "Content-Type": "text/html" } });
  const read = reading(new Scripted(page));
  await pass();
  expect(read.error).toMatchObject({ kind: "protocol" });
});

test("The end of a request without an answer is thrown.", async () => {
  const stream = new Stream().tell("1-2", "error", {
    code: "TIMEOUT",
    message: "Too slow.",
    retryable: true,
  });
  const read = reading(new Scripted(stream));
  await pass();
  expect(read.error).toMatchObject({
    kind: "timeout",
    code: "TIMEOUT",
    message: "Too slow.",
    retryable: true,
    requestId: ID,
  });
});

test("What goes wrong in the caller's own functions is the caller's.", async () => {
  const read = reading(new Scripted(whole()), {
    token: () => {
      throw new Error("nobody is signed in");
    },
  });
  await pass();
  expect(read.error).toEqual(new Error("nobody is signed in"));
});

test("A signal ends it at any stage, with its own reason.", async () => {
  const stages: Record<string, () => [Scripted, number]> = {
    "before the answer": () => [new Scripted("silence"), 0],
    "while it waits for the next try": () => [new Scripted(LOST), 500],
    "in the middle of the stream": () => [new Scripted(new Stream().tell("1-1", "stage", {})), 0],
  };
  for (const [stage, make] of Object.entries(stages)) {
    const [gateway, ms] = make();
    const leaving = new AbortController();
    const read = reading(gateway, { signal: leaving.signal });
    await pass(ms);
    expect(read.over, stage).toBe(false);
    leaving.abort(new Error(stage));
    await pass();
    expect(read.error, stage).toEqual(new Error(stage));
  }
  const read = reading(new Scripted(whole()), { signal: AbortSignal.abort(new Error("before")) });
  await pass();
  expect(read.error).toEqual(new Error("before"));
});

test("A token that never comes does not hold up the signal.", async () => {
  const leaving = new AbortController();
  const read = reading(new Scripted(whole()), {
    token: () => new Promise(() => {}),
    signal: leaving.signal,
  });
  await pass();
  leaving.abort(new Error("enough"));
  await pass();
  expect(read.error).toEqual(new Error("enough"));
});

test("A time-out bounds everything.", async () => {
  const read = reading(new Scripted(LOST), { timeout: 20_000, attempts: 1000 });
  await pass(19_999);
  expect(read.over).toBe(false);
  await pass(1);
  expect(read.error).toMatchObject({ kind: "timeout", message: "No end within 20000 ms." });
});

test("Who looks on is told of everything, and of no secret.", async () => {
  const entries: DebugEntry[] = [];
  const gateway = new Scripted(LOST, whole());
  reading(gateway, { token: "secret-code", debug: (entry) => entries.push(entry) });
  await pass(10);
  expect(activeConnections()).toMatchObject([
    { url: `http://gateway/assistant/stream/${ID}`, lastEventId: "", status: { state: "waiting" } },
  ]);
  expect(inspect(activeConnections(), { depth: 9 })).not.toContain("secret");
  await pass(1000);
  expect(
    entries.map((entry) => (entry.type === "status" ? entry.status.state : entry.type)),
  ).toEqual([
    "connecting",
    "request",
    "waiting",
    "connecting",
    "request",
    "response",
    "open",
    "event",
    "closed",
  ]);
  expect(JSON.stringify(entries)).not.toContain("secret");
});

test("A frame that is no JSON is no gateway's.", async () => {
  const read = reading(new Scripted(new Stream().write("id: 1\nevent: stage\ndata: {\n\n")));
  await pass();
  expect(read.error).toMatchObject({ kind: "protocol" });
});
