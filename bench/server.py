"""A server in a process of its own, on a core of its own."""

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import IO, Self

from bench import machine

ROOT = Path(__file__).parents[1]
_START_S = 30.0
_STOP_S = 15.0
# What the gateway logs, or what the others print, when they listen.
_LISTENS = re.compile(r'gateway_started.*?"port": ?(\d+)|^http://127\.0\.0\.1:(\d+)$', re.M)


class Server:
    """Started on entering, ended on leaving. What it writes is kept in a file, to be shown."""

    port: int

    def __init__(self, name: str, *typed: str, core: int, **environ: str) -> None:
        """Prepare to start Python with these words.

        Args:
            core: where it runs.
            environ: variables beside the path; nothing else is passed on.
        """
        self.name = name
        self._typed = typed
        self.core = core
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None
        self._said: IO[bytes] | None = None

    async def __aenter__(self) -> Self:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed in _end)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *self._typed, stdin=asyncio.subprocess.DEVNULL, stdout=self._said,
            stderr=self._said, cwd=ROOT, env={"PATH": os.environ["PATH"], **self._environ},
        )  # fmt: skip
        os.sched_setaffinity(self._process.pid, {self.core})
        try:
            async with asyncio.timeout(_START_S):
                self.port = await self._listens()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _listens(self) -> int:
        """The port, as soon as it is announced."""
        while self._process is not None and self._process.returncode is None:
            found = _LISTENS.search(self.said())
            if found:
                return int(found[1] or found[2])
            await asyncio.sleep(0.02)
        raise RuntimeError(f"{self.name} did not start: {self.said()}")

    async def _end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(_STOP_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._said is not None:
            self._said.close()

    def said(self) -> str:
        """All that it wrote so far."""
        if self._said is None:
            return ""
        size = os.fstat(self._said.fileno()).st_size
        return os.pread(self._said.fileno(), size, 0).decode("utf-8", "replace")

    @property
    def pid(self) -> int:
        if self._process is None:
            raise AssertionError("a server is started before it is looked at")
        return self._process.pid

    def cpu_s(self) -> float:
        """CPU time it has used, user and system, in seconds."""
        return machine.cpu_s(self.pid)

    def resident_bytes(self) -> int:
        """Memory it holds in RAM."""
        return machine.resident_bytes(self.pid)
