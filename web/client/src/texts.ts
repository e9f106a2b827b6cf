/** The doors whose streams are one text: chat, ask, and n8n's. */

import { callGateway } from "./call.ts";
import type { ServerEvent } from "./decoder.ts";
import { failure } from "./errors.ts";
import { events, link, parse, place } from "./events.ts";
import { type Ask, Line } from "./line.ts";
import type { Options, StreamOptions } from "./options.ts";
import type { AskAnswer, AskRequest, ChatRequest, TokenCount } from "./wire.ts";

export type TextEvent =
  | { event: "begin"; id: string; data: { request_id: string; conversation_id?: string | null } }
  | { event: "text"; id: string; data: string }
  /** All text so far is void: forget it. */
  | { event: "restart"; id: string }
  | { event: "complete"; id: string; data: TextComplete };

export interface TextComplete {
  request_id: string;
  /** All that was read by this call. */
  text: string;
  /** Where the door tells it. */
  usage?: TokenCount | undefined;
}

export type TextStream = AsyncGenerator<TextEvent, void, undefined>;

/** Ask a question of a conversation, and read the answer. */
export const streamChat = (request: ChatRequest, options: Options = {}): TextStream =>
  asked("/api/chat/stream", request, options);

/** Read the answer to an earlier question of any door, or on after `lastEventId`. */
export async function* resumeChat(requestId: string, options: StreamOptions = {}): TextStream {
  yield* texts(options, (line) => {
    line.requestId = requestId;
    return again(requestId, options);
  });
}

/** Ask one question, and read the answer. */
export const streamAsk = (request: AskRequest, options: Options = {}): TextStream =>
  asked("/v1/ask", { ...request, stream: true }, options);

/** Ask one question, and wait for the whole answer: five minutes, unless `timeout` says less. */
export const ask = (request: AskRequest, options: Options = {}): Promise<AskAnswer> =>
  callGateway(
    "POST",
    "/v1/ask",
    { ...request, stream: false },
    { connectTimeout: 300_000, ...options },
  );

/** Read the text of an answer from the `streamUrl` that `/init-stream` gave a workflow. */
export async function* streamText(
  streamUrl: string | URL,
  options: StreamOptions = {},
): TextStream {
  const { url, token } = link(streamUrl);
  yield* texts(options, () => ({ method: "GET", url, token }), plain);
}

async function* asked(path: string, body: object, options: Options): TextStream {
  const url = place(path, options);
  yield* texts(options, ({ requestId }) =>
    // Once it is known, the request is only read: at the chat's door, which serves every one.
    requestId === undefined ? { method: "POST", url, body } : again(requestId, options),
  );
}

function again(requestId: string, options: Options): Ask {
  const path = `/api/chat/stream/${encodeURIComponent(requestId)}`;
  return { method: "GET", url: place(path, options) };
}

/** What one event of a wire says. */
interface Piece {
  begin?: { conversation_id?: string | null };
  /** The text is told from its beginning. */
  anew?: boolean;
  text?: string | undefined;
  restart?: boolean | undefined;
  complete?: boolean | undefined;
  usage?: TokenCount | undefined;
  error?: { code: string; message: string } | undefined;
}

async function* texts(
  options: StreamOptions,
  ask: (line: Line) => Ask,
  read: (event: ServerEvent) => Piece = framed,
): TextStream {
  const line = new Line(options);
  line.lastEventId = options.lastEventId ?? "";
  let text = "";
  let skip = 0;
  let begun = false;
  try {
    for await (const event of events(line, () => ask(line))) {
      const { id } = event;
      const piece = event.event === "restart" ? { restart: true } : read(event);
      const request_id = line.requestId ?? "";
      if (piece.error) throw failure(piece.error, request_id);
      if (!begun) {
        begun = true;
        yield { event: "begin", id, data: { request_id, ...piece.begin } };
      }
      if (piece.begin?.conversation_id !== undefined) skip = text.length;
      if (piece.restart) {
        text = "";
        skip = 0;
        yield { event: "restart", id };
      }
      if (piece.text) {
        const more = piece.text.slice(skip);
        skip = Math.max(0, skip - piece.text.length);
        text += more;
        if (more) yield { event: "text", id, data: more };
      }
      if (piece.complete) {
        yield { event: "complete", id, data: { request_id, text, usage: piece.usage } };
        return;
      }
    }
  } finally {
    line.close();
  }
}

/** Chat's frames, and ask's chunks. */
function framed({ data }: ServerEvent): Piece {
  const told = parse<{
    conversation_id?: string | null;
    content?: string;
    finished?: boolean;
    restarted?: boolean;
    usage?: TokenCount;
    error?: { code: string; message: string };
    choices?: { delta: { content?: string }; finish_reason: string | null }[];
  }>(data);
  const choice = told.choices?.[0];
  const { conversation_id, error, usage } = told;
  return {
    ...(conversation_id !== undefined && { begin: { conversation_id } }),
    text: told.content ?? choice?.delta.content,
    restart: told.restarted,
    complete: told.finished ?? choice?.finish_reason != null,
    usage,
    error: error && { ...error, code: `${error.code}`.toUpperCase() },
  };
}

/** n8n's text. */
function plain({ event, data }: ServerEvent): Piece {
  // The first is of a text that was given up: whoever comes again is sent to its start.
  if (event === "error") return data.includes("CURSOR_CONFLICT") ? {} : { error: parse(data) };
  return data === "[DONE]" ? { complete: true } : { text: data };
}
