"""Clients that cost little: one that reads a stream, one that asks and is answered."""

import asyncio
import socket
import time
from typing import Self, cast

from bench.upstream import body_length

_PATIENCE_S = 90.0
_LAST = b"0\r\n\r\n"
# What every frame of a text has, at this door or that.
_FRAME = b"data: "


class Count:
    """A number that only grows, and can be waited for."""

    def __init__(self, what: str) -> None:
        self.value = 0
        self._what = what
        self._goal = 0
        self._reached: asyncio.Future[None] | None = None

    def add(self, more: int) -> None:
        self.value += more
        if self._reached is not None and self.value >= self._goal:
            self._reached.set_result(None)
            self._reached = None

    async def reach(self, goal: int) -> None:
        """Wait until it is `goal` or more.

        Raises:
            TimeoutError: it takes far too long.
        """
        if self.value >= goal:
            return
        self._goal = goal
        self._reached = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._reached
        except TimeoutError:
            raise TimeoutError(f"{self._what}: {self.value} of {goal}") from None


class Tally:
    """What the readers of one measurement have seen together."""

    def __init__(self) -> None:
        self.opened = Count("streams open")
        self.begun = Count("streams with a first token")
        self.frames = Count("frames read")
        self.ended = Count("streams read to their end")


class Reader(asyncio.Protocol):
    """Reads one stream and keeps it as it came.

    Attributes:
        asked_at, first_at: when the request was sent and the first frame came, in seconds.
    """

    __slots__ = ("_tally", "_transport", "asked_at", "first_at", "pieces")

    def __init__(self, tally: Tally) -> None:
        self.pieces: list[bytes] = []
        self.asked_at = self.first_at = 0.0
        self._tally = tally
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connect(cls, port: int, tally: Tally, receive_bytes: int | None = None) -> Self:
        """A reader that has asked for nothing yet.

        Args:
            receive_bytes: what the kernel may hold for it; None: what it likes.
        """
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        _, reader = await loop.create_connection(lambda: cls(tally), sock=sock)
        return reader

    def ask(self, request: bytes, asked_at: float | None = None) -> None:
        """Send the request for the stream.

        Args:
            asked_at: when the answer was asked for, if that was earlier.
        """
        self.asked_at = time.perf_counter() if asked_at is None else asked_at
        if self._transport is not None:
            self._transport.write(request)

    @property
    def first_s(self) -> float:
        """From the request to the first token."""
        return self.first_at - self.asked_at

    def pause(self) -> None:
        """Read nothing for a while."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        """Leave, whatever is still to come."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        tally = self._tally
        if not self.pieces:
            tally.opened.add(1)
        self.pieces.append(data)
        frames = data.count(_FRAME)
        if frames:
            if not self.first_at:
                self.first_at = time.perf_counter()
                tally.begun.add(1)
            tally.frames.add(frames)
        if data.endswith(_LAST) or (len(data) < 5 and self._tail().endswith(_LAST)):
            self._end()

    def _tail(self) -> bytes:
        return b"".join(self.pieces[-5:])

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
            self._tally.ended.add(1)


class Caller(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connect(cls, port: int) -> Self:
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(cls, "127.0.0.1", port)
        return caller

    @property
    def open(self) -> bool:
        return self._transport is not None

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer.

        Raises:
            ConnectionError: there is none, or it is no 2xx.
        """
        if self._transport is None:
            raise ConnectionError("the connection was closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if self._answer is None or not found or len(rest) < body_length(head):
            return
        answer, self._answer = self._answer, None
        self._received = b""
        if head[9:10] == b"2":
            answer.set_result(rest)
        else:
            answer.set_exception(ConnectionError((head + b" " + rest).decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None:
            self._answer.set_exception(ConnectionError("closed in mid-answer"))


class Callers:
    """Connections to one server, made as they are needed and used again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[Caller] = []

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer; see Caller.ask."""
        # A server closes those that it has not heard of for a while.
        self._free = [caller for caller in self._free if caller.open]
        caller = self._free.pop() if self._free else await Caller.connect(self._port)
        answer = await caller.ask(request)
        self._free.append(caller)
        return answer

    def close(self) -> None:
        for caller in self._free:
            caller.close()


def get(path: str) -> bytes:
    """A request without a body."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """A request with a JSON body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
