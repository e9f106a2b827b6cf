/** What the gateway refuses: what is final, what is waited for, and what another credential mends. */

import { expect, test } from "vitest";
import { streamAssistantResponse } from "../src/index.ts";
import { ID, jump, pass, reading } from "./jumping.ts";
import { json, Reading, Scripted, Stream } from "./scripted.ts";

jump();

const whole = () => new Stream().tell("1-9", "complete", { response: "ab" }).end();

test("A refusal that never ends is given up, too.", async () => {
  const refusing = () => {
    const stream = new Stream();
    stream.write('{"error":');
    return new Response(stream.response.body, { status: 404 });
  };
  const gateway = new Scripted(refusing);
  const fetching: typeof fetch = async (url, init) => {
    const response = await gateway.fetch(url as URL, init);
    return Object.assign(response, {
      json: () =>
        new Promise((_, reject) => {
          init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
        }),
    });
  };
  const read = reading(gateway, { fetch: fetching, connectTimeout: 5_000 });
  await pass(5_000);
  expect(read.error).toMatchObject({ kind: "unknown", status: 404 });
});

test.each([
  [400, "BAD_CURSOR", "refused"],
  [403, "FORBIDDEN", "forbidden"],
  [404, "REQUEST_NOT_FOUND", "unknown"],
  [409, "CURSOR_CONFLICT", "conflict"],
  [410, "GONE", "gone"],
  [500, "INTERNAL", "failed"],
  [502, "AI_SERVICE_ERROR", "failed"],
])("A refusal is final: %i.", async (status, code, kind) => {
  const gateway = new Scripted(json(status, { error: { code, message: "No." } }));
  const read = reading(gateway);
  await pass();
  expect(gateway.asked).toHaveLength(1);
  expect(read.error).toMatchObject({ status, code, kind, message: "No." });
});

test.each([
  [429, { error: { code: "RATE_LIMITED", message: "Slowly." } }],
  [503, { error: { code: "UNAVAILABLE", message: "Too many streams." } }],
  [507, { error: { code: "STORE_FULL", message: "No room." } }],
  [502, "<html>"],
  [504, "<html>"],
])("What passes is waited for as long as it says: %i.", async (status, body) => {
  const gateway = new Scripted(json(status, body, { "Retry-After": "7" }), whole());
  const read = reading(gateway);
  await pass(6_999);
  expect(gateway.asked).toHaveLength(1);
  await pass(1);
  expect(read.over).toBe(true);
});

test("Nobody is kept waiting for an hour.", async () => {
  const full = { error: { code: "UNAVAILABLE", message: "Full." } };
  const read = reading(new Scripted(json(503, full, { "Retry-After": "3600" })));
  await pass();
  expect(read.error).toMatchObject({ kind: "busy", retryAfterMs: 3_600_000 });
});

test("A credential that has run out is fetched anew, once for each time.", async () => {
  const refused = () => json(401, { error: { code: "UNAUTHENTICATED", message: "Old." } });
  const gateway = new Scripted(
    refused(),
    new Stream().tell("1-1", "stage", {}).end(),
    refused(),
    refused(),
  );
  let issued = 0;
  const token = async (fresh: boolean) => `${fresh ? "fresh" : "kept"}-${++issued}`;
  const read = reading(gateway, { token });
  await pass(1000);
  expect(gateway.asked.map(({ headers }) => headers.get("Authorization"))).toEqual([
    "Bearer kept-1",
    "Bearer fresh-2",
    "Bearer kept-3",
    "Bearer fresh-4",
  ]);
  expect(read.error).toMatchObject({
    kind: "unauthenticated",
    advice: "Sign in again, or use another app code.",
  });
});

test("A token of the stream's address stands in a header, and gives way to the caller's.", async () => {
  const refused = json(401, { error: { code: "UNAUTHENTICATED", message: "Old." } });
  const gateway = new Scripted(refused, whole());
  const stream_url = `http://gateway/assistant/stream/${ID}?access_token=of-the-link`;
  const options = { fetch: gateway.fetch, token: "of-the-caller" };
  const read = new Reading(streamAssistantResponse({ request_id: ID, stream_url }, options));
  await pass();
  expect(gateway.asked.map(({ path, headers }) => [path, headers.get("Authorization")])).toEqual([
    [`/assistant/stream/${ID}`, "Bearer of-the-link"],
    [`/assistant/stream/${ID}`, "Bearer of-the-caller"],
  ]);
  expect(read.over).toBe(true);
});
