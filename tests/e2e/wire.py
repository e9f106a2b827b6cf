"""HTTP as bytes on a socket: a client that can stop at any of them, and read none.

It shares no code with the gateway, so that the two cannot agree on the same mistake.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.until import PATIENCE_S


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Frame(NamedTuple):
    """One server-sent event."""

    event: str
    id: str
    data: str


def head(method: str, origin: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A whole request, as it goes over the wire."""
    fields = {"Host": urlsplit(origin).netloc, "Connection": "close", **headers}
    if body:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def posting(origin: str, path: str, value: dict[str, Any], **headers: str) -> bytes:
    """A request that posts JSON."""
    return head("POST", origin, path, headers, json.dumps(value).encode())


async def connect(origin: str, receive_buffer: int | None = None) -> Any:
    """A connected socket's reader and writer.

    Args:
        receive_buffer: bytes the kernel keeps for a reader that does not read.
    """
    url = urlsplit(origin)
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await loop.sock_connect(sock, (url.hostname, url.port))
    except BaseException:
        sock.close()
        raise
    return await asyncio.open_connection(sock=sock, limit=1 << 22)


async def exchange(origin: str, request: bytes) -> Answer:
    """Send a request over a connection of its own, and read the whole answer."""
    reader, writer = await connect(origin)
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.write(request)
            status, headers = await read_head(reader)
            body = b"".join([piece async for piece in _body(reader, headers)])
    except TimeoutError:
        asked = request.partition(b"\r\n")[0].decode()
        raise AssertionError(f"after {PATIENCE_S} s there is no answer to {asked}") from None
    finally:
        await shut(writer)
    return Answer(status, headers, body)


async def get(origin: str, path: str, **headers: str) -> Answer:
    return await exchange(origin, head("GET", origin, path, headers))


async def post(origin: str, path: str, value: dict[str, Any], **headers: str) -> Answer:
    return await exchange(origin, posting(origin, path, value, **headers))


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer.

    Raises:
        ConnectionResetError: there is none.
    """
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        raise ConnectionResetError from None
    first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    pairs = (line.partition(":") for line in lines)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """The pieces of a body as they come, to its end.

    Raises:
        asyncio.IncompleteReadError, ConnectionResetError: it was cut off.
    """
    if headers.get("transfer-encoding") != "chunked":
        if size := int(headers.get("content-length", "0")):
            yield await reader.readexactly(size)
        return
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        # Piece by piece: of a chunk that is cut, what came counts.
        while size:
            piece = await reader.read(size)
            if not piece:
                raise ConnectionResetError
            size -= len(piece)
            yield piece
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readexactly(2) == b"\r\n"


class Stream:
    """One open stream of server-sent events.

    Attributes:
        ended: the body came to its proper end; false after a cut.
        last_id: as EventSource keeps it.
    """

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.status = status
        self.headers = headers
        self.ended = False
        self.last_id = ""
        self._reader = reader
        self._writer = writer

    async def frames(self) -> AsyncIterator[Frame]:
        """Every event, as it comes, until the end or a cut."""
        rest = b""
        try:
            async for piece in _body(self._reader, self.headers):
                *blocks, rest = (rest + piece).split(b"\n\n")
                for block in blocks:
                    frame = self._frame(block.decode())
                    if frame is not None:
                        yield frame
            self.ended = True
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    def _frame(self, block: str) -> Frame | None:
        event, data = "message", []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                event = value
            elif name == "id":
                self.last_id = value
            elif name == "data":
                data.append(value)
        return Frame(event, self.last_id, "\n".join(data)) if data else None

    async def text(self) -> str:
        """The whole text of an answer at the text door; its `[DONE]` must be the last frame."""
        *words, done = [frame async for frame in self.frames()]
        await self.close()
        assert self.ended, f"it was cut off after {done}"
        assert (done.event, done.data) == ("message", "[DONE]"), f"it ended with {done}"
        return "".join(word.data for word in words)

    def freeze(self) -> None:
        """Take no byte more, and keep the connection."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def thaw(self) -> None:
        """Take what comes again."""
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]

    def abort(self) -> None:
        """Reset the connection: what is under way is lost."""
        reset(self._writer)

    async def close(self) -> None:
        await shut(self._writer)


async def stream(
    url: str, *, after: str = "", key: str = "", receive_buffer: int | None = None
) -> Stream:
    """Open a stream, to be read from the event after `after` on, by whoever holds `key`."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    headers = {"Last-Event-ID": after} if after else {}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    request = head("GET", origin, path, headers)
    return await streamed(origin, request, receive_buffer)


async def streamed(origin: str, request: bytes, receive_buffer: int | None = None) -> Stream:
    """Send a request, and open the stream that answers it."""
    reader, writer = await connect(origin, receive_buffer)
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.write(request)
            status, answered = await read_head(reader)
    except BaseException:
        await shut(writer)
        raise
    return Stream(status, answered, reader, writer)


async def shut(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and wait until it is closed."""
    writer.close()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await writer.wait_closed()
    except (ConnectionError, BrokenPipeError):
        return


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection by a reset, as a process does that dies."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def eventually(
    look: Callable[[], Awaitable[Any]],
    want: Any,
    within_s: float = PATIENCE_S,
    every_s: float = 0.05,
) -> None:
    """Wait until what a process says of itself is as wanted.

    Another process tells nobody when it changes: it has to be asked again.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while (got := await look()) != want:
        assert loop.time() < until, f"after {within_s} s it is still {got!r}, not {want!r}"
        await asyncio.sleep(every_s)
