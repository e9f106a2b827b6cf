"""What goes wrong with a provider, in the gateway's words. Pure.

What a provider wrote never becomes the text of an error.
"""

from typing import Any

from gateway.errors import (
    ProviderError,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderRefused,
    ProviderTimeout,
)

BROKEN = "The connection to the AI service broke off."
ENDED_EARLY = "The AI service's stream ended early."
NOT_JSON = "The AI service sent something that is not JSON."
REFUSED_KEY = "The provider refused our credentials."
REPORTED = "The AI service reported an error in mid-stream."
UNREACHABLE = "The AI service cannot be reached."


def failure(status: int, retry_after_s: float | None = None) -> ProviderError:
    """What an HTTP status means for the caller of a provider."""
    if status in (401, 403):
        return ProviderError(REFUSED_KEY)
    if status == 404:
        return ProviderLacksModel()
    if status in (400, 413, 422):
        return ProviderRefused()
    # 498 is Groq's: its flexible tier is full.
    if status in (429, 498):
        return ProviderRateLimited(retryable=True, retry_after_s=retry_after_s)
    retryable = status in (408, 409, 425) or status >= 500
    kind = ProviderTimeout if status in (408, 504) else ProviderError
    return kind(retryable=retryable, retry_after_s=retry_after_s)


def error_type(error: Any) -> str:
    """The provider's word for the kind of error, short enough to log."""
    kind = error.get("type") or error.get("code") if isinstance(error, dict) else None
    return str(kind)[:40]
