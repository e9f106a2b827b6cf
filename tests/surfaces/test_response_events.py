"""Numbers of an attempt that begins anew; all else is tried from outside."""

import pytest

from gateway.log import Cursor
from gateway.surfaces.response_events import ResponseFramer, place_after
from tests.surfaces.attempts import JOB, data, written


def test_numbers_of_a_new_attempt_leap() -> None:
    """No number names two events, so that a reader of the lost text never gets the other."""
    log, framer = written(), ResponseFramer(JOB)
    frames = [framer(cursor, event) for cursor, event in log.entries(0, len(log))]
    events = data(b"".join(frames))
    numbers = [event["sequence_number"] for event in events]
    assert numbers == [*range(1, 12), *range(10_000_000, 10_000_000 + len(events) - 11)]
    (message,) = events[-1]["response"]["output"]
    assert (message["content"][0]["text"], events[-1]["response"]["model"]) == ("kept", "b")
    lost = next(e["sequence_number"] for e in events if e.get("delta") == "lost")
    cursor, rest = place_after(JOB, log.entries(0, len(log)), lost)
    assert (cursor, rest) == ((1, 3), b"")


@pytest.mark.parametrize("number", [11, 12, 9_999_999])
def test_a_number_that_was_lost_is_after_what_was_not(number: int) -> None:
    """Its reader goes on from what is known of that attempt, and is told what became of it."""
    log = written()
    assert place_after(JOB, log.entries(0, len(log)), number) == (Cursor(1, 4), b"")
