"""Server-sent events as bytes: an encoder, and a decoder for any split of a stream.

The format is the WHATWG's: https://html.spec.whatwg.org/multipage/server-sent-events.html
What is written here uses LF only and one space after a field's colon; what is read may use
anything that the standard allows.
"""

from typing import NamedTuple

# A comment without a blank line after it: with one, some clients see an empty event.
HEARTBEAT = b":\n"

_BOM = b"\xef\xbb\xbf"
_LINE_ENDS = (b"\n", b"\r")


def frame(data: bytes | str, *, event: str | None = None, id: str | None = None) -> bytes:
    """One event, ready to be written.

    Raises:
        ValueError: `event` or `id` holds a line end or a NUL.
    """
    lines = text_lines(data)
    if event is None and id is None:
        return b"%b\n" % lines
    return b"%b%b%b\n" % (_field(b"event", event), _field(b"id", id), lines)


def text_lines(text: bytes | str) -> bytes:
    """The `data:` lines of one event, without the blank line that ends it.

    A stream of events cannot carry a carriage return: `\\r\\n` and `\\r` become `\\n`.
    """
    raw = text.encode() if isinstance(text, str) else text
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\n" in raw:
        raw = raw.replace(b"\n", b"\ndata: ")
    return b"data: %b\n" % raw


def retry(ms: int) -> bytes:
    """The line that tells a reader how long to wait before it connects again."""
    return b"retry: %d\n" % ms


def _field(name: bytes, value: str | None) -> bytes:
    if value is None:
        return b""
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError(f"an SSE {name.decode()} is one line: {value!r}")
    return b"%b: %b\n" % (name, value.encode())


class ServerEvent(NamedTuple):
    """One event as a reader sees it. `id` is the last one the stream named, or empty."""

    data: bytes
    event: str = "message"
    id: str = ""


class EventTooLarge(ValueError):
    """A stream holds an event, or a line, larger than its reader is willing to keep."""


class Decoder:
    """Turns the bytes of one stream into its events, however they are cut into chunks.

    An event that the stream's end leaves incomplete is never seen, as the standard says.
    After EventTooLarge the decoder is of no further use.

    Attributes:
        last_id: what a reader sends as Last-Event-ID to go on from here.
        retry_ms: the pause that the stream asked for; None where it asked for none.
    """

    __slots__ = (
        "_data",
        "_event",
        "_max_bytes",
        "_rest",
        "_size",
        "_skip_lf",
        "_started",
        "last_id",
        "retry_ms",
    )

    def __init__(self, max_event_bytes: int = 1 << 20) -> None:
        self.last_id = ""
        self.retry_ms: int | None = None
        self._max_bytes = max_event_bytes
        # Read but not yet looked at: less than a line, or after `data()` less than an event.
        self._rest = b""
        self._data: list[bytes] = []
        self._event = ""
        self._size = 0
        self._skip_lf = False
        self._started = False

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that this chunk completes.

        Raises:
            EventTooLarge: an event exceeds the limit; the events before it are lost.
        """
        events = []
        for line in self._lines(chunk):
            if line:
                self._read_field(line)
            elif (event := self._dispatch()) is not None:
                events.append(event)
        if self._size + len(self._rest) > self._max_bytes:
            raise EventTooLarge(f"an event of more than {self._max_bytes} bytes")
        return events

    def data(self, chunk: bytes) -> list[bytes]:
        """What `feed` finds, only the data: for streams whose events have no other field.

        Much faster than `feed` where every event is one `data: ` line that LF ends, and
        equal to it everywhere else.

        Raises:
            EventTooLarge: as `feed`.
        """
        midway = self._data or self._event or self._skip_lf
        buffer = self._rest + chunk if self._rest else chunk
        if not midway and b"\r" not in chunk and len(buffer) <= self._max_bytes:
            *parts, rest = buffer.split(b"\n\n")
            found = [part[6:] for part in parts if part[:6] == b"data: " and b"\n" not in part]
            if len(found) == len(parts) and buffer[:6] == b"data: ":
                self._started = True
                self._rest = rest
                return found
        return [event.data for event in self.feed(chunk)]

    def _lines(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, without their ends."""
        if self._skip_lf and chunk:
            # The LF of a CRLF that was torn between two chunks.
            chunk = chunk.removeprefix(b"\n")
            self._skip_lf = False
        buffer = self._without_bom(self._rest + chunk)
        lines = buffer.splitlines(keepends=True)
        self._rest = lines.pop() if lines and not lines[-1].endswith(_LINE_ENDS) else b""
        if lines and not self._rest:
            self._skip_lf = buffer.endswith(b"\r")
        return [line.rstrip(b"\r\n") for line in lines]

    def _without_bom(self, buffer: bytes) -> bytes:
        if self._started:
            return buffer
        if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
            return buffer
        self._started = True
        return buffer.removeprefix(_BOM)

    def _read_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:
                self.last_id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) < 10:
            self.retry_ms = int(value)

    def _dispatch(self) -> ServerEvent | None:
        data, event, size = self._data, self._event or "message", self._size
        self._data, self._event, self._size = [], "", 0
        if size > self._max_bytes:
            raise EventTooLarge(f"an event of more than {self._max_bytes} bytes")
        return ServerEvent(b"\n".join(data), event, self.last_id) if data else None
