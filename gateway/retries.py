"""When a provider that failed before its first token is asked again."""

from random import Random

from gateway.errors import ProviderError, ProviderSpared

# Tries of one model for a failure that may pass, before the next model in line is asked.
TRIES = 4

_FIRST_S = 0.25
_MOST_S = 10.0


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
    take, if there is no other model to ask. A model that is spared is not waited for if there is.
    """
    if not error.retryable or (isinstance(error, ProviderSpared) and not last_model):
        return False
    return tries < TRIES or (last_model and error.rate_limited)
