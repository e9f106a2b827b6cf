/** One call to the gateway: all its tries, until there is an answer or no more hope. */

import { GatewayError, refusal } from "./errors.ts";
import type { Connection, ConnectionState, DebugEntry, Options, Status } from "./options.ts";

export interface Ask {
  method: string;
  url: URL;
  body?: unknown;
  /** A credential that came with the address, used before the caller's own. */
  token?: string | undefined;
  accept?: string;
}

const LONGEST_WAIT = 15_000;
/** Longer than this nobody is kept waiting for a gateway that is full. */
const LATEST = 60_000;
/** A connection that lasted this long was none that failed. */
const LASTED = 10_000;

let count = 0;
const lines = new Set<Line>();

/** The calls that are under way. */
export const activeConnections = (): Connection[] => [...lines].filter((line) => line.url);

export class Line implements Connection {
  readonly id = ++count;
  readonly #options: Options;
  url = "";
  requestId: string | undefined;
  status: Status = { state: "connecting", failures: 0 };
  lastEventId = "";
  /** Milliseconds, as the gateway asked. */
  retry = 1000;
  #failures = 0;
  #key: string;
  #over = new AbortController();
  #try = new AbortController();
  #openedAt = 0;
  #heardAt = 0;
  #wake: (() => void) | undefined;
  /** The next try needs no pause. */
  #hasty = false;
  #deadline: ReturnType<typeof setTimeout> | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#key = options.idempotencyKey ?? randomKey();
    const { signal, timeout } = options;
    if (signal?.aborted) throw signal.reason;
    signal?.addEventListener("abort", this.#abort);
    if (timeout) {
      const late = () => this.#end(new GatewayError("timeout", `No end within ${timeout} ms.`));
      this.#deadline = setTimeout(late, timeout);
    }
    lines.add(this);
    for (const [target, type] of wakers()) target.addEventListener(type, this.#woken);
  }

  /** The caller's signal or the time-out has ended the call. */
  get ended(): boolean {
    return this.#over.signal.aborted;
  }

  /** Leave nothing behind; also ends what is still being read. */
  close(): void {
    clearTimeout(this.#deadline);
    this.#options.signal?.removeEventListener("abort", this.#abort);
    for (const [target, type] of wakers()) target.removeEventListener(type, this.#woken);
    lines.delete(this);
    this.#end(undefined);
    this.#tell("closed");
  }

  /**
   * Ask until there is an answer that is no passing failure.
   *
   * @throws GatewayError what the gateway refuses, or the last failure of too many.
   */
  async reach(ask: () => Ask): Promise<Response> {
    let renewed = false;
    for (;;) {
      let error: GatewayError;
      const now = ask();
      try {
        return await this.#fetch(now, renewed);
      } catch (cause) {
        this.#check();
        // Of `fetch`, that is all it says of a network; anything else is the caller's own.
        if (!(cause instanceof GatewayError || cause instanceof TypeError)) throw cause;
        error = broken(cause, "The gateway cannot be reached.");
      }
      const { token } = this.#options;
      if (error.status === 401 && !renewed && token && (now.token || typeof token === "function")) {
        // It may have run out: only a fresh one that is refused is an error.
        renewed = true;
      } else if (passing(error, now.method)) await this.pause(error);
      else throw error;
    }
  }

  async #fetch(ask: Ask, renewed: boolean): Promise<Response> {
    this.#check();
    const options = this.#options;
    const headers: Record<string, string> = { Accept: ask.accept ?? "application/json" };
    const { token } = options;
    const brought = renewed ? undefined : ask.token;
    const credential =
      brought ?? (typeof token === "function" ? await this.until(token(renewed)) : token);
    if (credential) headers.Authorization = `Bearer ${credential}`;
    if (this.lastEventId) headers["Last-Event-ID"] = this.lastEventId;
    if (ask.body !== undefined) headers["Content-Type"] = "application/json";
    if (ask.method === "POST") headers["Idempotency-Key"] = this.#key;
    this.url = ask.url.origin + ask.url.pathname;
    this.#tell("connecting");
    const { method } = ask;
    const { id, url, lastEventId } = this;
    this.#debug({ type: "request", connection: id, method, url, lastEventId });
    const begun = Date.now();
    const trial = new AbortController();
    this.#try = trial;
    const wait = options.connectTimeout ?? 20_000;
    const timer = setTimeout(
      () => trial.abort(new GatewayError("timeout", `No answer within ${wait} ms.`)),
      wait,
    );
    try {
      const response = await (options.fetch ?? fetch)(ask.url, {
        method,
        headers,
        body: JSON.stringify(ask.body),
        signal: trial.signal,
        cache: "no-store",
        referrerPolicy: "no-referrer",
      });
      this.#openedAt = this.#heardAt = Date.now();
      this.requestId = response.headers.get("X-Request-Id") ?? this.requestId;
      const ms = this.#openedAt - begun;
      const { requestId } = this;
      this.#debug({ type: "response", connection: id, status: response.status, ms, requestId });
      if (!response.ok) throw await refusal(response);
      return response;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * The bytes of an answer as they come, until it ends.
   *
   * @throws GatewayError it was cut off, or silent for too long.
   */
  async *bytes(response: Response): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader();
    const trial = this.#try;
    const most = this.#options.silence ?? 40_000;
    const silent = () => trial.abort(new GatewayError("network", `Silent for ${most} ms.`));
    this.#tell("open");
    try {
      while (reader) {
        // Only while it waits: a caller who takes time between two events is no silence.
        const timer = setTimeout(silent, most);
        const { done, value } = await reader.read().finally(() => clearTimeout(timer));
        if (done) return;
        this.#heardAt = Date.now();
        yield value;
      }
    } catch (cause) {
      this.#check();
      throw broken(cause, "The connection was cut.");
    } finally {
      if (Date.now() - this.#openedAt > LASTED) this.#failures = 0;
      reader?.cancel().catch(() => {});
    }
  }

  /** What `promise` is worth, unless the call ends before. */
  async until<T>(promise: T | Promise<T>): Promise<T> {
    const { signal } = this.#over;
    await Promise.race([
      promise,
      new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
    ]);
    this.#check();
    return promise;
  }

  /** An event has arrived: whatever failed before is over. */
  heard(event: string, id: string, length: number): void {
    this.#failures = 0;
    this.#debug({ type: "event", connection: this.id, event, id, length });
  }

  /**
   * Wait before the next try; a network or a page that comes back ends the wait.
   *
   * @throws GatewayError there were too many tries.
   */
  async pause(error: GatewayError): Promise<void> {
    const { attempts = 10, delay = backoff } = this.#options;
    this.#check();
    if (this.#hasty) {
      this.#hasty = false;
      return;
    }
    const { retryAfterMs = 0 } = error;
    const wait = Math.max(delay(this.#failures, this.retry), retryAfterMs);
    // Without a network, time passes, but no try has failed.
    if (globalThis.navigator?.onLine !== false && ++this.#failures >= attempts) throw error;
    // Whoever asked knows better what to do until then.
    if (retryAfterMs > LATEST) throw error;
    this.#tell("waiting", { delay: wait, error });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
    this.#check();
  }

  #woken = (event: Event): void => {
    if (event.type === "visibilitychange" && document.visibilityState !== "visible") return;
    this.#wake?.();
    // A socket does not survive another network, nor half the silence of a machine that slept;
    // it only does not say so.
    const quiet = Date.now() - this.#heardAt > (this.#options.silence ?? 40_000) / 2;
    if (this.status.state === "open" && (quiet || event.type === "online")) {
      this.#hasty = true;
      this.#try.abort(new GatewayError("network", "The connection may be dead."));
    }
  };

  #abort = (): void => this.#end(this.#options.signal?.reason);

  #end(reason: unknown): void {
    this.#over.abort(reason);
    this.#try.abort(reason);
    this.#wake?.();
  }

  #check(): void {
    this.#over.signal.throwIfAborted();
  }

  #tell(state: ConnectionState, more: Partial<Status> = {}): void {
    this.status = { state, failures: this.#failures, ...more };
    this.#options.onStatus?.(this.status);
    this.#debug({ type: "status", connection: this.id, status: this.status });
  }

  #debug(entry: DebugEntry): void {
    this.#options.debug?.(entry);
  }
}

function broken(cause: unknown, message: string): GatewayError {
  return cause instanceof GatewayError ? cause : new GatewayError("network", message, { cause });
}

/** It may be over by itself soon, and to ask again does no harm. */
function passing({ kind, status, code }: GatewayError, method: string): boolean {
  if (status === undefined) return kind === "network" || kind === "timeout";
  // A proxy says so while the gateway behind it starts; the gateway would say why.
  if (status === 502 || status === 504) return code === undefined;
  return kind === "busy" || (status === 429 && method === "GET");
}

function backoff(failures: number, retry: number): number {
  return Math.min(LONGEST_WAIT, retry * 2 ** failures) * (1 - Math.random() / 2);
}

/** What tells that the network or the page is back. */
function wakers(): [EventTarget, string][] {
  if (typeof document === "undefined") return [];
  return [
    [window, "online"],
    [window, "pageshow"],
    [document, "visibilitychange"],
  ];
}

// `crypto.randomUUID` is there only where a page came by https.
const randomKey = () =>
  crypto.getRandomValues(new Uint32Array(4)).reduce((key, each) => key + each.toString(36), "");
