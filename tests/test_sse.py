"""The SSE codec: what is written is read back, whatever the network does to it."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sse import HEARTBEAT, Decoder, EventTooLarge, ServerEvent, frame, retry, text_lines

Read = Callable[[Decoder, bytes], Sequence[object]]

CR_LF_TEXT = st.text(alphabet=st.sampled_from("ab :\r\n\0é🙂"), max_size=40)
FIELDS = [
    *(b"data: a", b"data:b", b"data", b"data:  two", b'data: {"a":1}', b"\xef\xbb\xbfdata: bom"),
    *(b"event: x", b"id: 7", b"id", b"id: \0", b"retry: 20", b":", b": note", b"nonsense"),
]
# Half of the lines are blank, and half of the others data: most of a stream is events.
LINES = st.tuples(
    st.one_of(st.just(b""), st.sampled_from(FIELDS), st.sampled_from(FIELDS[:5]), st.just(b"")),
    st.sampled_from([b"\n", b"\n", b"\r", b"\r\n"]),
).map(b"".join)
STREAMS = st.lists(LINES, max_size=12).map(b"".join) | st.lists(
    st.sampled_from([b"data: a\n\n", b'data: {"b":2}\n\n', b"data: c\nid: 1\n\n"]), max_size=12
).map(b"".join)
# Cuts are counted from a place, so that neighbours, and so bytes alone, are likely.
PLACES = st.lists(st.integers(0, 120), max_size=40)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *edges], [*edges, len(data)], strict=True)]


def decode(data: bytes) -> list[ServerEvent]:
    return Decoder().feed(data)


def test_frame_of_json_is_one_line() -> None:
    """JSON bytes become one data line and a blank one."""
    assert frame(b'{"a":1}') == b'data: {"a":1}\n\n'


def test_frame_names_its_event_and_id() -> None:
    """Event and id come before the data, each on its line."""
    assert frame("x", event="stage", id="1-2") == b"event: stage\nid: 1-2\ndata: x\n\n"


def test_every_line_end_in_text_becomes_a_data_line() -> None:
    """CR, LF and CRLF each begin another data line; the empty last line counts."""
    assert text_lines("a\r\nb\rc\n") == b"data: a\ndata: b\ndata: c\ndata: \n"


def test_retry_is_a_line_of_its_own() -> None:
    """The reconnection time is written in milliseconds."""
    assert retry(1500) == b"retry: 1500\n"


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b"])
@pytest.mark.parametrize("field", ["event", "id"])
def test_a_field_cannot_smuggle_a_line(field: str, bad: str) -> None:
    """An event name or id with a line end or NUL is refused."""
    with pytest.raises(ValueError, match=field):
        frame("x", **{field: bad})


@pytest.mark.parametrize(
    ("stream", "want"),
    [
        (b"\xef\xbb\xbfdata: a\n\n", [ServerEvent(b"a")]),
        (b"data: a\ndata: b\n\n", [ServerEvent(b"a\nb")]),
        (b"data\n\ndata\ndata\n\ndata:", [ServerEvent(b""), ServerEvent(b"\n")]),
        (b"data:a\n\ndata:  b\n\n", [ServerEvent(b"a"), ServerEvent(b" b")]),
        (b": note\n\ndata: a\r\rdata: b\r\n\r\n", [ServerEvent(b"a"), ServerEvent(b"b")]),
        (b"event: x\n\ndata: a\n\n", [ServerEvent(b"a")]),
        (b"event: x\ndata: a\n\n", [ServerEvent(b"a", "x")]),
        (
            b"id: 7\ndata: a\n\nid: 8\0\ndata: b\n\nid\ndata: c\n\n",
            [ServerEvent(b"a", id="7"), ServerEvent(b"b", id="7"), ServerEvent(b"c")],
        ),
        (b"Data: a\nfoo: b\ndata: c\n\n", [ServerEvent(b"c")]),
        (b"data: a\n", []),
    ],
)
def test_the_standard_s_rules(stream: bytes, want: list[ServerEvent]) -> None:
    """Fields, comments, ids, line ends and the incomplete end read as the standard says."""
    assert decode(stream) == want


def test_retry_counts_only_as_digits() -> None:
    """A reconnection time that is no whole number is ignored."""
    decoder = Decoder()
    decoder.feed(b"retry: 20\nretry: -1\nretry: 3x\n")
    assert decoder.retry_ms == 20


@given(STREAMS, PLACES)
def test_any_cut_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    """However the bytes are cut into chunks, the events are those of the whole."""
    decoder = Decoder()
    assert [e for piece in cut(stream, places) for e in decoder.feed(piece)] == decode(stream)


@given(STREAMS)
def test_bytes_one_by_one_give_the_same_events(stream: bytes) -> None:
    """Even a chunk of one byte is no border between lines or events."""
    slow, fast = Decoder(), Decoder()
    bytes_ = [stream[i : i + 1] for i in range(len(stream))]
    want = decode(stream)
    assert [event for byte in bytes_ for event in slow.feed(byte)] == want
    assert [data for byte in bytes_ for data in fast.data(byte)] == [event.data for event in want]


@given(st.lists(st.one_of(STREAMS, LINES), max_size=8))
def test_the_fast_path_begins_at_any_line(chunks: list[bytes]) -> None:
    """Chunks that end where lines end, whatever is pending, read as their whole."""
    decoder = Decoder()
    got = [data for chunk in chunks for data in decoder.data(chunk)]
    assert got == [event.data for event in decode(b"".join(chunks))]


def test_the_fast_path_uses_up_an_event_s_name() -> None:
    """A name that came in an earlier chunk is not the next event's as well."""
    decoder = Decoder()
    chunks = (b"event: x\n", b"data: a\n\n")
    assert [data for chunk in chunks for data in decoder.data(chunk)] == [b"a"]
    assert decoder.feed(b"data: b\n\n") == [ServerEvent(b"b")]


