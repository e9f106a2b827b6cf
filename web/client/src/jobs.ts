/** The job queue: ask now, come back for the answer. */

import { callGateway } from "./call.ts";
import { failure } from "./errors.ts";
import type { Options } from "./options.ts";
import type {
  Accepted,
  AiRequest,
  AiRequestBatch,
  BatchAccepted,
  Broken,
  Lapsed,
  Ready,
  Running,
  Stopped,
  Waiting,
} from "./wire.ts";

/** How a job stands. */
export type Polled = Waiting | Running | Ready | Broken | Stopped | Lapsed;

/** Seconds that one poll waits at the gateway for the job's end. */
const WAIT = 25;

/** Queue a request. */
export const submitJob = (request: AiRequest, options?: Options): Promise<Accepted> =>
  callGateway("POST", "/ai_request", request, options);

/** Queue up to a hundred requests; each is accepted or refused for itself. */
export const submitJobs = (batch: AiRequestBatch, options?: Options): Promise<BatchAccepted> =>
  callGateway("POST", "/ai_request/batch", batch, options);

/**
 * How a job stands, of whatever door.
 *
 * @param wait seconds that the gateway may wait for its end, up to 60.
 */
export function pollJob(requestId: string, options: Options = {}, wait = 0): Promise<Polled> {
  const query = wait ? `?wait=${wait}` : "";
  const { connectTimeout = 20_000 } = options;
  return callGateway("GET", path("get", requestId) + query, undefined, {
    ...options,
    connectTimeout: connectTimeout + wait * 1000,
  });
}

/**
 * The answer of a job when it is there, however long that takes.
 *
 * @param onPolled told how it stands, each time that is asked.
 * @throws GatewayError there will be none.
 */
export async function waitForJob(
  requestId: string,
  options: Options = {},
  onPolled?: (polled: Polled) => void,
): Promise<Ready> {
  for (;;) {
    const polled = await pollJob(requestId, options, WAIT);
    onPolled?.(polled);
    if (polled.status === "completed") return polled;
    if (polled.status === "queued" || polled.status === "processing") continue;
    const code = "error_code" in polled ? polled.error_code : polled.status.toUpperCase();
    const retryable = "retry_possible" in polled && polled.retry_possible;
    throw failure({ code, message: polled.message, retryable }, requestId);
  }
}

/** Stop a job, waiting or under way. */
export const cancelJob = (requestId: string, options?: Options): Promise<Accepted> =>
  callGateway("POST", path("cancel", requestId), {}, options);

const path = (what: string, requestId: string) =>
  `/${what}_request/${encodeURIComponent(requestId)}`;
