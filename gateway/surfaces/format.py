"""How the events of a log are written on one wire."""

from collections.abc import Callable
from typing import NamedTuple

from gateway import sse
from gateway.engine.core import Channel, Framer, View
from gateway.log import Cursor


def chunk(data: bytes) -> bytes:
    """One chunk of HTTP/1.1's chunked coding: https://www.rfc-editor.org/rfc/rfc9112#section-7.1"""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Format(NamedTuple):
    """A wire format: what its frames are, and how a stream of it begins.

    Attributes:
        exact: it cannot say that a text begins anew (`Channel.subscribe`).
        void: what the reader of an exact text is told last when the text was given up.
        hello: what every connection begins with.
        first: a frame before the first event, for readers who bring no cursor.
        resumable: its events have ids, so that readers who are cut off come back for the rest;
            others are never cut for their age, and their hello is a part of what they read.
        beat: what shows that a silent connection lives.
        aside: what a reader is to be told beside the log, given the id of its last event; asked
            at the beginning and at every look at the streams, and mostly nothing.
    """

    name: str
    framer: Callable[[], Framer]
    exact: bool = False
    void: bytes = b""
    hello: bytes = b":\n"
    first: bytes = b""
    resumable: bool = True
    beat: bytes = sse.HEARTBEAT
    aside: Callable[[Cursor], bytes] | None = None

    def view(self, channel: Channel, *, chunked: bool) -> View:
        """The channel's log in this format, cut into HTTP's chunks or plain."""
        if chunked:
            return channel.view(f"{self.name} chunked", self.framer, chunk)
        return channel.view(self.name, self.framer)