def test_the_fast_path_keeps_an_lf_that_ends_a_line() -> None:
    """Only an LF just behind a CR is part of its line end."""
    decoder = Decoder()
    chunks = (b"\r", b"data: a", b"\nid: 5\n\n")
    assert [data for chunk in chunks for data in decoder.data(chunk)] == [b"a"]


@given(STREAMS, PLACES)
def test_the_fast_path_reads_what_the_slow_one_reads(stream: bytes, places: list[int]) -> None:
    """`data` yields the data of every event that `feed` finds, for any cut."""
    decoder = Decoder()
    got = [data for piece in cut(stream, places) for data in decoder.data(piece)]
    assert got == [event.data for event in decode(stream)]


@given(STREAMS, PLACES, st.lists(st.booleans(), min_size=41, max_size=41))
def test_the_two_readings_may_alternate(stream: bytes, places: list[int], fast: list[bool]) -> None:
    """`data` and `feed` share one state and can follow each other on one stream."""
    decoder, got = Decoder(), []
    for piece, quick in zip(cut(stream, places), fast, strict=False):
        got += decoder.data(piece) if quick else [event.data for event in decoder.feed(piece)]
    assert got == [event.data for event in decode(stream)]


@given(st.lists(CR_LF_TEXT, max_size=5), PLACES)
def test_what_is_written_is_read_back(texts: list[str], places: list[int]) -> None:
    """Texts come back with their line ends as LF, and heartbeats between them do not show."""
    stream = b"".join(HEARTBEAT + frame(text, event="x", id="1-1") for text in texts)
    decoder = Decoder()
    got = [event for piece in cut(stream, places) for event in decoder.feed(piece)]
    plain = [text.replace("\r\n", "\n").replace("\r", "\n").encode() for text in texts]
    assert got == [ServerEvent(data, "x", "1-1") for data in plain]


@pytest.mark.parametrize("read", [Decoder.feed, Decoder.data])
@pytest.mark.parametrize("piece", [b"data: aaaa", b"data: aaaa\n", b":aaaaaaaa", b"aaaa: aaaa"])
def test_memory_is_bounded(read: Read, piece: bytes) -> None:
    """An event or a line that never ends is refused once it passes the limit."""
    decoder = Decoder(max_event_bytes=100)
    read(decoder, b"data: small\n\n")

    def read_on() -> None:
        for _ in range(100):
            read(decoder, piece)

    with pytest.raises(EventTooLarge):
        read_on()


@pytest.mark.parametrize("read", [Decoder.feed, Decoder.data])
def test_a_large_event_in_one_chunk_is_refused(read: Read) -> None:
    """The limit holds for a whole event as well."""
    with pytest.raises(EventTooLarge):
        read(Decoder(max_event_bytes=100), b"data: " + b"a" * 200 + b"\n\n")


@pytest.mark.parametrize("read", [Decoder.feed, Decoder.data])
def test_many_small_events_are_not_one_large(read: Read) -> None:
    """The limit is one event's: a long chunk of small events passes."""
    assert len(read(Decoder(max_event_bytes=100), b"data: abc\n\n" * 1000)) == 1000
