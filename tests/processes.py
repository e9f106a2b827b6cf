"""Starting `run.py` and shells as people do, and stopping them whatever happens."""

import asyncio
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.until import PATIENCE_S

ROOT = Path(__file__).parents[1]
# Nothing of the environment but where programs are: `python` is the one that runs the tests.
PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@asynccontextmanager
async def process(*typed: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`run.py` with these words, killed at the end if it still runs."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "run.py"), *typed,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": PATH, "DATA_DIR": "", **environ}, cwd=ROOT,
    )  # fmt: skip
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def lines_until(stream: asyncio.StreamReader | None, last: str) -> list[str]:
    """What a process prints, up to the first line that has `last` in it."""
    assert stream is not None
    lines: list[str] = []
    while not lines or last not in lines[-1]:
        line = (await asyncio.wait_for(stream.readline(), PATIENCE_S)).decode()
        assert line, f"it ended before {last!r}: {lines}"
        lines.append(line.strip())
    return lines


async def pasted(line: str, **environ: str) -> str:
    """What a shell prints when the line is pasted into it."""
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", line, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": PATH, "DATA_DIR": "", **environ}, cwd=ROOT,
    )  # fmt: skip
    out, err = await asyncio.wait_for(shell.communicate(), PATIENCE_S)
    assert (shell.returncode, err) == (0, b""), err
    return out.decode()


async def ended(started: asyncio.subprocess.Process, by: signal.Signals) -> int:
    """The exit code of a process that is told to stop."""
    started.send_signal(by)
    return await asyncio.wait_for(started.wait(), PATIENCE_S)
