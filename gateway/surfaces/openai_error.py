"""Errors as OpenAI's wire has them, for the doors that speak it.

https://platform.openai.com/docs/guides/error-codes: the official clients choose the class of
their error by the HTTP status, and show its `message`, `type`, `param` and `code`.
"""

from typing import TypedDict

from aiohttp import web

from gateway.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    InvalidRequest,
    OverBudget,
    ProviderError,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderRefused,
    ProviderTimeout,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UnknownModel,
)
from gateway.events import Event, as_failed
from gateway.surfaces.door import Door

# The first that fits; all others are told by their status.
_KINDS: tuple[tuple[type[GatewayError], str, str | None], ...] = (
    (UnknownModel, "invalid_request_error", "model_not_found"),
    (ProviderLacksModel, "invalid_request_error", "model_not_found"),
    (Unauthenticated, "invalid_request_error", "invalid_api_key"),
    (Forbidden, "permission_error", "permission_denied"),
    (RateLimited, "requests", "rate_limit_exceeded"),
    (ProviderRateLimited, "requests", "rate_limit_exceeded"),
    (OverBudget, "insufficient_quota", "insufficient_quota"),
    (InvalidRequest, "invalid_request_error", None),
    (ProviderRefused, "invalid_request_error", None),
)


class OpenAIFault(TypedDict):
    """What went wrong. `param` names the field at fault."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(TypedDict):
    """A refusal as OpenAI writes it."""

    error: OpenAIFault


class OpenAIDoor(Door):
    """A door that refuses as OpenAI does."""

    def status(self, kind: type[GatewayError]) -> int:
        """The HTTP status by which OpenAI's clients choose the class of their error."""
        unknown = issubclass(kind, UnknownModel | ProviderLacksModel)
        return 404 if unknown else super().status(kind)

    def refuse(self, error: GatewayError) -> web.Response:
        """The answer that an error means to OpenAI's clients."""
        response = super().refuse(error)
        if response.status >= 408 and not error.retryable:
            # Without it, clients send again what can never succeed.
            response.headers["X-Should-Retry"] = "false"
        return response


def shape(error: GatewayError) -> OpenAIError:
    """An error as OpenAI writes it."""
    kind, code = _kind(error)
    return {"error": {"message": str(error), "type": kind, "param": error.field, "code": code}}


def _kind(error: GatewayError) -> tuple[str, str | None]:
    for of, kind, code in _KINDS:
        if isinstance(error, of):
            return kind, code
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return kind, error.code.lower()


# When to try again, where a provider that has no room does not say it.
_AGAIN_S = 5.0
_FAILURES: dict[str, type[GatewayError]] = {
    "CANCELLED": Conflict,
    **{
        kind.code: kind
        for kind in (
            ProviderRefused,
            ProviderLacksModel,
            ProviderRateLimited,
            ProviderTimeout,
            ProviderError,
        )
    },
}


def failure(terminal: Event) -> GatewayError | None:
    """The error that the end of a job means to who waited for its answer; None if it is whole."""
    failed = as_failed(terminal)
    if failed is None:
        return None
    kind = _FAILURES.get(failed.code, Unavailable if failed.retryable else GatewayError)
    wait_s = failed.retry_after_s
    if kind is ProviderRateLimited and wait_s is None:
        wait_s = _AGAIN_S
    return kind(failed.message, retryable=failed.retryable, retry_after_s=wait_s)
