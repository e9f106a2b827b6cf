/** Everything that goes over the wire, for the eye; and a pair of pliers. */

export type Row =
  | { readonly n: number; readonly kind: "request"; readonly text: string }
  | { readonly n: number; readonly kind: "status"; readonly text: string }
  | { readonly n: number; readonly kind: "cut"; readonly text: string }
  | { readonly n: number; readonly kind: "json"; readonly text: string }
  | {
      readonly n: number;
      readonly kind: "event";
      readonly id: string;
      readonly name: string;
      readonly text: string;
    };

type Draft = Row extends infer Each ? (Each extends Row ? Omit<Each, "n"> : never) : never;

/** What is remembered; what came before is only counted. */
const MOST = 1_000;
const TEXT_MOST = 2_000;

export class Wiretap {
  rows: readonly Row[] = [];
  /** Events seen, connections opened. */
  events = 0;
  connections = 0;
  #count = 0;
  #open = new Set<() => void>();
  #inner: typeof fetch;
  #changed: () => void;

  /** Watch `inner`; `changed` is called whenever there is more to see. */
  constructor(inner: typeof fetch, changed: () => void) {
    this.#inner = inner;
    this.#changed = changed;
  }

  /** Something is being read that can be cut. */
  get open(): boolean {
    return this.#open.size > 0;
  }

  /** The platform's `fetch`, watched. */
  readonly fetch: typeof fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    const last = headers.get("Last-Event-ID");
    const resumes = last ? `  Last-Event-ID: ${last}` : "";
    this.#add({ kind: "request", text: `${init?.method ?? "GET"} ${shown(url)}${resumes}` });
    const response = await this.#inner(input, init);
    this.#add({ kind: "status", text: `${response.status} ${kindOf(response)}`.trim() });
    return response.body ? this.#watched(response, response.body) : response;
  };

  /** Cut every connection, as a bad network would. */
  cut(): void {
    for (const each of [...this.#open]) each();
  }

  #watched(response: Response, body: ReadableStream<Uint8Array>): Response {
    const reader = body.getReader();
    const streams = response.headers.get("Content-Type")?.startsWith("text/event-stream") ?? false;
    const watch = streams
      ? new Frames((draft) => this.#add(draft))
      : new Whole((draft) => this.#add(draft));
    let cut = () => {};
    const seen = new ReadableStream<Uint8Array>({
      start: (controller) => {
        cut = () => {
          this.#open.delete(cut);
          this.#add({ kind: "cut", text: "The connection was cut here." });
          controller.error(new TypeError("cut"));
          void reader.cancel().catch(() => {});
        };
        if (streams) {
          this.connections += 1;
          this.#open.add(cut);
        }
      },
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (value) {
            watch.see(value);
            controller.enqueue(value);
          }
          if (!done) return;
          watch.end();
          this.#close(cut);
          controller.close();
        } catch (error) {
          this.#close(cut);
          controller.error(error);
        }
      },
      cancel: async (reason) => {
        this.#close(cut);
        await reader.cancel(reason);
      },
    });
    return new Response(seen, response);
  }

  #close(cut: () => void): void {
    this.#open.delete(cut);
    this.#changed();
  }

  #add(draft: Draft): void {
    this.#count += 1;
    if (draft.kind === "event") this.events += 1;
    const row = { ...draft, n: this.#count } as Row;
    // A copy for each row would be dear: they come by the thousand, and are looked at once a frame.
    const rows = this.rows as Row[];
    rows.push(row);
    if (rows.length > MOST * 2) rows.splice(0, rows.length - MOST);
    this.#changed();
  }
}

/** Frames of server-sent events, as they came. */
class Frames {
  #add: (draft: Draft) => void;
  #utf8 = new TextDecoder();
  #rest = "";

  constructor(add: (draft: Draft) => void) {
    this.#add = add;
  }

  see(bytes: Uint8Array): void {
    const parts = (this.#rest + this.#utf8.decode(bytes, { stream: true })).split("\n\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) this.#frame(part);
  }

  end(): void {
    if (this.#rest.trim()) this.#frame(this.#rest);
  }

  #frame(frame: string): void {
    const of = (name: string) =>
      frame
        .split("\n")
        .filter((line) => line.startsWith(`${name}:`))
        .map((line) => line.slice(name.length + 1).replace(/^ /, ""))
        .join("\n");
    const text = of("data");
    // Comments keep the line open, and `retry` is the client's affair.
    if (!/^data:/m.test(frame)) return;
    this.#add({ kind: "event", id: of("id"), name: of("event"), text: clipped(text) });
  }
}

/** An answer that is one document. */
class Whole {
  #add: (draft: Draft) => void;
  #utf8 = new TextDecoder();
  #text = "";

  constructor(add: (draft: Draft) => void) {
    this.#add = add;
  }

  see(bytes: Uint8Array): void {
    this.#text += this.#utf8.decode(bytes, { stream: true });
  }

  end(): void {
    if (this.#text) this.#add({ kind: "json", text: clipped(redacted(this.#text)) });
  }
}

function kindOf(response: Response): string {
  return response.headers.get("Content-Type")?.split(";")[0] ?? "";
}

function shown(url: URL): string {
  const bare = new URL(url);
  bare.searchParams.delete("access_token");
  return `${bare.pathname}${bare.search}`;
}

/** A stream's token is a credential, and screens are photographed. */
function redacted(text: string): string {
  return text.replace(/(access_token=)[\w.-]+/g, "$1…");
}

function clipped(text: string): string {
  return text.length > TEXT_MOST ? `${text.slice(0, TEXT_MOST)}…` : text;
}
