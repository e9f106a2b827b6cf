"""A moving window counts exactly, in bounded memory."""

from random import Random

import pytest

from gateway.engine.window import Window


def test_a_window_forgets_what_is_older_than_itself() -> None:
    """Each counts for the window's length and no longer."""
    window = Window(10.0)
    for now in (0.0, 4.0, 8.0):
        window.add(now)
    counts = [window.count(now) for now in (8.0, 9.9, 10.0, 14.0, 18.0)]
    assert counts == [3, 3, 2, 1, 0]


def test_a_window_tells_when_it_frees() -> None:
    """The oldest is the first to go; an empty one has nothing to wait for."""
    window = Window(10.0)
    assert window.frees_s(1.0) == 0.0
    window.add(1.0)
    window.add(3.0)
    assert window.frees_s(4.0) == 7.0
    assert window.frees_s(12.0) == 1.0


def test_a_burst_is_counted_to_the_last() -> None:
    """Also when all come at one moment."""
    window = Window(3600.0)
    for _ in range(5000):
        window.add(1.0)
    assert window.count(1.0) == 5000


@pytest.mark.parametrize("seed", range(10))
def test_a_window_never_counts_too_few(seed: int) -> None:
    """Against a list of all times: never fewer, and more only by what came within a grain."""
    rng = Random(seed)
    window, times, now = Window(100.0), [], 0.0
    for _ in range(5000):
        now += rng.choice([0.0, 0.01, 0.05, 1.0])
        window.add(now)
        times.append(now)
        exact = sum(each > now - 100.0 for each in times)
        roughly = sum(each > now - 100.1 for each in times)
        assert exact <= window.count(now) <= roughly


def test_a_window_stays_small() -> None:
    """A million in an hour are remembered in no more than a thousand places."""
    window = Window(3600.0)
    for i in range(200_000):
        window.add(i * 0.018)
    assert len(window._came) <= 1001
