import { expect, test } from "vitest";
import type { LogEvent } from "../api.ts";
import { gist, Recording } from "../replay.ts";

const entry = (id: string, event: string, data: LogEvent["data"] = {}): LogEvent => ({
  id,
  event,
  data,
});
const CALL = { id: "c", name: "map", arguments: "{}" };
const LOG = [
  entry("1-1", "started"),
  entry("1-2", "routed", { model: "a", provider: "p" }),
  entry("1-3", "delta", { text: "Hel" }),
  entry("2-1", "restarted", { reason: "lost" }),
  entry("2-2", "routed", { model: "b", provider: "p" }),
  entry("2-3", "delta", { text: "He" }),
  entry("2-4", "tool_call", CALL),
  entry("2-5", "delta", { text: "llo" }),
  entry("2-6", "completed", { finish_reason: "stop" }),
];

test("each event shows what a reader had seen by then; a new attempt voids the old one", () => {
  const recording = new Recording(LOG);
  const seen = LOG.map((_, nth) => {
    const { attempt, text, toolCalls, model, entry } = recording.seen(nth + 1);
    return [entry?.id, attempt, model, text, toolCalls.length];
  });
  expect(seen).toEqual([
    ["1-1", 1, "", "", 0],
    ["1-2", 1, "a", "", 0],
    ["1-3", 1, "a", "Hel", 0],
    ["2-1", 2, "", "", 0],
    ["2-2", 2, "b", "", 0],
    ["2-3", 2, "b", "He", 0],
    ["2-4", 2, "b", "He", 1],
    ["2-5", 2, "b", "Hello", 1],
    ["2-6", 2, "b", "Hello", 1],
  ]);
  expect(recording.seen(7).toolCalls).toEqual([CALL]);
});

test("before the first event nothing has been seen", () => {
  const nothing = { attempt: 0, text: "", toolCalls: [], model: "", entry: undefined };
  expect(new Recording(LOG).seen(0)).toEqual(nothing);
  expect(new Recording([]).seen(0)).toEqual(nothing);
});

test("an event's gist is its text, or what it holds", () => {
  expect(gist(entry("1-1", "delta", { text: 'a "b"\n' }))).toBe('"a \\"b\\"\\n"');
  expect(gist(entry("1-1", "usage", { prompt_tokens: 0, estimated: false }))).toBe(
    "prompt_tokens: 0",
  );
  expect(gist(entry("1-1", "started"))).toBe("");
});
