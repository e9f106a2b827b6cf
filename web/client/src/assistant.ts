/** The assistant: a request first, then the stream of what becomes of it. */

import { callGateway } from "./call.ts";
import { failure } from "./errors.ts";
import { events, link, parse, place } from "./events.ts";
import { Line } from "./line.ts";
import type { Options, StreamOptions } from "./options.ts";
import type {
  ActionData,
  AssistantAccepted,
  AssistantRequest,
  AssistantStanding,
  AssistantStopped,
  ChunkData,
  CompleteData,
  ErrorData,
  RestartData,
  StageData,
  StatusData,
} from "./wire.ts";

/** Its `id` is what a later call gives as `lastEventId` to go on after it. */
type Told<Name extends string, Data> = { event: Name; id: string; data: Data };
type Of = { request_id: string };

export type AssistantEvent =
  | Told<"stage", Of & StageData>
  | Told<"status", Of & StatusData>
  | Told<"response_chunk", Of & ChunkData>
  | Told<"action", Of & ActionData>
  /** All text and actions so far are void: forget them. */
  | Told<"restart", Of & RestartData>
  | Told<"complete", Of & CompleteData>;

/** Make a request; it is worked on whether or not anybody reads along. */
export function requestAssistant(
  request: AssistantRequest,
  options?: Options,
): Promise<AssistantAccepted> {
  return callGateway("POST", "/assistant/request", request, options);
}

/** How a request stands, and all of its answer when it is over. */
export function getAssistantRequest(
  requestId: string,
  options?: Options,
): Promise<AssistantStanding> {
  return callGateway("GET", path("request", requestId), undefined, options);
}

/** Stop a request, waiting or under way. */
export function cancelAssistantRequest(
  requestId: string,
  options?: Options,
): Promise<AssistantStopped> {
  return callGateway("DELETE", path("request", requestId), undefined, options);
}

/**
 * What becomes of a request, of whatever door: every event once and in order, whatever happens
 * to the connection. The last one is `complete`.
 *
 * To leave it does not stop the request.
 *
 * @param target its id, or what `requestAssistant` answered, whose address needs no credential.
 * @throws GatewayError there will be no whole answer.
 */
export async function* streamAssistantResponse(
  target: string | Pick<AssistantAccepted, "request_id" | "stream_url">,
  options: StreamOptions = {},
): AsyncGenerator<AssistantEvent, void, undefined> {
  const line = new Line(options);
  try {
    yield* assistant(line, target, options);
  } finally {
    line.close();
  }
}

/**
 * Make a request and read what becomes of it.
 *
 * The caller's signal, or the time-out, also stops the request. To leave the loop does not.
 *
 * @throws GatewayError it is refused, or there will be no whole answer.
 */
export async function* interactWithAssistant(
  request: AssistantRequest,
  options: Options = {},
): AsyncGenerator<Told<"accepted", AssistantAccepted> | AssistantEvent, void, undefined> {
  const line = new Line(options);
  const { onStatus } = options;
  const quietly = { ...options, signal: undefined, timeout: undefined };
  const asked = requestAssistant(request, {
    ...quietly,
    onStatus: onStatus && ((status) => status.state === "closed" || onStatus(status)),
  });
  try {
    const accepted = await line.until(asked);
    yield { event: "accepted", id: "", data: accepted };
    yield* assistant(line, accepted, options);
  } catch (error) {
    if (line.ended)
      // Also a request that was still on its way: what it was given to do is not wanted.
      asked
        .then(({ request_id }) =>
          cancelAssistantRequest(request_id, { ...quietly, onStatus: undefined }),
        )
        .catch(() => {});
    throw error;
  } finally {
    line.close();
  }
}

async function* assistant(
  line: Line,
  target: string | Pick<AssistantAccepted, "request_id" | "stream_url">,
  options: StreamOptions,
): AsyncGenerator<AssistantEvent, void, undefined> {
  line.lastEventId = options.lastEventId ?? "";
  const requestId = typeof target === "string" ? target : target.request_id;
  const given = typeof target === "string" ? undefined : link(target.stream_url);
  const url = given && !options.url ? given.url : place(path("stream", requestId), options);
  const ask = () => ({ method: "GET", url, token: given?.token });
  for await (const { event, id, data } of events(line, ask)) {
    const told = parse<object>(data);
    if (event === "error") throw failure(told as ErrorData, requestId);
    yield { event, id, data: { request_id: requestId, ...told } } as AssistantEvent;
    if (event === "complete") return;
  }
}

const path = (what: string, requestId: string) =>
  `/assistant/${what}/${encodeURIComponent(requestId)}`;
