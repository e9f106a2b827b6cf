"""Commands as people type them: a process each, against whatever gateway the test has."""

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from tests.processes import PATH, ROOT
from tests.surfaces.running import CODE
from tests.until import PATIENCE_S


class Printed(NamedTuple):
    """What a command left behind."""

    code: int | None
    out: str
    err: str


async def typed(*words: str, stdin: str = "", **environ: str) -> Printed:
    """Run `run.py` with these words to its end."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "run.py"), *words,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={"PATH": PATH, **environ}, cwd=ROOT,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(started.communicate(stdin.encode()), PATIENCE_S)
    finally:
        if started.returncode is None:
            started.kill()
            await started.communicate()
    assert b"Traceback" not in err, err.decode()
    return Printed(started.returncode, out.decode(), err.decode())


def to(origin: str, code: str = CODE) -> dict[str, str]:
    """The environment of somebody who uses the gateway there."""
    return {"GATEWAY_URL": origin, "APP_CODE": code}


class Screen:
    """A terminal with one command in it.

    Attributes:
        seen: all that has been written on it.
    """

    def __init__(self, master: int, process: asyncio.subprocess.Process) -> None:
        self._master = master
        self.process = process
        self.seen = ""
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            # Linux's way to say that nobody holds the other end any more.
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.seen += data.decode("utf-8", "replace")
        self._more.set()

    async def shows(self, text: str) -> None:
        """Wait until it has been written."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.seen:
                self._more.clear()
                await self._more.wait()

    def press(self, keys: bytes) -> None:
        """Type on its keyboard."""
        os.write(self._master, keys)

    def close(self) -> None:
        """Close the window, with whatever runs in it. Works twice."""
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            self._master = -1

    async def ended(self) -> int:
        """The exit code of the command."""
        return await asyncio.wait_for(self.process.wait(), PATIENCE_S)


@asynccontextmanager
async def screen(*words: str, **environ: str) -> AsyncIterator[Screen]:
    """Run `run.py` with these words on a terminal of its own; killed at the end."""
    master, slave = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _ON_TERMINAL, str(ROOT / "run.py"), *words,
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True, cwd=ROOT,
            env={"PATH": PATH, "TERM": "xterm", "COLUMNS": "120", **environ},
        )  # fmt: skip
    finally:
        os.close(slave)
    shown = Screen(master, process)
    try:
        yield shown
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        shown.close()


# Takes the terminal as its own, so that Ctrl-C reaches it, and becomes the command.
_ON_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
