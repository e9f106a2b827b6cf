"""Connections on which no request comes: for how long they stay, and which are not idle."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.doors import Patience
from tests.e2e import wire
from tests.surfaces import event_source
from tests.surfaces.running import CODE, STUCK, Gateway, bearer, raw
from tests.surfaces.teller import MODEL, Teller, told

# Longer than a stall of the machine between a connection and what is sent on it.
BRIEF_S = 0.3
HALF = b"GET /health/live HTTP/1.1\r\nHost: 127.0"
WHOLE = HALF + b".0.1\r\n\r\n"
POSTED = WHOLE.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\nabc")
UPGRADE = b".0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty() -> AsyncIterator[Gateway]:
    """A gateway that keeps no idle connection for long."""
    async with Gateway(keepalive_s=BRIEF_S) as running:
        yield running


async def idled(gateway: Gateway) -> None:
    """Wait until connections that came now, and then again, were idle for too long."""
    for _ in range(2):
        async with raw(gateway) as (reader, _):
            assert await reader.read() == b""


# -- idle -----------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        (b"", 0),
        (b"\r\n", 0),
        (b"G", 0),
        (HALF, 0),
        (HALF + b".0.1\r\nX-Long: " + b"x" * 8_000, 0),
        (WHOLE, 1),
        (WHOLE + b"\r\n", 1),
        (WHOLE + HALF, 1),
        (WHOLE + WHOLE + HALF, 2),
        (POSTED + HALF, 1),
        (HALF + UPGRADE + HALF, 1),
    ],
    ids=[
        "silent", "blank", "byte", "half", "long", "kept", "kept-blank", "second-half",
        "third-half", "after-body", "after-upgrade",
    ],
)  # fmt: skip
async def test_who_sends_no_whole_head_is_left(hasty: Gateway, sent: bytes, answers: int) -> None:
    """What came whole is answered; then the connection ends, without a word."""
    async with raw(hasty) as (reader, writer):
        writer.write(sent)
        got = await reader.read()
    assert got.count(b"HTTP/1.1 ") == answers
    assert got.count(b"HTTP/1.1 4") == got.count(b"HTTP/1.1 405")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("before", [b"", WHOLE], ids=["first", "second"])
async def test_a_head_that_trickles_buys_no_time(hasty: Gateway, before: bytes) -> None:
    """Each byte of it is news, and the connection ends all the same."""
    async with raw(hasty) as (reader, writer):
        writer.write(before + HALF)

        async def trickle() -> None:
            while True:
                writer.write(b"1")
                # The caller's own pace: it waits for nothing.
                await asyncio.sleep(BRIEF_S / 10)

        trickling = asyncio.create_task(trickle())
        try:
            got = await reader.read()
        except ConnectionResetError:
            # Its next byte met the end.
            got = b""
        trickling.cancel()
        await asyncio.wait({trickling})
    assert b"HTTP/1.1 4" not in got


# -- busy -----------------------------------------------------------------------------------------


async def test_a_stream_is_not_idle() -> None:
    """Its caller sends nothing more, or half of what it will ask next."""
    async with Gateway(keepalive_s=BRIEF_S, HEARTBEAT=0) as gateway:
        job_id = await gateway.queue(STUCK)
        path = (await gateway.stream(job_id)).removeprefix(gateway.origin)
        head = wire.head("GET", gateway.origin, path, {"Connection": "keep-alive"})
        for more in (b"", HALF):
            async with raw(gateway) as (reader, writer):
                writer.write(WHOLE + head + more)
                await reader.readuntil(b"data: one\n\n")
                await idled(gateway)
                assert gateway.core.readers == 1
                assert not reader.at_eof()
            await gateway.unread()
        async with event_source.opened(gateway.session, await gateway.stream(job_id)) as response:
            await response.content.readuntil(b"data: one\n\n")
            await idled(gateway)
            await gateway.core.cancel(await gateway.job(job_id))
            (ended,) = [event async for event in event_source.events(response)]
            assert json.loads(ended.data)["code"] == "CANCELLED"


async def test_a_websocket_is_not_idle() -> None:
    """However long both are silent."""
    async with Gateway(keepalive_s=BRIEF_S, HEARTBEAT=0) as gateway:
        job_id = await gateway.queue(STUCK)
        url = f"{gateway.origin}/ws/{job_id}"
        async with gateway.session.ws_connect(url, headers=bearer(CODE)) as connection:
            await idled(gateway)
            await connection.send_str('{"type": "cancel"}')
            events = [json.loads(message.data)["event"] async for message in connection]
            assert (events[-1], connection.close_code) == ("error", 1000)


async def test_who_waits_for_an_answer_is_not_idle() -> None:
    """The provider takes its time; the answer comes whole."""
    async with Teller() as teller, Gateway(keepalive_s=BRIEF_S, **teller.settings) as gateway:
        teller.gate.clear()
        asked = {"question": told("one", "two"), "model": MODEL}
        _, reply = await gateway.begun("/v1/ask", asked, **bearer(CODE))
        await idled(gateway)
        teller.gate.set()
        (choice,) = (await reply).json()["choices"]
        assert choice["message"]["content"] == "onetwo"


async def test_a_slow_body_has_a_time_of_its_own() -> None:
    """It is taken when it comes within that; else the caller is told so."""
    for body_s, answered in ((10.0, 200), (BRIEF_S * 4, 408)):
        async with Gateway(keepalive_s=BRIEF_S, patience=Patience(body_s=body_s)) as gateway:
            asked = {"app_code": CODE, "request_type": "ask", "request": "x"}
            request = wire.posting(gateway.origin, "/ai_request", asked)
            async with raw(gateway) as (reader, writer):
                writer.write(request[:-9])
                await idled(gateway)
                if answered == 200:
                    writer.write(request[-9:])
                status, _ = await wire.read_head(reader)
                assert status == answered
            await gateway.quiet()
