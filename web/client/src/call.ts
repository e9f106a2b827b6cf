/** Calls that are answered with JSON. */

import { GatewayError } from "./errors.ts";
import { parse, place } from "./events.ts";
import { Line } from "./line.ts";
import type { Options } from "./options.ts";

/**
 * One call of the gateway's API, tried again while that can help: a request that is repeated is
 * the same request, by its Idempotency-Key.
 *
 * @throws GatewayError it is refused, or there is no answer.
 */
export async function callGateway<T>(
  method: string,
  path: string,
  body?: unknown,
  options: Options = {},
): Promise<T> {
  const line = new Line(options);
  try {
    for (;;) {
      const response = await line.reach(() => ({ method, url: place(path, options), body }));
      if (response.status === 204) return undefined as T;
      if (!response.headers.get("Content-Type")?.includes("json"))
        throw new GatewayError("protocol", "The answer is no JSON.");
      try {
        const utf8 = new TextDecoder();
        let text = "";
        for await (const bytes of line.bytes(response))
          text += utf8.decode(bytes, { stream: true });
        return parse(text);
      } catch (error) {
        // To Chromium, an answer that is cut is one that has ended.
        if (!(error instanceof GatewayError)) throw error;
        await line.pause(error);
      }
    }
  } finally {
    line.close();
  }
}
