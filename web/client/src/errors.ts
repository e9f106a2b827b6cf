/** Everything that can go wrong, with what happened and what a person can do about it. */

const ADVICE = {
  refused: "Change the request, then try again.",
  unauthenticated: "Sign in again, or use another app code.",
  forbidden: "Ask the gateway's owner for permission.",
  unknown: "Send the request again: the gateway does not know this one.",
  gone: "Send the request again: its answer is no longer kept.",
  conflict: "Send the request under another Idempotency-Key.",
  limited: "Wait, or ask the gateway's owner for more.",
  busy: "Wait a little, then try again.",
  failed: "Try again, or choose another model.",
  cancelled: "Send the request again if you still want it.",
  expired: "Send the request again: it waited too long.",
  timeout: "Try again, or allow more time.",
  network: "Check the connection, then try again.",
  protocol: "Check the gateway's address: what answers there is none.",
} as const;

const LATER = /limited|busy|expired|timeout|network/;

export type ErrorKind = keyof typeof ADVICE;

export interface ErrorDetails {
  code?: string | undefined;
  status?: number | undefined;
  field?: string | undefined;
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
  requestId?: string | undefined;
  cause?: unknown;
}

/** What a call throws, but for the reason of the caller's own AbortSignal, thrown as it is. */
export class GatewayError extends Error {
  declare readonly kind: ErrorKind;
  /** One sentence for a person: what to do now. */
  declare readonly advice: string;
  /** The gateway's own word for it, such as RATE_LIMITED. */
  declare readonly code: string | undefined;
  /** The HTTP status; undefined where there was no answer, or the stream told it. */
  declare readonly status: number | undefined;
  /** The part of the request that is at fault. */
  declare readonly field: string | undefined;
  /** The same request, made anew, may succeed. */
  declare readonly retryable: boolean;
  /** How long to wait before that, where the gateway knows. */
  declare readonly retryAfterMs: number | undefined;
  declare readonly requestId: string | undefined;

  constructor(kind: ErrorKind, message: string, details: ErrorDetails = {}) {
    const { cause, retryable = LATER.test(kind), ...more } = details;
    super(message, { cause });
    Object.assign(this, { name: "GatewayError", kind, advice: ADVICE[kind], retryable }, more);
  }
}

const KINDS: Record<number, ErrorKind> = {
  401: "unauthenticated",
  403: "forbidden",
  404: "unknown",
  409: "conflict",
  410: "gone",
  429: "limited",
  503: "busy",
  507: "busy",
};

/** Why the gateway refuses, from its answer in the words of any of its doors. */
export async function refusal(response: Response): Promise<GatewayError> {
  const told = await response.json().catch(() => undefined);
  const said = told?.error ?? told;
  const status = response.status;
  const code: string | undefined = said?.code ?? told?.error_code ?? said?.type;
  const foreign = code === undefined && status !== 401;
  const kind = KINDS[status] ?? (status >= 500 ? "failed" : foreign ? "protocol" : "refused");
  const after = Number(response.headers.get("Retry-After"));
  return new GatewayError(kind, said?.message ?? `The server answered ${status}.`, {
    code,
    status,
    field: said?.field ?? said?.param,
    retryable: status >= 500 || undefined,
    retryAfterMs: after > 0 ? after * 1000 : undefined,
    requestId: response.headers.get("X-Request-Id") ?? undefined,
  });
}

/** The end of a request that has no whole answer, as a stream tells it. */
export function failure(
  told: { code: string; message: string; retryable?: boolean },
  requestId?: string,
): GatewayError {
  const kinds: Record<string, ErrorKind> = {
    CANCELLED: "cancelled",
    EXPIRED: "expired",
    TIMEOUT: "timeout",
    INVALID_REQUEST: "refused",
    AI_SERVICE_RATE_LIMITED: "limited",
  };
  return new GatewayError(kinds[told.code] ?? "failed", told.message, {
    code: told.code,
    retryable: told.retryable,
    requestId,
  });
}
