"""Lines of the log on their way out, as the loggers that structlog ends in.

Their reader may leave, or the disk be full: that is no reason to fail at what a line is about.
"""

import threading
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

import msgspec

# Written in one go.
_MOST_AT_ONCE = 1000


class Sink(Protocol):
    """A file, or what is written like one."""

    def write(self, data: memoryview, /) -> int | None:
        """How many of the bytes it took."""
        ...

    def flush(self) -> None: ...


class Lines:
    """Writes each line at once, for somebody who watches."""

    def __init__(self, stream: Sink) -> None:
        self._stream = stream

    def msg(self, line: bytes) -> None:
        self._put(line + b"\n")

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        # Closed, it raises ValueError.
        with suppress(OSError, ValueError):
            # Unbuffered, it may take a part.
            while rest and (taken := self._stream.write(rest)):
                rest = rest[taken:]
            self._stream.flush()

    debug = info = warning = error = critical = exception = log = msg

    def close(self, grace_s: float = 1.0) -> None:
        """Nothing is left to be written."""


class LinesBehind(Lines):
    """Writes lines of JSON a moment later, many at once, in a thread of its own.

    Whoever logs never waits: where what reads a pipe hangs, it is full, and the next line would
    hold the event loop and with it every stream. So many lines are kept then; those beyond are
    counted, and told of when somebody reads on. A process that is killed takes its last moment's
    lines with it.
    """

    def __init__(self, stream: Sink, *, behind_s: float = 0.05, most: int = 20_000) -> None:
        """Begin to write.

        Args:
            behind_s: lines wait so long for others.
            most: lines that are kept.
        """
        super().__init__(stream)
        self._behind_s = behind_s
        self._most = most
        self._kept: deque[bytes] = deque()
        self._lost = 0
        # Of those lost, so many have been told of.
        self._told = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def msg(self, line: bytes) -> None:
        if len(self._kept) < self._most:
            self._kept.append(line)
        else:
            self._lost += 1

    def close(self, grace_s: float = 1.0) -> None:
        """Write what is left, if it is taken within the grace. Nothing is written after it."""
        self._over.set()
        self._thread.join(grace_s)

    def _work(self) -> None:
        while not self._over.wait(self._behind_s):
            self._write()
        self._write()

    def _write(self) -> None:
        kept = self._kept
        while kept:
            self._put(
                b"".join([kept.popleft() + b"\n" for _ in range(min(len(kept), _MOST_AT_ONCE))])
            )
        lost = self._lost - self._told
        if lost:
            self._told += lost
            self._put(_lost(lost))

    debug = info = warning = error = critical = exception = log = msg


def _lost(lines: int) -> bytes:
    said = {
        "timestamp": datetime.now(UTC),
        "level": "warning",
        "event": "log_lines_lost",
        "lines": lines,
    }
    return msgspec.json.encode(said) + b"\n"
