"""A real browser for the tests: Chromium with one page open, and a way to look into it."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.until import PATIENCE_S

_CHROMIUM = shutil.which("chromium")
# Nothing but loopback is reached, and nothing of the machine's own profile is touched.
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--no-proxy-server", "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip

_UNTIL = """
new Promise((done) => {
  const look = () => (CONDITION) ? done(true) : setTimeout(look, 20);
  look();
})"""

needs_chromium = pytest.mark.skipif(_CHROMIUM is None, reason="chromium is not installed")


class Tab:
    """The open page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._calls = 0

    async def call(self, method: str, **parameters: Any) -> Any:
        """One command of https://chromedevtools.github.io/devtools-protocol, and its result."""
        self._calls += 1
        command = {"id": self._calls, "method": method, "params": parameters}
        await self._socket.send_json(command)
        return (await self._told("id", self._calls))["result"]

    async def _told(self, key: str, value: Any) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while (told := await self._socket.receive_json()).get(key) != value:
                pass
        return told

    async def go(self, url: str) -> None:
        """Open another page, and wait until it is there."""
        await self.call("Page.navigate", url=url)
        await self._told("method", "Page.loadEventFired")

    async def reload(self) -> None:
        """Load the page again, and wait until it is there."""
        await self.call("Page.reload")
        await self._told("method", "Page.loadEventFired")

    async def value(self, script: str) -> Any:
        """What a script is worth in the page; a promise is awaited."""
        result = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait in the page until a condition is true."""
        script = _UNTIL.replace("CONDITION", condition)
        assert await self.value(script)


@asynccontextmanager
async def browser(profile: Path, url: str) -> AsyncIterator[Tab]:
    """Chromium with a page open; ended with all its processes."""
    assert _CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        _CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as session:
            tab = Tab(await _attached(session, process.stderr))
            await tab.call("Page.enable")
            await tab.go(url)
            yield tab
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def _attached(
    session: aiohttp.ClientSession, stderr: asyncio.StreamReader | None
) -> aiohttp.ClientWebSocketResponse:
    """The line into the one page that is open."""
    async with asyncio.timeout(PATIENCE_S):
        debugger = (await _debugger(stderr)).rpartition("/devtools")[0]
        async with session.get(f"{debugger.replace('ws:', 'http:')}/json") as response:
            tabs = await response.json(content_type=None)
        page = next(each for each in tabs if each["type"] == "page")
        return await session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=1 << 24)


async def _debugger(stderr: asyncio.StreamReader | None) -> str:
    """Where Chromium says that it can be told what to do."""
    assert stderr is not None
    while True:
        line = (await stderr.readline()).decode(errors="replace")
        assert line, "chromium ended"
        if "DevTools listening on " in line:
            return line.rpartition(" ")[2].strip()
