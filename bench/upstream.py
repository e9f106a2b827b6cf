"""A provider that costs little to run: OpenAI's wire, every chunk of an answer a write of its own.

    POST /v1/chat/completions   `model` is a script of gateway/providers/simulator.py
    POST /release               lets the answers go whose model begins with `gated/`
    GET  /counts                answers waiting at the gate, callbacks received
    POST (anything else)        takes a callback

`run.py simulate` joins what is due at once, as a server may. Here nothing is joined, so that
every chunk has to be read, as from a provider that flushes each token.
"""

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, cast

import msgspec

from bench import machine
from gateway.providers.simulator import Fault, read_script
from gateway.providers.simulator_wire import Scene, stream

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_LAST = b"0\r\n\r\n"
GATED = "gated/"


class Piece(NamedTuple):
    """Bytes to write, so many seconds after those before. None: nothing more is ever said."""

    after_s: float
    data: bytes | None


class Completion(msgspec.Struct, frozen=True):
    """What is read of a request."""

    model: str


class Release(msgspec.Struct, frozen=True):
    """How long the gate is opening, in seconds."""

    over_s: float = 0.0


@lru_cache(maxsize=64)
def pieces(model: str) -> tuple[Piece, ...]:
    """An answer as it is written. The role goes with the first token, as from real providers."""
    role, *cues = stream(read_script(model), Scene(model=model, prompt="", usage=True))
    ahead = role.part
    made: list[Piece] = []
    for cue in cues:
        if isinstance(cue.part, Fault) or isinstance(ahead, Fault):
            made.append(Piece(cue.after_s, None))
            return tuple(made)
        if cue.part:
            made.append(Piece(cue.after_s, _chunk(ahead + cue.part)))
            ahead = b""
    return (*made, Piece(0.0, _LAST))


def _chunk(data: bytes) -> bytes:
    """One chunk of HTTP's chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Upstream:
    """What the connections share."""

    def __init__(self) -> None:
        self.callbacks = 0
        self.gated: list[Callable[[], None]] = []

    def release(self, over_s: float) -> None:
        """Let every waiting answer go, one after the other within so many seconds."""
        loop = asyncio.get_running_loop()
        gated, self.gated = self.gated, []
        for place, play in enumerate(gated):
            loop.call_later(place / len(gated) * over_s, play)

    def counts(self) -> bytes:
        return msgspec.json.encode({"gated": len(self.gated), "callbacks": self.callbacks})


class Connection(asyncio.Protocol):
    """One keep-alive connection; one request at a time."""

    _transport: asyncio.Transport

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._pieces: tuple[Piece, ...] = ()
        self._next = 0
        self._due = 0.0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        length = body_length(head)
        if found and len(rest) >= length:
            self._received = rest[length:]
            self._answer(head.split(b" ", 2)[1], rest[:length])

    def _answer(self, path: bytes, body: bytes) -> None:
        if path == b"/v1/chat/completions":
            self._begin(msgspec.json.decode(body, type=Completion).model)
        elif path == b"/release":
            self._upstream.release(msgspec.json.decode(body, type=Release).over_s)
            self._say(b"{}")
        elif path == b"/counts":
            self._say(self._upstream.counts())
        elif path == b"/v1/models":
            self._say(b'{"object":"list","data":[]}')
        else:
            self._upstream.callbacks += 1
            self._say(b"{}")

    def _say(self, body: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )

    def _begin(self, model: str) -> None:
        self._transport.write(_HEAD)
        self._pieces = pieces(model)
        self._next = 0
        if model.startswith(GATED):
            self._upstream.gated.append(self._wait)
            self._due = 0.0
        else:
            self._wait()

    def _wait(self) -> None:
        self._due = self._loop.time()
        self._later()

    def _later(self) -> None:
        """See to it that the next piece is written when it is due."""
        delay = self._pieces[self._next].after_s
        if delay:
            # From when the last was due: the pace does not slip with the loop's own delays.
            self._due += delay
            self._loop.call_at(self._due, self._play)
        else:
            self._loop.call_soon(self._play)

    def _play(self) -> None:
        data = self._pieces[self._next].data
        if data is None or self._paused or self._transport.is_closing():
            return
        self._transport.write(data)
        self._next += 1
        if self._next < len(self._pieces):
            self._later()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._next < len(self._pieces):
            self._play()


def body_length(head: bytes) -> int:
    """The Content-Length among some headers; 0 without one."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def main() -> None:
    """Serve until ended; prints the address."""
    upstream = Upstream()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(upstream), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    machine.run(main())
