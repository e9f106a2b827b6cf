"""Numbers of an attempt that begins anew; all else is tried from outside."""

from gateway.surfaces.response_object import ResponseFramer, place_after
from tests.surfaces.attempts import JOB, data, written


def test_numbers_of_a_new_attempt_go_on() -> None:
    """No number names two events, so that a reader of the lost text never gets the other."""
    log, framer = written(), ResponseFramer(JOB)
    frames = [framer(cursor, event) for cursor, event in log.entries(0, len(log))]
    events = data(b"".join(frames))
    assert [event["sequence_number"] for event in events] == list(range(1, len(events) + 1))
    (message,) = events[-1]["response"]["output"]
    assert (message["content"][0]["text"], events[-1]["response"]["model"]) == ("kept", "b")
    lost = next(e["sequence_number"] for e in events if e.get("delta") == "lost")
    cursor, rest = place_after(JOB, log.entries(0, len(log)), lost)
    assert (cursor, rest) == ((1, 3), b"")
