/** Asking at each of the doors, and reading the answer, whatever its wire, as the same few words. */

import {
  type AssistantEvent,
  callGateway,
  EventDecoder,
  GatewayError,
  type Options,
  pollJob,
  requestAssistant,
  resumeChat,
  streamAsk,
  streamAssistantResponse,
  streamChat,
  streamText,
  submitJob,
  type TextEvent,
} from "ai-streaming-gateway-client";
import { type Door, doorOf, type Settings } from "./doors.ts";

export type Word =
  | { readonly kind: "job"; readonly id: string }
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "restart" }
  | { readonly kind: "action"; readonly name: string; readonly arguments: unknown }
  | { readonly kind: "complete" };

type Reading = AsyncGenerator<Word, void, undefined>;

/** Seconds that one poll of a job may wait for its end. */
const POLL_S = 2;

/** Ask as the settings say, and read to the end. */
export function reading(settings: Settings, options: Options): Reading {
  const door = doorOf(settings);
  const resumeUrl = settings.resumeUrl.replaceAll("{random}", randomWord());
  const body = door.body({ ...settings, resumeUrl }) as never;
  switch (door.name) {
    case "assistant":
      return assistant(body, options);
    case "chat":
      return texts(streamChat(body, options));
    case "ask":
      return texts(streamAsk(body, options));
    case "n8n":
      return n8n(body, options);
    case "openai":
      return openai(door, body, options);
    case "job":
      return job(body, options);
  }
}

/** Makes an address of its own: to the gateway, the same `resumeUrl` is the same request. */
function randomWord(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(2)), (n) => n.toString(36)).join("");
}

/** Read a job that was made before, at whatever door. */
export async function* readingOf(id: string, options: Options): Reading {
  yield { kind: "job", id };
  for await (const event of streamAssistantResponse(id, options)) yield* told(event);
}

async function* assistant(body: never, options: Options): Reading {
  const accepted = await requestAssistant(body, options);
  yield { kind: "job", id: accepted.request_id };
  for await (const event of streamAssistantResponse(accepted, options)) yield* told(event);
}

function* told({ event, data }: AssistantEvent): Generator<Word> {
  if (event === "stage") yield { kind: "note", text: data.stage };
  if (event === "status" && data.position) {
    yield { kind: "note", text: `place ${data.position} in the queue` };
  }
  if (event === "response_chunk") yield { kind: "text", text: data.text };
  if (event === "restart") yield { kind: "restart" };
  if (event === "action") yield { kind: "action", name: data.name, arguments: data.arguments };
  if (event === "complete") yield { kind: "complete" };
}

async function* texts(events: AsyncIterable<TextEvent>): Reading {
  for await (const event of events) {
    if (event.event === "begin") yield { kind: "job", id: event.data.request_id };
    if (event.event === "text") yield { kind: "text", text: event.data };
    if (event.event === "restart") yield { kind: "restart" };
    if (event.event === "complete") yield { kind: "complete" };
  }
}

async function* n8n(body: never, options: Options): Reading {
  const { streamUrl } = await callGateway<{ streamUrl: string }>(
    "POST",
    "/init-stream",
    body,
    options,
  );
  const id = new URL(streamUrl).pathname.split("/").at(-1) ?? "";
  yield { kind: "job", id };
  for await (const word of texts(streamText(streamUrl, options))) {
    if (word.kind !== "job") yield word;
  }
}

async function* job(body: never, options: Options): Reading {
  const { request_id } = await submitJob(body, options);
  yield { kind: "job", id: request_id };
  for (;;) {
    const polled = await pollJob(request_id, options, POLL_S);
    if (polled.status === "completed") {
      yield { kind: "text", text: polled.response.ai_response };
      yield { kind: "complete" };
      return;
    }
    if (polled.status !== "queued" && polled.status !== "processing") {
      throw new GatewayError("failed", polled.message, { code: polled.status.toUpperCase() });
    }
    const place = polled.status === "queued" ? `, place ${polled.position}` : "";
    yield { kind: "note", text: `${polled.status}${place}` };
  }
}

/**
 * OpenAI's wire, which has no event ids: where it is cut, the rest is read at the chat's door,
 * less what is known already.
 */
async function* openai(door: Door, body: object, options: Options): Reading {
  const response = await post(door, body, options);
  const id = response.headers.get("X-Request-Id") ?? "";
  yield { kind: "job", id };
  let known = 0;
  try {
    for await (const text of chunks(response)) {
      known += text.length;
      yield { kind: "text", text };
    }
    yield { kind: "complete" };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    yield { kind: "note", text: "this wire has no event ids: going on at the chat's door" };
    yield* after(known, texts(resumeChat(id, options)));
  }
}

async function post(door: Door, body: object, options: Options): Promise<Response> {
  const token = typeof options.token === "function" ? await options.token(false) : options.token;
  const headers = new Headers({ "Content-Type": "application/json" });
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const url = new URL(door.path.slice(1), options.url);
  const signal = options.signal ?? null;
  let response: Response;
  try {
    const call = options.fetch ?? fetch;
    response = await call(url, { method: "POST", headers, body: JSON.stringify(body), signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new GatewayError("network", "The gateway cannot be reached.", { cause: error });
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => null);
  throw new GatewayError(
    "refused",
    said?.error?.message ?? `The server answered ${response.status}.`,
    {
      status: response.status,
    },
  );
}

async function* chunks(response: Response): AsyncGenerator<string> {
  const decoder = new EventDecoder("");
  const reader = response.body?.getReader();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true };
    if (done || !value) throw new TypeError("It ended before its end.");
    for (const { data } of decoder.feed(value)) {
      if (data === "[DONE]") return;
      const { choices, error } = JSON.parse(data);
      if (error) throw new GatewayError("failed", error.message);
      const text = choices?.[0]?.delta?.content;
      if (text) yield text;
    }
  }
}

/** The words of a stream, less the first characters of its text. */
async function* after(length: number, words: Reading): Reading {
  let skip = length;
  for await (const word of words) {
    if (word.kind === "job") continue;
    if (word.kind !== "text") {
      if (word.kind === "restart") skip = 0;
      yield word;
      continue;
    }
    const text = word.text.slice(skip);
    skip = Math.max(0, skip - word.text.length);
    if (text) yield { kind: "text", text };
  }
}
