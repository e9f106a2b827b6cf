"""A page of somebody's own that reads a stream by the documentation's snippet, in a browser."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.chromium import Tab, browser


class Site:
    """An origin of its own, with one page."""

    def __init__(self) -> None:
        self.text = ""
        self.origin = ""

    async def _show(self, request: web.Request) -> web.Response:
        return web.Response(text=self.text, content_type="text/html")

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Site"]:
        """Serve, on a free port."""
        app = web.Application()
        app.router.add_get("/", self._show)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    @asynccontextmanager
    async def reads(self, stream_url: str, snippet: str, profile: Path) -> AsyncIterator[Tab]:
        """The page in a browser, with an `output` and the snippet, which knows the address."""
        self.text = (
            '<!doctype html><meta charset="utf-8"><output></output>'
            f"<script>const streamUrl = {json.dumps(stream_url)};{snippet}</script>"
        )
        async with browser(profile, f"{self.origin}/") as tab:
            yield tab
