/** A gateway that answers as a test says, in the place of `fetch`. */

export interface Asked {
  method: string;
  path: string;
  headers: Headers;
  body: unknown;
}

/** A stream that the test writes to. */
export class Stream {
  readonly response: Response;
  #out!: ReadableStreamDefaultController<Uint8Array>;
  #utf8 = new TextEncoder();
  left = false;

  constructor(headers: Record<string, string> = {}) {
    const body = new ReadableStream<Uint8Array>({
      start: (out) => {
        this.#out = out;
      },
      cancel: () => {
        this.left = true;
      },
    });
    const all = { "Content-Type": "text/event-stream", ...headers };
    this.response = new Response(body, { headers: all });
  }

  write(text: string): this {
    this.#out.enqueue(this.#utf8.encode(text));
    return this;
  }

  /** One event of the assistant's. */
  tell(id: string, event: string, data: unknown): this {
    return this.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  end(): this {
    this.#out.close();
    return this;
  }

  cut(reason: unknown = new TypeError("terminated")): this {
    this.left = true;
    this.#out.error(reason);
    return this;
  }
}

type Answer = Stream | Response | Error | "silence";

export const json = (status: number, value: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(value), {
    status,
    headers: { "Content-Type": "application/json", ...headers },
  });

/** Answers each call with the next of `answers`; the last one stays. */
export class Scripted {
  readonly asked: Asked[] = [];
  #answers: (Answer | (() => Answer))[];

  constructor(...answers: (Answer | (() => Answer))[]) {
    this.#answers = answers;
  }

  fetch = async (url: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const { pathname, search } = new URL(url as URL);
    this.asked.push({
      method: init.method ?? "GET",
      path: pathname + search,
      headers: new Headers(init.headers),
      body: init.body ? JSON.parse(init.body as string) : undefined,
    });
    const next = this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0];
    const answer = typeof next === "function" ? next() : next;
    const { signal } = init;
    if (signal?.aborted) throw signal.reason;
    if (answer === "silence")
      return new Promise((_, reject) =>
        signal?.addEventListener("abort", () => reject(signal.reason)),
      );
    if (answer instanceof Error) throw answer;
    if (answer instanceof Stream)
      signal?.addEventListener("abort", () => answer.left || answer.cut(signal.reason));
    return answer instanceof Stream ? answer.response : (answer as Response);
  };
}

/** Reads a stream in the background. */
export class Reading<T> {
  readonly events: T[] = [];
  error: unknown;
  over = false;

  constructor(stream: AsyncIterable<T>) {
    void this.#read(stream);
  }

  async #read(stream: AsyncIterable<T>): Promise<void> {
    try {
      for await (const event of stream) this.events.push(event);
    } catch (error) {
      this.error = error;
    }
    this.over = true;
  }
}
