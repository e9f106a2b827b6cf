"""A real browser's EventSource, behind a line that is cut again and again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web

from tests.chromium import browser, needs_chromium
from tests.e2e import calls
from tests.e2e.calls import Inbox
from tests.e2e.proxy import Proxy
from tests.e2e.servers import Server

PROMPT = " ".join(f"wört{number}\n🙂" for number in range(60))
# Reads as any page does, and never closes: it is the gateway that ends it. Where the browser
# has given up connecting, the page waits for longer than any reconnect and tells what it has.
PAGE = """<!doctype html><meta charset="utf-8"><script>
  let text = "", opened = 0;
  const source = new EventSource("STREAM");
  source.onopen = () => { opened += 1; };
  source.onmessage = (event) => { text += event.data; };
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return;
    const body = JSON.stringify({ text, opened });
    setTimeout(() => fetch("/told", { method: "POST", body }), 2500);
  };
</script>"""


@asynccontextmanager
async def page(stream_url: str) -> AsyncIterator[tuple[str, asyncio.Future[Any]]]:
    """A page that reads the stream: where it is, and what it will tell."""
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def show(request: web.Request) -> web.Response:
        return web.Response(text=PAGE.replace("STREAM", stream_url), content_type="text/html")

    async def tell(request: web.Request) -> web.Response:
        told.set_result(json.loads(await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_get("/", show)
    app.router.add_post("/told", tell)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", told
    finally:
        await runner.cleanup()


@needs_chromium
async def test_a_browser_reads_the_whole_text(
    gateway: Server, inbox: Inbox, tmp_path: Path
) -> None:
    """EventSource has every word once, in spite of all cuts, and does not connect again."""
    async with Proxy(gateway.origin) as proxy:
        url = await calls.init(gateway.origin, inbox, "together/echo?first=2&gap=0.02", PROMPT)
        # Not within the head of an answer: what a browser makes of that is its own affair.
        proxy.cut_at_random(Random(1), 2000, least=900)
        async with (
            page(url.replace(gateway.origin, proxy.origin)) as (address, told),
            browser(tmp_path, address),
        ):
            said = await asyncio.wait_for(told, 45)
    print(f"{said['opened']} connections, {proxy.cuts} cut")
    assert said["text"] == PROMPT + "[DONE]"
    assert proxy.cuts >= 2
