"""The gateway and the simulated provider as processes of their own, on free ports."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psutil

from tests.e2e import wire
from tests.until import PATIENCE_S

ROOT = Path(__file__).parents[2]
CODE = "app-code-of-the-end-to-end-tests"
_APPS = {
    "app_codes": {
        CODE: {
            "name": "e2e",
            "allowed_request_types": ["ask"],
            "max_tokens": 100_000,
        }
    }
}


class Server:
    """A process of `run.py`, and what it has printed so far.

    Attributes:
        origin: where it listens, such as http://127.0.0.1:8123.
        lines: standard output and error, line by line.
    """

    def __init__(
        self, typed: list[str], environ: Mapping[str, str], within: Sequence[str] = ()
    ) -> None:
        """Start it. `origin` is known after `listening`.

        Args:
            within: a command that becomes the one that follows it.
        """
        self.origin = ""
        self.lines: list[str] = []
        # Not a secret of whoever runs the tests, nor a setting: only where programs are.
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        self.process = subprocess.Popen(
            [*within, sys.executable, str(ROOT / "run.py"), *typed],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": path, "PYTHONUNBUFFERED": "1", "DATA_DIR": "", **environ},
            cwd=ROOT,
        )
        self._printed = threading.Condition()
        # A pipe that nobody reads would stop the process in mid-line.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._printed:
                self.lines.append(line.rstrip("\n"))
                self._printed.notify_all()
        with self._printed:
            self.lines.append("")
            self._printed.notify_all()

    def line(self, holds: Callable[[str], bool], wanted: str = "where it listens") -> str:
        """Wait for the first line of which `holds` is true: that which tells what is `wanted`."""

        def found() -> str | None:
            return next((line for line in self.lines if holds(line)), None)

        with self._printed:
            self._printed.wait_for(lambda: found() or self.lines[-1:] == [""], PATIENCE_S)
            line = found()
        assert line is not None, "\n".join([f"it never said {wanted}:", *self.lines[-50:]])
        return line

    async def printed(self, *words: str) -> str:
        """Wait for the first line that has all the words, while the test's own servers serve."""
        return await asyncio.to_thread(
            self.line, lambda line: all(word in line for word in words), " of ".join(words)
        )

    def listening(self, holds: Callable[[str], bool], origin: Callable[[str], str]) -> Self:
        """Wait for the line that says where it listens."""
        self.origin = origin(self.line(holds))
        return self

    def facts(self, event: str) -> list[dict[str, Any]]:
        """What the log says of one kind of event."""
        mark = f'"event":"{event}"'
        return [json.loads(line) for line in tuple(self.lines) if mark in line]

    def resources(self) -> tuple[int, float]:
        """Open file descriptors, and resident memory in MB."""
        process = psutil.Process(self.process.pid)
        return process.num_fds(), process.memory_info().rss / 1e6

    def connections_to(self, origin: str) -> int:
        """Open connections to a server elsewhere."""
        port = urlsplit(origin).port
        return sum(each.raddr.port == port for each in self._connections())

    def connections_from_clients(self) -> int:
        """Open connections that others have made."""
        port = urlsplit(self.origin).port
        return sum(each.laddr.port == port for each in self._connections())

    def _connections(self) -> list[Any]:
        every = psutil.Process(self.process.pid).net_connections("tcp")
        return [each for each in every if each.status != psutil.CONN_LISTEN]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def ended(self, within_s: float = PATIENCE_S) -> int:
        """Wait for its end; the exit code."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            last = "\n".join(self.lines[-20:])
            raise AssertionError(f"after {within_s} s it still runs:\n{last}") from None
        self._reader.join(within_s)
        return code

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        with contextlib.suppress(AssertionError):
            self.ended()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def simulator(port: int = 0) -> Iterator[Server]:
    """A provider that plays scripts over HTTP; killed at the end."""
    server = Server(["simulate", "--port", str(port)], {})
    try:
        yield server.listening(lambda line: line.startswith("http://"), str)
    finally:
        server.close()


@contextmanager
def gateway(
    conf: Path, upstream: str, within: Sequence[str] = (), **settings: str
) -> Iterator[Server]:
    """A gateway whose Together is at `upstream`; killed at the end.

    Whatever happened to it, it has written no traceback.
    """
    server = Server(["serve", "--conf", str(conf)], environ(conf, upstream) | settings, within)
    try:
        yield server.listening(lambda line: "gateway_started" in line, _origin)
        crashes = [line for line in server.lines if re.search(r"Traceback|exception\"", line)]
        assert not crashes, "\n".join(crashes)
    finally:
        server.close()


def environ(conf: Path, upstream: str) -> dict[str, str]:
    """The environment of a gateway that has one app, and Together at `upstream`."""
    (conf / "apps.json").write_text(json.dumps(_APPS))
    return {
        "SERVER_PORT": "0",
        "TOGETHER_AI_API_KEY": "key-of-nobody",
        "TOGETHER_BASE_URL": upstream,
        # Callbacks to this machine are allowed.
        "DEV_MODE": "true",
        "WORKERS": "2000",
    }


def _origin(line: str) -> str:
    said = json.loads(line)
    return f"http://{said['host']}:{said['port']}"


async def counters(gateway: Server) -> tuple[int, int]:
    """Jobs in the queue and jobs at work."""
    said = (await wire.get(gateway.origin, "/health")).json()
    return said["queue_size"], said["active_workers"]


async def open_streams(simulator: Server) -> int:
    """Answers that the provider is writing now."""
    opened: int = (await wire.get(simulator.origin, "/simulator/stats")).json()["open"]
    return opened
