"""When a request to another server is tried again, and what its Retry-After says of that."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import Random

from gateway.errors import ProviderError

# Servers at large write whole seconds; some providers, parts of them.
_SECONDS = re.compile(r"\d{1,9}(\.\d+)?", re.ASCII)

# Tries of one model for a failure that may pass, before the next model in line is asked.
TRIES = 4

_FIRST_S = 0.25
_MOST_S = 10.0
# What a model may ask to wait while another could be asked.
_PATIENT_S = 5.0


def delay_s(tries: int, error: ProviderError, rng: Random) -> float:
    """How long to wait before the next try: twice as long each time, half of it by chance.

    What the provider asks for in Retry-After is the least.

    Args:
        tries: how often this model has failed, from 1.
    """
    most = min(_MOST_S, _FIRST_S * 2.0 ** min(tries, 10))
    wait = most / 2 + rng.random() * most / 2
    return max(wait, error.retry_after_s or 0.0)


def may_retry(tries: int, error: ProviderError, *, last_model: bool) -> bool:
    """The same model may be asked again.

    A provider that says when to come back is taken at its word for as long as the job may
    take, if there is no other model to ask; if there is, for some seconds.
    """
    if not error.retryable:
        return False
    if last_model:
        return tries < TRIES or error.rate_limited
    return tries < TRIES and (error.retry_after_s or 0.0) <= _PATIENT_S


def retry_after_s(header: str | None, now: float) -> float | None:
    """How long a Retry-After header asks to wait; None where it says nothing that is understood.

    https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3

    Args:
        now: UTC, seconds since the epoch.
    """
    if header is None:
        return None
    if _SECONDS.fullmatch(header.strip()):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    # HTTP knows no time but UTC; a date that names no zone means it.
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
