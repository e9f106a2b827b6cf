"""The log of a job, and its cursors, over random histories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadCursor, CursorConflict
from gateway.events import Cancelled, Completed, Delta, Event, Expired, Failed
from gateway.log import START, Cursor, EventLog

# How much newer than the last each attempt is, and how many events it has; empty ones too.
histories = st.lists(
    st.tuples(st.integers(min_value=1, max_value=3), st.integers(min_value=0, max_value=5)),
    max_size=6,
)


def written(history: list[tuple[int, int]]) -> tuple[EventLog, list[Cursor]]:
    """A log with that history, and the id each of its events must have."""
    log, ids, attempt = EventLog(), [], 0
    for step, count in history:
        attempt += step
        log.begin(attempt)
        for seq in range(1, count + 1):
            assert log.next == Cursor(attempt, seq)
            log.append(Delta(text=f"{attempt}-{seq} "))
            ids.append(Cursor(attempt, seq))
    return log, ids


@given(histories)
def test_ids_are_dense_and_name_their_place(history: list[tuple[int, int]]) -> None:
    """Each event has the id `<attempt>-<seq>`, and its id leads to the place after it."""
    log, ids = written(history)
    assert [log.cursor(position + 1) for position in range(len(log))] == ids
    assert [log.position(cursor) for cursor in ids] == list(range(1, len(log) + 1))
    assert ids == sorted(ids)
    assert (log.cursor(0), log.position(START)) == (START, 0)
    assert log.end == (ids[-1] if ids else START)


@given(histories)
def test_a_reader_resumes_exactly(history: list[tuple[int, int]]) -> None:
    """What follows the id of any event is what was written after it: no gap, nothing twice."""
    log, ids = written(history)
    for index, cursor in enumerate([START, *ids]):
        rest = log.events[log.position(Cursor.parse(str(cursor))) :]
        assert rest == [Delta(text=f"{each} ") for each in ids[index:]]


@given(histories, st.integers(0, 20), st.integers(1, 8))
def test_an_event_that_never_was_is_a_conflict(
    history: list[tuple[int, int]], attempt: int, seq: int
) -> None:
    """A cursor of another log, or of what was lost, is never taken for the start or the end."""
    log, ids = written(history)
    cursor = Cursor(attempt, seq)
    if cursor in ids:
        assert log.cursor(log.position(cursor)) == cursor
    else:
        with pytest.raises(CursorConflict):
            log.position(cursor)


@given(histories, st.integers(0, 20), st.integers(1, 8))
def test_a_reader_of_a_lost_attempt_goes_on_with_the_next(
    history: list[tuple[int, int]], attempt: int, seq: int
) -> None:
    """Of an attempt that is over, it may hold what was never stored: nothing after it is missed.
    What it cannot hold stays a conflict."""
    log, ids = written(history)
    cursor = Cursor(attempt, seq)
    if cursor in ids or 0 < attempt < log.attempt:
        assert log.events[log.resumption(cursor) :] == [
            Delta(text=f"{each} ") for each in ids if each > cursor
        ]
    else:
        with pytest.raises(CursorConflict):
            log.resumption(cursor)


@given(histories)
def test_attempts_lie_end_to_end(history: list[tuple[int, int]]) -> None:
    """Each attempt ends where the next begins; the last one ends with the log."""
    log, _ = written(history)
    attempt, end = 0, 0
    for step, count in history:
        attempt, end = attempt + step, end + count
        assert log.attempt_end(attempt) == end
    assert log.attempt == attempt
    assert log.attempt_start() == end - (history[-1][1] if history else 0)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.lists(st.sampled_from([Delta(text="x"), Completed()]), min_size=1, max_size=4),
        ),
        max_size=5,
    )
)
def test_a_batch_is_taken_as_its_events_are(batches: list[tuple[int, list[Event]]]) -> None:
    """It leaves the log as they would one by one, and is refused where one of them would be."""
    singly, log = EventLog(), EventLog()
    for attempt, events in batches:
        try:
            if attempt != singly.attempt:
                singly.begin(attempt)
            for event in events:
                singly.append(event)
        except AssertionError:
            with pytest.raises(AssertionError):
                log.extend(attempt, events)
            return
        log.extend(attempt, events)
        assert (log.events, log.end, log.closed) == (singly.events, singly.end, singly.closed)


def test_a_batch_may_be_empty() -> None:
    """Its attempt begins all the same."""
    log = EventLog()
    log.extend(1, [])
    assert (log.attempt, log.events, log.closed) == (1, [], False)


@pytest.mark.parametrize(
    "terminal",
    [Completed(), Failed(code="TIMEOUT", message=""), Cancelled(), Expired()],
    ids=lambda event: type(event).__name__,
)
def test_nothing_follows_a_terminal_event(terminal: Event) -> None:
    """The first terminal event closes the log, to events and to attempts."""
    log = EventLog()
    log.begin(1)
    was_closed = log.closed
    log.append(terminal)
    assert (was_closed, log.closed) == (False, True)
    with pytest.raises(AssertionError, match="the last"):
        log.append(terminal)
    with pytest.raises(AssertionError, match="no further attempt"):
        log.begin(2)
    assert log.events == [terminal]


@pytest.mark.parametrize("attempt", [0, 1, 2])
def test_an_attempt_must_be_newer(attempt: int) -> None:
    """Whatever is written after a crash carries a new attempt, or is refused."""
    log = EventLog()
    log.begin(2)
    with pytest.raises(AssertionError, match="does not follow 2"):
        log.begin(attempt)


def test_an_event_needs_an_attempt() -> None:
    """An event without an attempt would have no id."""
    log = EventLog()
    with pytest.raises(AssertionError, match="belongs to an attempt"):
        log.append(Delta(text="x"))
    with pytest.raises(AssertionError, match="belongs to an attempt"):
        _ = log.next


def test_cursors_compare_as_numbers() -> None:
    """Ten comes after nine, also within an attempt."""
    texts = ["2-1", "1-10", "1-9", "10-1", "0-0"]
    assert sorted(map(Cursor.parse, texts)) == [(0, 0), (1, 9), (1, 10), (2, 1), (10, 1)]


@pytest.mark.parametrize(
    "text",
    ["", "1", "1-", "-1", "1-1-1", "1:1", " 1-1", "1-1\n", "a-b", "1.0-1", "+1-1", "1--1",
     "١-١", "1-" + "9" * 11, "9" * 5000 + "-1", "1-1\x00"],
)  # fmt: skip
def test_a_cursor_of_bad_form_is_refused(text: str) -> None:
    """Only what the gateway writes as an id is read as one."""
    with pytest.raises(BadCursor):
        Cursor.parse(text)
