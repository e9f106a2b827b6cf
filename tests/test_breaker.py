"""The breaker of one model, at any times and with any news."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.breaker import (
    FAILURES,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    SPAN_S,
    Breaker,
    tells_of_trouble,
)
from gateway.errors import ProviderError, ProviderRateLimited, ProviderRefused, ProviderSpared


def opened() -> Breaker:
    """One whose first pause began at 0."""
    breaker = Breaker()
    for number in range(FAILURES):
        breaker.failed(-SPAN_S + SPAN_S * number / (FAILURES - 1), None)
    assert breaker.open
    return breaker


def spares(breaker: Breaker, now: float) -> bool:
    """The next call may not pass."""
    try:
        breaker.left(breaker.admit(now))
    except ProviderSpared:
        return True
    return False


@given(st.lists(st.floats(0, SPAN_S, exclude_max=True), max_size=50))
def test_a_burst_of_failures_opens_nothing(times: list[float]) -> None:
    """However many fail together, they are one piece of news."""
    breaker = Breaker()
    assert [breaker.failed(at, None) for at in sorted(times)] == [False] * len(times)
    assert breaker.admit(SPAN_S) is None


@given(st.lists(st.floats(0, 1e6), min_size=FAILURES - 1, max_size=FAILURES - 1))
def test_a_few_failures_open_nothing(times: list[float]) -> None:
    """However long they take."""
    breaker = Breaker()
    assert not any(breaker.failed(at, None) for at in sorted(times))


def test_failures_over_some_time_open_it() -> None:
    """The last of them begins the pause, and says so once."""
    breaker = Breaker()
    news = [breaker.failed(float(at), None) for at in range(FAILURES + 2)]
    assert news == [False] * (FAILURES - 1) + [True, False, False]
    began = float(FAILURES - 1)
    assert spares(breaker, began + FIRST_PAUSE_S - 0.01)
    assert not spares(breaker, began + FIRST_PAUSE_S)


def test_it_says_how_it_stands() -> None:
    """Failing before the first pause, open in it, probing after it until there is news."""
    breaker = opened()
    stood = [Breaker().standing, breaker.standing]
    mark = breaker.admit(FIRST_PAUSE_S)
    stood.append(breaker.standing)
    breaker.left(mark)
    stood.append(breaker.standing)
    assert stood == ["failing", "open", "probing", "open"]


def test_a_pause_ends_with_one_probe() -> None:
    """Until its end nobody passes; then one does, and the others wait for its news."""
    breaker = opened()
    assert [spares(breaker, at) for at in (0.0, 0.75)] == [True, True]
    mark = breaker.admit(1.0)
    assert mark is not None
    assert [spares(breaker, at) for at in (1.0, 50.0)] == [True, True]


def test_pauses_grow_to_the_longest() -> None:
    """Each probe that fails doubles the pause."""
    breaker, now = opened(), 0.0
    for pause_s in (1.0, 2.0, 4.0, 8.0, LONGEST_PAUSE_S, LONGEST_PAUSE_S):
        assert spares(breaker, now + pause_s - 0.01)
        now += pause_s
        assert breaker.failed(now, breaker.admit(now))


def test_a_probe_without_news_makes_room_for_another() -> None:
    """A caller who leaves takes no place away."""
    breaker = opened()
    breaker.left(breaker.admit(2.0))
    assert breaker.admit(2.0) is not None


def test_calls_from_before_the_pause_change_nothing() -> None:
    """They fail late, or are left: the pause and the probe stay."""
    breaker = opened()
    breaker.failed(0.5, None)
    assert spares(breaker, 0.99)
    mark = breaker.admit(1.0)
    breaker.failed(1.5, None)
    breaker.failed(1.5, object())
    breaker.left(None)
    breaker.left(object())
    assert spares(breaker, 50.0)
    assert breaker.failed(1.5, mark)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["admit", "failed", "left"]),
            st.floats(0, 20),
            st.integers(0, 5),
        ),
        max_size=60,
    )
)
def test_never_two_probes_and_never_shut_for_good(steps: list[tuple[str, float, int]]) -> None:
    """Over any schedule one probe at most is out; once all calls are over, the next may pass."""
    breaker, now = opened(), 0.0
    out: list[object | None] = []
    for step, after_s, which in steps:
        now += after_s
        if step == "admit":
            try:
                out.append(breaker.admit(now))
            except ProviderSpared:
                continue
        elif out:
            mark = out.pop(which % len(out))
            if step == "failed":
                breaker.failed(now, mark)
            breaker.left(mark)
        assert len([mark for mark in out if mark is not None]) <= 1
    for mark in out:
        breaker.left(mark)
    assert breaker.admit(now + LONGEST_PAUSE_S) is not None


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (ProviderError(retryable=True), True),
        (ProviderError(), False),
        (ProviderRefused(), False),
        (ProviderRateLimited(retryable=True), False),
    ],
)
def test_what_tells_of_trouble(error: ProviderError, trouble: bool) -> None:
    """A refusal, a bad key and a full rate show that somebody is there."""
    assert tells_of_trouble(error) is trouble
