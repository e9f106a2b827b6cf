"""When a provider is asked again, and how soon."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    ProviderError,
    ProviderRateLimited,
    ProviderRefused,
    ProviderTimeout,
)
from gateway.retries import TRIES, delay_s, may_retry, retry_after_s


@given(st.integers(min_value=1, max_value=10_000), st.randoms(use_true_random=False))
def test_waits_double_up_to_ten_seconds(tries: int, rng: Random) -> None:
    """Half a second at most after the first failure, twice that after each further one."""
    most = min(10.0, 0.25 * 2.0 ** min(tries, 10))
    assert most / 2 <= delay_s(tries, ProviderError(), rng) <= most


def test_waits_are_spread_by_chance() -> None:
    """Jobs that failed together do not come back together."""
    rng = Random(1)
    waits = [delay_s(3, ProviderError(), rng) for _ in range(500)]
    assert min(waits) < 1.05
    assert max(waits) > 1.95


@given(st.integers(1, 10), st.floats(min_value=0, max_value=1e6), st.integers())
def test_retry_after_is_the_least(tries: int, asked_s: float, seed: int) -> None:
    """A provider that says when is never asked before."""
    plain = delay_s(tries, ProviderError(), Random(seed))
    asked = delay_s(tries, ProviderError(retry_after_s=asked_s), Random(seed))
    assert asked == max(plain, asked_s)


@pytest.mark.parametrize("last_model", [True, False])
@pytest.mark.parametrize(
    ("error", "ever"),
    [
        (ProviderError(retryable=True), True),
        (ProviderTimeout(retryable=True), True),
        (ProviderRateLimited(retryable=True), True),
        (ProviderError(), False),
        (ProviderRefused(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_may_pass_is_tried_again(
    error: ProviderError, ever: bool, last_model: bool
) -> None:
    """Four tries of one model, and none where another try cannot help."""
    allowed = [may_retry(tries, error, last_model=last_model) for tries in range(1, TRIES)]
    assert allowed == [ever] * 3


@pytest.mark.parametrize(
    ("error", "last_model", "allowed"),
    [
        (ProviderError(retryable=True), True, False),
        (ProviderError(retryable=True), False, False),
        (ProviderRateLimited(retryable=True), False, False),
        (ProviderRateLimited(retryable=True), True, True),
    ],
)
def test_the_last_model_over_its_limit_is_waited_for(
    error: ProviderError, last_model: bool, allowed: bool
) -> None:
    """After four tries, only a rate limit is waited out, and only with nobody else to ask."""
    assert may_retry(TRIES, error, last_model=last_model) is allowed
    assert may_retry(1000, error, last_model=last_model) is allowed


@pytest.mark.parametrize("asked_s", [None, 4.0, 6.0, 3600.0])
def test_a_long_wait_is_for_the_last_model(asked_s: float | None) -> None:
    """Where there is another, that one is asked instead."""
    full = ProviderRateLimited(retryable=True, retry_after_s=asked_s)
    allowed = [may_retry(1, full, last_model=last) for last in (True, False)]
    assert allowed == [True, asked_s is None or asked_s < 5.0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-5", None),
        ("9" * 5_000, None),
        ("soon", None),
        ("Fri, 15 Jan 2027 08:00:10 GMT", 10.0),
        ("Fri, 15 Jan 2027 08:00:10", 10.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        (f"Fri, 15 Jan {'9' * 30} 08:00:00 GMT", None),
        ("Fri, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    """Seconds, or a date as seconds from now; anything else says nothing."""
    assert retry_after_s(header, now=1_800_000_000.0) == seconds
