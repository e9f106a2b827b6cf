/** The gateway's doors for operators: what they answer, and one object that asks them. */

import type {
  AdminJob,
  DeliveryItem,
  DeliveryItems,
  Item,
  Items,
  Overview,
  UsageRow,
  UsageRows,
} from "./wire.ts";

export type { AdminJob, CalledTool, LogEvent, Overview } from "./wire.ts";
export type Job = Item;
export type Delivery = DeliveryItem;
export type Spent = UsageRow;

/** What is asked of a list; what is empty or absent is not asked. */
export type Filters = Readonly<Record<string, string | number | undefined>>;

/** The gateway said no. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Nobody answered, or not the gateway. */
export class Unreachable extends Error {}

/** Who asks the doors for operators. Each call throws `Refused` or `Unreachable`. */
export class Admin {
  readonly code: string;
  readonly #base: URL;

  /** With an app's code, or "" for who needs none because they are on the same machine. */
  constructor(code: string, base: string = document.baseURI) {
    this.code = code;
    this.#base = new URL("admin/", base);
  }

  overview(signal?: AbortSignal): Promise<Overview> {
    return this.#json("overview", {}, signal);
  }

  jobs(filters: Filters, signal?: AbortSignal): Promise<Items> {
    return this.#json("jobs", filters, signal);
  }

  job(id: string, signal?: AbortSignal): Promise<AdminJob> {
    return this.#json(`jobs/${encodeURIComponent(id)}`, {}, signal);
  }

  deliveries(filters: Filters, signal?: AbortSignal): Promise<DeliveryItems> {
    return this.#json("webhooks", filters, signal);
  }

  usage(filters: Filters, signal?: AbortSignal): Promise<UsageRows> {
    return this.#json("usage", filters, signal);
  }

  /** Have a callback made once more; resolves when that is under way. */
  async replay(id: string): Promise<void> {
    const headers = { "Content-Type": "application/json" };
    await this.#ask(`webhooks/${encodeURIComponent(id)}/replay`, {}, { method: "POST", headers });
  }

  /** The stream of overviews, still unread. */
  events(signal: AbortSignal): Promise<Response> {
    return this.#ask("events", {}, { signal, headers: { Accept: "text/event-stream" } });
  }

  async #json<T>(path: string, filters: Filters, signal?: AbortSignal): Promise<T> {
    const response = await this.#ask(path, filters, signal ? { signal } : {});
    try {
      return (await response.json()) as T;
    } catch (error) {
      throw unlessAborted(error, signal);
    }
  }

  async #ask(path: string, filters: Filters, how: RequestInit): Promise<Response> {
    const url = new URL(path, this.#base);
    for (const [name, value] of Object.entries(filters)) {
      if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
    }
    const headers = new Headers(how.headers);
    if (this.code) headers.set("Authorization", `Bearer ${this.code}`);
    let response: Response;
    try {
      response = await fetch(url, { ...how, headers, cache: "no-store", credentials: "omit" });
    } catch (error) {
      throw unlessAborted(error, how.signal);
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

function unlessAborted(error: unknown, signal?: AbortSignal | null): unknown {
  return signal?.aborted ? error : new Unreachable("The gateway does not answer.");
}

async function refusal(response: Response): Promise<Refused> {
  const body: unknown = await response.json().catch(() => null);
  const told = (body as { error?: { code?: unknown; message?: unknown } } | null)?.error;
  const { code, message } = told ?? {};
  return new Refused(
    response.status,
    typeof code === "string" ? code : String(response.status),
    typeof message === "string" ? message : `The gateway answered ${response.status}.`,
  );
}
