"""Everything that can be refused or go wrong, as data.

GatewayError
├── InvalidRequest            400  INVALID_REQUEST
│   ├── UnknownModel          400  UNKNOWN_MODEL
│   └── BadCursor             400  BAD_CURSOR
├── Unauthenticated           401  UNAUTHENTICATED
├── OverBudget                402  BUDGET_EXCEEDED
├── Forbidden                 403  FORBIDDEN
│   └── UnsupportedRequestType 403 UNSUPPORTED_REQUEST_TYPE
├── NotFound                  404  NOT_FOUND
│   └── JobNotFound           404  REQUEST_NOT_FOUND
├── MethodNotAllowed          405  METHOD_NOT_ALLOWED
├── RequestTimeout            408  REQUEST_TIMEOUT
├── Conflict                  409  CONFLICT
│   └── CursorConflict        409  CURSOR_CONFLICT
├── Gone                      410  GONE
├── TooLarge                  413  TOO_LARGE
├── UnsupportedMediaType      415  UNSUPPORTED_MEDIA_TYPE
├── RateLimited               429  RATE_LIMITED
├── Unavailable               503  UNAVAILABLE
│   ├── QueueFull             503  QUEUE_FULL
│   ├── Draining              503  DRAINING
│   └── StoreUnavailable      503  STORE_UNAVAILABLE
│       └── StoreFull         507  STORE_FULL
└── ProviderError             502  AI_SERVICE_ERROR
    ├── ProviderRateLimited   429  AI_SERVICE_RATE_LIMITED
    ├── ProviderSpared        502  AI_SERVICE_ERROR
    ├── ProviderTimeout       504  TIMEOUT
    └── ProviderRefused       400  INVALID_REQUEST
        └── ProviderLacksModel 400 UNKNOWN_MODEL

A surface translates an error once, at its border, into the shape of its own wire.
The text of an error is meant for the caller: it never holds a secret, a prompt, or
what a provider wrote.
"""

from typing import ClassVar


class GatewayError(Exception):
    """A refusal or a failure with the text for the caller in `str(error)`."""

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500
    default: ClassVar[str] = "Something went wrong in the gateway."
    # When another try is worth it, where nobody knows better; None where it is not for all.
    again_s: ClassVar[float | None] = None

    def __init__(
        self,
        message: str | None = None,
        *,
        field: str | None = None,
        retryable: bool | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Say what went wrong.

        Args:
            field: the name of the part of the request that is at fault.
            retryable: the same request may succeed later; None for what its kind says.
            retry_after_s: how long to wait before that; None for what its kind says.
        """
        super().__init__(message or self.default)
        self.field = field
        self.retryable = self.again_s is not None if retryable is None else retryable
        self.retry_after_s = self.again_s if retry_after_s is None else retry_after_s


class InvalidRequest(GatewayError):
    code = "INVALID_REQUEST"
    status = 400
    default = "The request is not valid."


class UnknownModel(InvalidRequest):
    code = "UNKNOWN_MODEL"
    default = "No such model."


class BadCursor(InvalidRequest):
    code = "BAD_CURSOR"
    default = "Last-Event-ID must look like 1-57."


class Unauthenticated(GatewayError):
    code = "UNAUTHENTICATED"
    status = 401
    default = "A valid credential is needed."


class OverBudget(GatewayError):
    code = "BUDGET_EXCEEDED"
    status = 402
    default = "The budget of this app is spent."


class Forbidden(GatewayError):
    code = "FORBIDDEN"
    status = 403
    default = "This credential may not do that."


class UnsupportedRequestType(Forbidden):
    code = "UNSUPPORTED_REQUEST_TYPE"
    default = "This app may not make requests of this type."


class NotFound(GatewayError):
    code = "NOT_FOUND"
    status = 404
    default = "Not found."


class JobNotFound(NotFound):
    code = "REQUEST_NOT_FOUND"
    default = "Request ID not found"


class MethodNotAllowed(GatewayError):
    code = "METHOD_NOT_ALLOWED"
    status = 405
    default = "This path does not take that method."


class RequestTimeout(GatewayError):
    code = "REQUEST_TIMEOUT"
    status = 408
    default = "The request body took too long to arrive."


class Conflict(GatewayError):
    code = "CONFLICT"
    status = 409
    default = "This does not fit what was asked before."


class CursorConflict(Conflict):
    code = "CURSOR_CONFLICT"
    default = "The stream cannot go on from that event: read it from its start."


class Gone(GatewayError):
    code = "GONE"
    status = 410
    default = "The retention time of this request is over."


class TooLarge(GatewayError):
    code = "TOO_LARGE"
    status = 413
    default = "The request body is too large."


class UnsupportedMediaType(GatewayError):
    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415
    default = "The Content-Type must be application/json."


class RateLimited(GatewayError):
    """All that a limit allows has been used; `retryable` is always true.

    Attributes:
        limit: how many it allows; None where that is not told.
    """

    code = "RATE_LIMITED"
    status = 429
    default = "Too many requests."

    def __init__(
        self,
        message: str | None = None,
        *,
        limit: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Say which limit it is, and when one more fits."""
        super().__init__(message, retryable=True, retry_after_s=retry_after_s)
        self.limit = limit


class Unavailable(GatewayError):
    """The gateway cannot do this now, and says when it is worth another try."""

    code = "UNAVAILABLE"
    status = 503
    default = "The gateway cannot take this now."
    again_s = 5.0


class QueueFull(Unavailable):
    code = "QUEUE_FULL"
    default = "The queue is full."


class Draining(Unavailable):
    code = "DRAINING"
    default = "The gateway is shutting down."


class StoreUnavailable(Unavailable):
    code = "STORE_UNAVAILABLE"
    default = "The gateway's store cannot be reached."
    again_s = 1.0


class StoreFull(StoreUnavailable):
    """There is room for what runs, and for nothing new."""

    code = "STORE_FULL"
    status = 507
    default = "The gateway's disk is nearly full."
    again_s = 30.0


class ProviderError(GatewayError):
    """A provider failed. Raised by providers, before or after the first token."""

    code = "AI_SERVICE_ERROR"
    status = 502
    default = "The AI service failed."
    rate_limited: ClassVar[bool] = False


class ProviderRateLimited(ProviderError):
    """The provider has no room for this key now; `retryable` is always true."""

    code = "AI_SERVICE_RATE_LIMITED"
    status = 429
    rate_limited = True
    default = "The AI service is over its rate limit."


class ProviderSpared(ProviderError):
    """The model failed so often that another is asked in its place. Never told to a caller."""

    default = "The AI service keeps failing, and is not asked for the moment."


class ProviderTimeout(ProviderError):
    code = "TIMEOUT"
    status = 504
    default = "The AI service took too long."


class ProviderRefused(ProviderError):
    """The provider calls the request itself wrong: another try cannot help."""

    code = "INVALID_REQUEST"
    status = 400
    default = "The AI service refused the request as invalid."


class ProviderLacksModel(ProviderRefused):
    code = "UNKNOWN_MODEL"
    default = "The AI service does not have that model."
