"""A browser's EventSource, as far as a server can tell: it reconnects, and knows when to stop.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientPayloadError, ClientResponse, ClientSession

from gateway.sse import Decoder, ServerEvent


@asynccontextmanager
async def opened(
    session: ClientSession, url: str, last_id: str = "", **headers: str
) -> AsyncIterator[ClientResponse]:
    """One connection, with the headers that a browser sends."""
    sent = {"Accept": "text/event-stream", "Cache-Control": "no-store", **headers}
    if last_id:
        sent["Last-Event-ID"] = last_id
    async with session.get(url, headers=sent) as response:
        yield response


async def events(response: ClientResponse, decoder: Decoder | None = None) -> Any:
    """The events of one connection, as they come, up to its end."""
    decoder = Decoder() if decoder is None else decoder
    async for piece in response.content.iter_any():
        for event in decoder.feed(piece):
            yield event


async def listen(session: ClientSession, url: str, last_id: str = "") -> list[ServerEvent]:
    """All events, over as many connections as it takes, until the server says that it is over."""
    got: list[ServerEvent] = []
    for _ in range(100):
        async with opened(session, url, last_id) as response:
            if response.status == 204:
                return got
            assert response.status == 200, await response.text()
            assert response.headers["Content-Type"] == "text/event-stream"
            decoder = Decoder()
            try:
                async for event in events(response, decoder):
                    got.append(event)
            except ClientPayloadError:
                pass
            last_id = decoder.last_id or last_id
    raise AssertionError(f"no end after 100 connections: {got[-3:]}")


def text(got: list[ServerEvent]) -> str:
    """What the default events say together, up to the mark of the end."""
    return b"".join(e.data for e in got if e.data != b"[DONE]").decode()
