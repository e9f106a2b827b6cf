/** Reading a stream to its end, over as many connections as that takes. */

import { EventDecoder, type ServerEvent } from "./decoder.ts";
import { GatewayError } from "./errors.ts";
import type { Ask, Line } from "./line.ts";
import type { Options } from "./options.ts";

/** A path of the gateway's as an address. */
export function place(path: string, { url }: Options): URL {
  const base = url ?? globalThis.document?.baseURI;
  if (!base) throw new TypeError("options.url is needed: the gateway's address");
  const folder = new URL(base);
  // Beside a page; below whatever address was given.
  if (url && !folder.pathname.endsWith("/")) folder.pathname += "/";
  return new URL(path.slice(1), folder);
}

/** The address of a job's stream as the gateway gave it: its token is sent as a header, so that
 * it stands in no log of a proxy. */
export function link(streamUrl: string | URL): { url: URL; token: string | undefined } {
  const url = new URL(streamUrl);
  const token = url.searchParams.get("access_token") ?? undefined;
  url.searchParams.delete("access_token");
  return { url, token };
}

/**
 * Every event once, in order. Ends where the gateway says that everything has been read; the
 * caller leaves at the last event.
 *
 * A `restart` without an id is the line's own: the gateway cannot go on from the last event, and
 * begins anew.
 */
export async function* events(line: Line, ask: () => Ask): AsyncGenerator<ServerEvent> {
  for (;;) {
    let error: GatewayError;
    try {
      const response = await line.reach(() => ({ accept: "text/event-stream", ...ask() }));
      if (response.status === 204) return;
      if (!response.headers.get("Content-Type")?.startsWith("text/event-stream"))
        throw new GatewayError("protocol", "The answer is no stream of events.");
      const decoder = new EventDecoder(line.lastEventId);
      for await (const bytes of line.bytes(response)) {
        for (const event of decoder.feed(bytes)) {
          line.lastEventId = event.id;
          line.heard(event.event, event.id, event.data.length);
          yield event;
        }
        line.lastEventId = decoder.lastId;
        line.retry = decoder.retry ?? line.retry;
      }
      error = new GatewayError("network", "The stream ended before its last event.");
    } catch (cause) {
      if (!(cause instanceof GatewayError)) throw cause;
      if (cause.status === 409 && line.lastEventId) {
        line.lastEventId = "";
        yield { event: "restart", data: '{"reason":"lost"}', id: "" };
        continue;
      }
      // What has no status happened on the way; `reach` has seen to the rest.
      if (cause.status !== undefined || cause.kind === "protocol") throw cause;
      error = cause;
    }
    await line.pause(error);
  }
}

/** @throws GatewayError it is no JSON. */
export function parse<T>(text: string): T {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new GatewayError("protocol", "The answer is no JSON.", { cause });
  }
}
