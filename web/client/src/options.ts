/** What a caller may set, for every call alike. */

import type { GatewayError } from "./errors.ts";

/** A credential: an app code or a user's JWT. */
export type Token = string | undefined;

export interface Options {
  /** Where the gateway is, with its prefix if it has one. Default: beside the page. */
  url?: string | URL | undefined;
  /**
   * The credential, or what fetches one. It is called again with `fresh` where the gateway
   * refused the last one; a second refusal is an error.
   */
  token?: Token | ((fresh: boolean) => Token | Promise<Token>);
  /** Ends the call at any stage; its reason is thrown. */
  signal?: AbortSignal | undefined;
  /** Milliseconds for everything, reconnections included. Default: no end. */
  timeout?: number | undefined;
  /** Milliseconds until an answer begins, for each try. Default 20 seconds. */
  connectTimeout?: number | undefined;
  /**
   * Milliseconds of silence after which an open stream is taken for dead. The gateway says
   * something every 15 seconds. Default 40 seconds.
   */
  silence?: number | undefined;
  /** Failed tries in a row before the call gives up. Default 10: about a minute and a half. */
  attempts?: number | undefined;
  /**
   * Milliseconds to wait before the next try.
   * Default: `retry`, doubled each time up to 15 seconds, less up to a half by chance.
   *
   * @param failures tries that failed in a row; 0 after a stream that told something.
   * @param retry what the gateway asks for; 1000 unless it does.
   */
  delay?: ((failures: number, retry: number) => number) | undefined;
  /** Makes a repeat of a request the same request. Default: one of its own for every call. */
  idempotencyKey?: string | undefined;
  /** Told of every change of the connection. */
  onStatus?: ((status: Status) => void) | undefined;
  /** Told of everything: requests, answers, events, states. `console.debug` will do. */
  debug?: ((entry: DebugEntry) => void) | undefined;
  /** In place of the platform's own. */
  fetch?: typeof fetch | undefined;
}

export interface StreamOptions extends Options {
  /** The id of the last event that was read; the stream goes on after it. */
  lastEventId?: string | undefined;
}

/** `waiting`: between two tries. */
export type ConnectionState = "connecting" | "open" | "waiting" | "closed";

export interface Status {
  readonly state: ConnectionState;
  /** Tries that failed in a row. */
  readonly failures: number;
  /** Milliseconds until the next try, while waiting. */
  readonly delay?: number;
  /** Why there was no answer, or the stream ended, while waiting. */
  readonly error?: GatewayError;
}

/** A call that is under way. */
export interface Connection {
  readonly id: number;
  readonly url: string;
  readonly requestId: string | undefined;
  readonly status: Status;
  readonly lastEventId: string;
}

export type DebugEntry =
  | { type: "request"; connection: number; method: string; url: string; lastEventId: string }
  | {
      type: "response";
      connection: number;
      status: number;
      ms: number;
      requestId: string | undefined;
    }
  | { type: "event"; connection: number; event: string; id: string; length: number }
  | { type: "status"; connection: number; status: Status };
