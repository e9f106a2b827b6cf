/**
 * `fetch` for pages of which many tabs may be open.
 *
 * Without HTTP/2, a browser opens six connections to one server, for all of its tabs together, and
 * a stream holds one to its end: the seventh tab could not even ask. So some tabs stream by
 * `fetch`, and the others read the same events by WebSocket, of which there may be hundreds.
 */

/** Half of the connections; the rest is for what is quick. */
const LANES = 3;
const STREAM = /\/assistant\/stream\/([^/]+)$/;
/** What may stand in a WebSocket's address: a token for reading one stream, never an app's code. */
const STREAM_TOKEN = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/;

export function laned(inner: typeof fetch = fetch.bind(globalThis)): typeof fetch {
  // Streams that had no more to tell by WebSocket, which has no answer that says so.
  const silent = new Set<string>();
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, document.baseURI);
    const id = STREAM.exec(url.pathname)?.[1];
    if (!id || silent.has(id) || !navigator.locks) return inner(input, init);
    const leave = await takeLane();
    if (leave) return inLane(inner(input, init), leave);
    const response = await bySocket(id, url, init, () => silent.add(id));
    return response ?? inner(input, init);
  };
}

/** A lane, and how to leave it; null where all are taken. */
async function takeLane(): Promise<(() => void) | null> {
  for (let n = 0; n < LANES; n += 1) {
    const leave = await lock(`gateway:lane:${n}`);
    if (leave) return leave;
  }
  return null;
}

function lock(name: string): Promise<(() => void) | null> {
  return new Promise((resolve) => {
    void navigator.locks.request(name, { ifAvailable: true }, (held) => {
      if (held) return new Promise<void>((leave) => resolve(leave));
      resolve(null);
    });
  });
}

/** An answer that leaves its lane when it has been read, or will not be. */
async function inLane(answer: Promise<Response>, leave: () => void): Promise<Response> {
  try {
    const response = await answer;
    if (!response.body) {
      leave();
      return response;
    }
    const reader = response.body.getReader();
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          leave();
          controller.close();
        } catch (error) {
          leave();
          controller.error(error);
        }
      },
      async cancel(reason) {
        leave();
        await reader.cancel(reason);
      },
    });
    return new Response(body, response);
  } catch (error) {
    leave();
    throw error;
  }
}

/** The stream as the WebSocket tells it; null where it does not. */
function bySocket(
  id: string,
  url: URL,
  init: RequestInit | undefined,
  onSilent: () => void,
): Promise<Response | null> {
  const headers = new Headers(init?.headers);
  const credential = headers.get("Authorization");
  const token = STREAM_TOKEN.exec(credential ?? "")?.[1];
  if (credential && !token) return Promise.resolve(null);
  const address = new URL(`../../ws/${id}`, url);
  address.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const last = headers.get("Last-Event-ID");
  if (token) address.searchParams.set("access_token", token);
  if (last) address.searchParams.set("last_event_id", last);
  return opened(new WebSocket(address), id, init?.signal ?? null, onSilent);
}

function opened(
  socket: WebSocket,
  id: string,
  signal: AbortSignal | null,
  onSilent: () => void,
): Promise<Response | null> {
  const utf8 = new TextEncoder();
  let heard = false;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      socket.addEventListener("message", ({ data }) => {
        heard = true;
        controller.enqueue(utf8.encode(frame(String(data))));
      });
      socket.addEventListener("close", ({ wasClean }) => {
        if (wasClean && !heard) onSilent();
        // Closed already, where nobody reads any more.
        if (signal?.aborted) controller.error(signal.reason);
        else if (wasClean) controller.close();
        else controller.error(new TypeError("The WebSocket was cut."));
      });
    },
    cancel: () => socket.close(),
  });
  signal?.addEventListener("abort", () => socket.close(), { once: true });
  const head = { "Content-Type": "text/event-stream", "X-Request-Id": id };
  return new Promise((resolve) => {
    socket.addEventListener("open", () => resolve(new Response(body, { headers: head })));
    socket.addEventListener("error", () => resolve(null));
  });
}

/** A message as server-sent events have it. */
function frame(message: string): string {
  const { event, id, data } = JSON.parse(message);
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
