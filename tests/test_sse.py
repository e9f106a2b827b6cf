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
LINE_ENDS = [b"\n", b"\n", b"\n\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n"]
STREAMS = st.lists(st.sampled_from(FIELDS + LINE_ENDS), max_size=30).map(b"".join)


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


@given(STREAMS, st.lists(st.integers(0, 500), max_size=8))
def test_any_cut_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    """However the bytes are cut into chunks, the events are those of the whole."""
    decoder = Decoder()
    assert [e for piece in cut(stream, places) for e in decoder.feed(piece)] == decode(stream)


@given(STREAMS, st.lists(st.integers(0, 500), max_size=8))
def test_the_fast_path_reads_what_the_slow_one_reads(stream: bytes, places: list[int]) -> None:
    """`data` yields the data of every event that `feed` finds, for any cut."""
    decoder = Decoder()
    got = [data for piece in cut(stream, places) for data in decoder.data(piece)]
    assert got == [event.data for event in decode(stream)]


@given(STREAMS, st.lists(st.integers(0, 500), max_size=8), st.lists(st.booleans(), min_size=9))
def test_the_two_readings_may_alternate(stream: bytes, places: list[int], fast: list[bool]) -> None:
    """`data` and `feed` share one state and can follow each other on one stream."""
    decoder, got = Decoder(), []
    for piece, quick in zip(cut(stream, places), fast, strict=False):
        got += decoder.data(piece) if quick else [event.data for event in decoder.feed(piece)]
    assert got == [event.data for event in decode(stream)]


@given(st.lists(CR_LF_TEXT, max_size=5), st.lists(st.integers(0, 500), max_size=8))
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
