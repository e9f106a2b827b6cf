/** The chat's way to the gateway: the assistant's door, by the client. */

import {
  type AssistantAccepted,
  type AssistantEvent,
  cancelAssistantRequest,
  GatewayError,
  getAssistantRequest,
  type Options,
  requestAssistant,
  streamAssistantResponse,
} from "ai-streaming-gateway-client";
import {
  type Accepted,
  type Calling,
  type Facts,
  type News,
  type Problem,
  type Question,
  type Reading,
  type Transport,
  TransportError,
} from "./transport.ts";

/** How long an answer is awaited that says what is to be cancelled. */
const LATE_MS = 5_000;
/** About four minutes of looking for a gateway that has gone. */
const ATTEMPTS = 20;

export class GatewayTransport implements Transport {
  #options: Options;

  /** By these options: the address of the gateway, and the credential. */
  constructor(options: Options) {
    this.#options = { attempts: ATTEMPTS, ...options };
  }

  async ask(question: Question, calling: Calling): Promise<Accepted> {
    const { prompt, model, before } = question;
    const context = before.length ? { conversation: before } : null;
    const request = { prompt, mode: "chat", model, context };
    const late = new AbortController();
    const options = { ...this.#called(calling), signal: late.signal };
    const asked = told(requestAssistant(request, options)).then(acceptedOf);
    return await unlessStopped(asked, calling.signal, () => {
      // It may be accepted already, and nobody wants it any more.
      setTimeout(() => late.abort(), LATE_MS);
      asked.then((accepted) => this.cancel(accepted)).catch(() => {});
    });
  }

  async read(accepted: Accepted, reading: Reading): Promise<void> {
    const target = { request_id: accepted.requestId, stream_url: accepted.streamUrl };
    const options = { ...this.#called(reading), lastEventId: reading.after ?? undefined };
    let ended = false;
    try {
      for await (const event of streamAssistantResponse(target, options)) {
        ended = event.event === "complete";
        reading.onNews(newsOf(event));
      }
    } catch (error) {
      if (!(error instanceof GatewayError) || error.status || !error.code) throw problemOf(error);
      // The gateway's last word about this request.
      reading.onNews({ kind: "failed", id: null, problem: problem(error) });
      ended = true;
    }
    // All of it was read before the page was left, but for how it ended.
    if (!ended) reading.onNews(await this.#standing(accepted, reading));
  }

  async #standing(accepted: Accepted, calling: Calling): Promise<News> {
    const options = this.#called(calling);
    const standing = await told(getAssistantRequest(accepted.requestId, options));
    if (standing.error) {
      const { code, message, retryable } = standing.error;
      const problem = { code, message, retryable, resumable: false };
      return { kind: "failed", id: null, problem };
    }
    return {
      kind: "complete",
      id: null,
      response: standing.response ?? "",
      facts: facts(standing),
    };
  }

  async cancel({ requestId }: Accepted): Promise<void> {
    await cancelAssistantRequest(requestId, this.#options);
  }

  #called({ signal, onLine }: Calling): Options {
    return {
      ...this.#options,
      signal,
      onStatus: ({ state }) => {
        if (state === "open") onLine(true);
        if (state === "waiting") onLine(false);
      },
    };
  }
}

function acceptedOf(told: AssistantAccepted): Accepted {
  return { requestId: told.request_id, streamUrl: told.stream_url };
}

/** What a call is worth, or the signal's reason as soon as that is given. */
function unlessStopped<T>(call: Promise<T>, signal: AbortSignal, stopped: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      stopped();
      reject(signal.reason);
    };
    signal.addEventListener("abort", stop, { once: true });
    const settle = () => signal.removeEventListener("abort", stop);
    call.then(resolve, reject).finally(settle);
  });
}

async function told<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw problemOf(error);
  }
}

/** The error as the chat knows it; one that is no gateway's is the caller's own signal, or a bug. */
function problemOf(error: unknown): unknown {
  return error instanceof GatewayError ? new TransportError(problem(error)) : error;
}

function problem(error: GatewayError): Problem {
  const { kind, message, advice, code, status, retryable } = error;
  // What a stream itself tells is the end of its request: there is nothing left to read.
  const ended = code !== undefined && status === undefined;
  const resumable = !ended && PASSING.has(kind);
  return {
    code: code ?? kind.toUpperCase(),
    message: `${message} ${advice}`,
    retryable,
    resumable,
  };
}

const PASSING = new Set<string>(["network", "timeout", "busy", "limited"]);

function newsOf(event: AssistantEvent): News {
  const { id } = event;
  switch (event.event) {
    case "stage":
      return { kind: "notice", id, text: STAGES[event.data.stage] ?? "" };
    case "status": {
      const { position, estimated_wait_time } = event.data;
      const wait = estimated_wait_time ? `, ${estimated_wait_time}` : "";
      return { kind: "notice", id, text: position ? `Place ${position} in the queue${wait}` : "" };
    }
    case "response_chunk":
      return { kind: "text", id, text: event.data.text };
    case "restart":
      return { kind: "restart", id };
    case "action": {
      const { id: call, name, arguments: given } = event.data;
      return { kind: "action", id, action: { id: call, name, arguments: given } };
    }
    case "complete":
      return { kind: "complete", id, response: event.data.response, facts: facts(event.data) };
  }
}

const STAGES: Record<string, string> = { queued: "Waiting in the queue" };

function facts(from: {
  model?: string | null | undefined;
  usage?: { total_tokens: number } | null | undefined;
  timings?: { first_token_s: number | null; total_s: number | null } | null | undefined;
}): Facts {
  return {
    model: from.model ?? null,
    tokens: from.usage?.total_tokens ?? null,
    firstTokenS: from.timings?.first_token_s ?? null,
    totalS: from.timings?.total_s ?? null,
  };
}
