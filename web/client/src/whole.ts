import { GatewayError } from "./errors.ts";

/**
 * The last event's data of any stream that ends with `complete`, for who wants nothing else:
 * `const { response } = await whole(interactWithAssistant({ prompt }))`.
 *
 * @throws GatewayError what the stream throws; or nothing was left to read.
 */
export async function whole<Event extends { event: string }>(
  stream: AsyncIterable<Event>,
): Promise<Extract<Event, { event: "complete" }> extends { data: infer Data } ? Data : never> {
  for await (const event of stream)
    if (event.event === "complete")
      return (event as Extract<Event, { data: unknown }>).data as never;
  throw new GatewayError("gone", "Everything has been read already.");
}
