"""Proof that a reader got the whole text, in order, and the stream's end."""

import msgspec

from gateway.events import Delta
from gateway.providers.simulator import read_script
from gateway.sse import Decoder


class Incomplete(Exception):
    """A stream does not hold what it should; the figures of its run mean nothing."""


class Proof:
    """Knows one text, and looks at each different stream of it once."""

    def __init__(self, model: str) -> None:
        """Expect the text of a script."""
        plan = read_script(model).plan("", None, ())
        self._text = "".join(step.part.text for step in plan if isinstance(step.part, Delta))
        self._good: set[int] = set()

    def check(self, pieces: list[bytes]) -> None:
        """Look at one stream as it came.

        Raises:
            Incomplete: text is missing, doubled or out of order, or the end is.
        """
        body = unchunked(b"".join(pieces))
        events = body[body.find(b"data: ") :]
        if hash(events) in self._good:
            return
        found = text_of(body)
        if found != self._text:
            raise Incomplete(
                f"{len(found)} characters in place of {len(self._text)}: …{found[-80:]!r}"
            )
        self._good.add(hash(events))


def unchunked(raw: bytes) -> bytes:
    """The body of a 200 answer in chunked coding.

    Raises:
        Incomplete: it is none, or it breaks off.
    """
    head, _, rest = raw.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise Incomplete(f"an answer begins {raw[:200]!r}")
    parts: list[bytes] = []
    at = 0
    while True:
        line_end = rest.find(b"\r\n", at)
        if line_end < 0:
            raise Incomplete("a stream breaks off")
        size = int(rest[at:line_end], 16)
        if not size:
            return b"".join(parts)
        parts.append(rest[line_end + 2 : line_end + 2 + size])
        at = line_end + size + 4


def text_of(body: bytes) -> str:
    """The text in a stream of OpenAI's chunks, or of plain text with ids.

    Raises:
        Incomplete: it does not end with [DONE], or ids go back.
    """
    events = Decoder().feed(body)
    if not events or events[-1].data != b"[DONE]":
        raise Incomplete("a stream ends without [DONE]")
    if not events[0].id:
        return "".join(_content(event.data) for event in events[:-1])
    ids = [tuple(map(int, event.id.split("-"))) for event in events]
    if sorted(set(ids)) != ids:
        raise Incomplete("ids are out of order")
    return b"".join(event.data for event in events[:-1]).decode()


def _content(data: bytes) -> str:
    choices = msgspec.json.decode(data)["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else ""
