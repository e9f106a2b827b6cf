/** A page that sleeps, is hidden, loses its network: on a stand-in for the browser's globals. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { activeConnections, streamAssistantResponse } from "../src/index.ts";
import { Reading, Scripted, Stream } from "./scripted.ts";

const LOST = new TypeError("fetch failed");
let visibilityState = "visible";
let onLine = true;
let page: EventTarget;
let view: EventTarget;

beforeEach(() => {
  vi.useFakeTimers();
  visibilityState = "visible";
  onLine = true;
  page = Object.defineProperty(new EventTarget(), "visibilityState", {
    get: () => visibilityState,
  });
  view = new EventTarget();
  vi.stubGlobal("document", page);
  vi.stubGlobal("window", view);
  vi.stubGlobal("navigator", Object.defineProperty({}, "onLine", { get: () => onLine }));
});

afterEach(() => {
  expect(activeConnections()).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const reading = (gateway: Scripted) =>
  new Reading(streamAssistantResponse("id", { url: "http://gateway", fetch: gateway.fetch }));
const whole = () => new Stream().tell("1-9", "complete", {}).end();

test("A laptop that wakes up does not wait for the silence to be noticed.", async () => {
  const dead = new Stream().tell("1-1", "stage", {});
  const gateway = new Scripted(dead, whole());
  const read = reading(gateway);
  await pass();
  // Asleep: the clock goes on, no timer does.
  vi.setSystemTime(Date.now() + 3_600_000);
  page.dispatchEvent(new Event("visibilitychange"));
  await pass();
  expect(read.over).toBe(true);
  expect(gateway.asked[1]?.headers.get("Last-Event-ID")).toBe("1-1");
});

test("A stream that has just been heard of is left alone.", async () => {
  const stream = new Stream();
  const gateway = new Scripted(stream);
  const read = reading(gateway);
  await pass(19_000);
  page.dispatchEvent(new Event("visibilitychange"));
  view.dispatchEvent(new Event("pageshow"));
  await pass(5_000);
  expect([gateway.asked.length, stream.left]).toEqual([1, false]);
  stream.tell("1-9", "complete", {});
  await pass();
  expect(read.over).toBe(true);
});

test("A page that is hidden is not woken.", async () => {
  const gateway = new Scripted(LOST, whole());
  const read = reading(gateway);
  await pass();
  visibilityState = "hidden";
  page.dispatchEvent(new Event("visibilitychange"));
  await pass();
  expect(gateway.asked).toHaveLength(1);
  visibilityState = "visible";
  page.dispatchEvent(new Event("visibilitychange"));
  await pass();
  expect(read.over).toBe(true);
});

test("Another network is tried at once: the old one's sockets are dead and do not say so.", async () => {
  const gateway = new Scripted(new Stream().tell("1-1", "stage", {}), whole());
  const read = reading(gateway);
  await pass(100);
  view.dispatchEvent(new Event("online"));
  await pass();
  expect([read.over, gateway.asked.length]).toEqual([true, 2]);
});

test("Without a network no try counts, however long that lasts; its return ends the wait.", async () => {
  let answer: Error | Stream = LOST;
  const gateway = new Scripted(() => answer);
  const read = reading(gateway);
  onLine = false;
  await pass(3_600_000);
  expect(read.over).toBe(false);
  answer = whole();
  onLine = true;
  const tries = gateway.asked.length;
  view.dispatchEvent(new Event("online"));
  await pass();
  expect([read.over, gateway.asked.length]).toEqual([true, tries + 1]);
});

test("Nothing listens any more when a stream is over.", async () => {
  const added = vi.spyOn(view, "addEventListener");
  const removed = vi.spyOn(view, "removeEventListener");
  reading(new Scripted(whole()));
  await pass();
  expect(removed.mock.calls).toEqual(added.mock.calls);
  expect(added).toHaveBeenCalledTimes(2);
});
