"""Rate limits: exactly so many, and each refusal says when to come back."""

import time

import pytest

from gateway.engine.limits import Limits
from gateway.errors import RateLimited


def spent(limits: Limits, limit: str, *key: str) -> bool:
    """One more fitted."""
    try:
        limits.spend(limit, *key)
    except RateLimited:
        return False
    return True


def test_a_burst_lets_exactly_the_limit_through() -> None:
    """However many come at once; the refused are not counted."""
    limits = Limits(time.monotonic)
    burst = [spent(limits, "10/hour", "acme") for _ in range(50)]
    assert burst == [True] * 10 + [False] * 40


def test_keys_and_limits_are_apart() -> None:
    """What one spends is not taken from another, nor from another limit of the same."""
    limits = Limits(time.monotonic)
    assert spent(limits, "1/hour", "app", "acme")
    assert spent(limits, "1/hour", "app", "other")
    assert spent(limits, "1/hour", "user", "acme")
    assert spent(limits, "1/minute", "app", "acme")
    assert not spent(limits, "1/hour", "app", "acme")


def test_what_one_of_several_refuses_counts_against_none() -> None:
    """Whether the first of them refuses or the last."""
    limits = Limits(time.monotonic)
    narrow, wide = ("1/hour", "user", "ann"), ("3/hour", "app", "acme")
    limits.spend_each([narrow, wide])
    for both in ([narrow, wide], [wide, narrow]):
        with pytest.raises(RateLimited):
            limits.spend_each(both)
    assert [spent(limits, *wide) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("limit", "longest", "words"),
    [
        ("1/second", 1, "1 second"),
        ("1/minute", 60, "60 seconds"),
        ("1 per 2 minute", 120, "2 minutes"),
        ("1/hour", 3600, "60 minutes"),
        ("1/day", 86_400, "24 hours"),
        ("1 per 2 day", 172_800, "2 days"),
    ],
)
def test_a_refusal_says_when(limit: str, longest: int, words: str) -> None:
    """The wait is until the oldest one leaves the window, in whole seconds, and at least one.

    A person reads it in the unit they think in; no shorter than it is.
    """
    limits = Limits(lambda: 1000.0)
    limits.spend(limit, "a")
    with pytest.raises(RateLimited) as refused:
        limits.spend(limit, "a")
    error = refused.value
    assert error.retry_after_s == longest
    assert (str(error), error.retryable) == (
        f"The limit of {limit} is reached. Try again in {words}.",
        True,
    )


def test_a_standing_tells_what_is_left() -> None:
    """How many of how many, and when there will be more; asking counts nothing."""
    limits = Limits(time.monotonic)
    for left in (3, 2, 1, 0):
        if left < 3:
            limits.spend("3/hour", "acme")
        limit, remaining, reset_s = limits.standing("3/hour", "acme")
        assert (limit, remaining) == (3, left)
        assert reset_s == 0 if left == 3 else 3590 < reset_s <= 3600


def test_a_crowd_neither_stays_nor_lets_anybody_in_again() -> None:
    """Those who count no more are forgotten, and nobody who has spent it all."""
    limits = Limits(time.monotonic)
    limits.spend("1/hour", "acme")
    for stranger in range(20_000):
        limits.standing("1/hour", str(stranger))
    assert not spent(limits, "1/hour", "acme")
    assert len(limits._windows) < 15_000
