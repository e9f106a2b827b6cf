"""Views: each event becomes a frame once, whoever reads which stretch of it when."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.engine.hub import Hub, View
from gateway.events import Delta, Event
from gateway.log import Cursor, EventLog


class Numbering:
    """A framer with a state: it numbers what it sees, and remembers all of it."""

    def __init__(self) -> None:
        self.seen: list[tuple[Cursor, Event]] = []

    def __call__(self, cursor: Cursor, event: Event) -> bytes:
        self.seen.append((cursor, event))
        # Every third event has no frame of its own.
        return (
            b"" if len(self.seen) % 3 == 0 else b"%d:%s;" % (len(self.seen), str(cursor).encode())
        )


@pytest.mark.parametrize("seed", range(50))
def test_any_slice_is_the_join_of_its_frames(seed: int) -> None:
    """Random stretches, asked for while the log grows over attempts, are those of a framer that
    saw every event exactly once, in order."""
    rng = Random(seed)
    channel = Hub().open("job")
    framer = Numbering()
    view = channel.view("numbers", lambda: framer)
    want: list[bytes] = []
    twin = Numbering()
    for attempt in (1, 2, 5):
        channel.begin(attempt)
        for _ in range(rng.randrange(12)):
            channel.publish(Delta(text="x"))
            want.append(twin(channel.log.end, channel.log.events[-1]))
            for _ in range(rng.randrange(4)):
                end = rng.randrange(len(want) + 1)
                start = rng.randrange(end + 1)
                assert view.slice(start, end) == b"".join(want[start:end])
    assert view.slice(0, len(want)) == b"".join(want)
    assert framer.seen == twin.seen


def test_readers_of_one_form_share_it() -> None:
    """A form has one framer a log, and the same stretch is joined once."""
    channel = Hub().open("job")
    channel.begin(1)
    for _ in range(3):
        channel.publish(Delta(text="x"))
    view = channel.view("numbers", Numbering)
    assert channel.view("numbers", Numbering) is view
    assert channel.view("others", Numbering) is not view
    assert view.slice(0, 3) is view.slice(0, 3)


def test_a_transport_wraps_what_is_sent_and_nothing_else() -> None:
    """Each joined slice is wrapped once; where there is nothing to send, nothing is wrapped."""
    channel = Hub().open("job")
    channel.begin(1)
    for _ in range(3):
        channel.publish(Delta(text="x"))
    view = channel.view("numbers", Numbering, lambda data: b"<%s>" % data)
    assert view.slice(0, 2) == b"<1:1-1;2:1-2;>"
    assert view.slice(2, 3) == view.slice(1, 1) == b""
    assert view.slice(0, 2) == b"<1:1-1;2:1-2;>"


@given(st.lists(st.text(max_size=30), min_size=1, max_size=30), st.data())
def test_a_reach_is_what_fits(texts: list[str], data: st.DataObject) -> None:
    """A slice as far as the reach is within the bytes allowed, or a single frame; more is not."""
    log = EventLog()
    log.begin(1)
    for text in texts:
        log.append(Delta(text=text or "x"))
    view = View(log, lambda cursor, event: str(event).encode())
    start = data.draw(st.integers(0, len(log) - 1))
    end = data.draw(st.integers(start + 1, len(log)))
    most = data.draw(st.integers(0, 200))
    reached = view.reach(start, end, most)
    assert start < reached <= end
    assert len(view.slice(start, reached)) <= most or reached == start + 1
    if reached < end:
        assert len(view.slice(start, reached + 1)) > most
