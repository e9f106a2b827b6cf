"""Streams that stay open: silence, age, readers who leave or freeze, and the gateway's end."""

import asyncio
import re

from aiohttp import ClientResponse

from gateway.doors import Patience
from tests.e2e import wire
from tests.surfaces import event_source
from tests.surfaces.running import CODE, OTHER_CODE, QUICK, SILENT, STUCK, Gateway, bearer, raw
from tests.surfaces.teller import MODEL, Teller, told

# The look at the open streams, often enough for a test.
TICKING = Patience(tick_s=0.01)


async def test_silence_is_broken_by_half_a_comment() -> None:
    """A heartbeat is a line without a blank one: no client takes it for an event."""
    async with Gateway(HEARTBEAT=0.02, patience=TICKING) as gateway:
        job_id = await gateway.queue(STUCK)
        await gateway.published(job_id, 3)
        async with event_source.opened(gateway.session, await gateway.stream(job_id)) as response:
            await response.content.readuntil(b"data: one\n\n")
            assert await response.content.readexactly(6) == b":\n:\n:\n"


async def test_an_old_stream_is_cut_and_goes_on(teller: Teller) -> None:
    """Cleanly, without a terminal event; and without a heartbeat, silence is silent."""
    async with Gateway(
        HEARTBEAT=0, STREAM_MAX_AGE=1, patience=TICKING, **teller.settings
    ) as gateway:
        teller.gate.clear()
        job_id = await gateway.queue(MODEL, told("one", "two"))
        url = await gateway.stream(job_id)
        reply = await gateway.get(url.removeprefix(gateway.origin))
        assert re.fullmatch(rb":\nretry: \d{4}\nid: 1-3\ndata: one\n\n", reply.body)
        teller.gate.set()
        rest = await event_source.listen(gateway.session, url, "1-3")
        assert [event.data for event in rest] == [b"two", b"[DONE]"]


async def test_readers_have_a_cap() -> None:
    """503 with Retry-After above it, for an app and in all; a place that is left is free."""
    async with Gateway(MAX_STREAMS=3, MAX_STREAMS_PER_APP=2) as gateway:
        mine = f"/stream/{await gateway.queue(SILENT)}"
        other = f"/stream/{await gateway.queue(SILENT, app_code=OTHER_CODE)}"

        async def opened(path: str, code: str) -> ClientResponse:
            return await gateway.session.get(gateway.origin + path, headers=bearer(code))

        streams = [await opened(mine, CODE), await opened(mine, CODE)]
        refused = await gateway.get(mine, **bearer(CODE))
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        assert refused.json()["error"]["code"] == "UNAVAILABLE"
        streams.append(await opened(other, OTHER_CODE))
        assert [stream.status for stream in streams] == [200, 200, 200]
        assert (await gateway.get(other, **bearer(OTHER_CODE))).status == 503
        for stream in streams:
            stream.close()
        await gateway.unread()
        async with await opened(mine, CODE) as again:
            assert again.status == 200


async def test_a_reader_of_http_1_0_gets_no_chunks(gateway: Gateway) -> None:
    """The end of the connection is the end of its stream, whatever it asked for."""
    job_id = await gateway.queue(text="one two")
    await gateway.over(job_id)
    for connection in ("close", "keep-alive"):
        head = wire.head("GET", gateway.origin, f"/stream/{job_id}", bearer(CODE))
        head = head.replace(b"HTTP/1.1", b"HTTP/1.0")
        head = head.replace(b"Connection: close", f"Connection: {connection}".encode())
        async with raw(gateway) as (reader, writer):
            writer.write(head)
            status, headers = await wire.read_head(reader)
            assert (status, headers["connection"]) == (200, "close")
            assert "transfer-encoding" not in headers
            body = await reader.read()
            hello, _, rest = body.partition(b"id: ")
            assert re.fullmatch(rb":\nretry: \d{4}\n", hello)
            assert rest == b"1-3\ndata: one\n\nid: 1-4\ndata:  two\n\nid: 1-6\ndata: [DONE]\n\n"


# -- leaving --------------------------------------------------------------------------------------


async def test_a_reader_who_leaves_stops_nothing(teller: Teller) -> None:
    """The job goes on, and another reads it whole."""
    async with Gateway(**teller.settings) as gateway:
        teller.gate.clear()
        job_id = await gateway.queue(MODEL, told("one", "two"))
        url = await gateway.stream(job_id)
        async with event_source.opened(gateway.session, url) as response:
            await response.content.readuntil(b"data: one\n\n")
        teller.gate.set()
        assert event_source.text(await event_source.listen(gateway.session, url)) == "onetwo"
        assert not teller.left.is_set()


async def test_a_cancelled_job_closes_its_provider_stream(teller: Teller) -> None:
    """Nobody wants the rest: the provider is told by its connection's end."""
    async with Gateway(**teller.settings) as gateway:
        teller.gate.clear()
        job_id = await gateway.queue(MODEL, told("one", "two"))
        await gateway.published(job_id, 3)
        await gateway.ask("POST", f"/cancel_request/{job_id}", headers=bearer(CODE))
        async with asyncio.timeout(20):
            await teller.left.wait()


async def test_a_frozen_reader_slows_nobody_and_is_cut() -> None:
    """It takes nothing for the stall time: its connection ends; another reads on meanwhile."""
    words = " ".join(f"{number:099}" for number in range(9_000))
    patience = Patience(stall_s=2.0, tick_s=0.05)
    async with Gateway(patience=patience) as gateway:
        job_id = await gateway.queue(QUICK + "&chunk=100", text=words)
        url = await gateway.stream(job_id)
        path = url.removeprefix(gateway.origin)
        _, writer = await wire.connect(gateway.origin, receive_buffer=4096)
        writer.transport.pause_reading()
        writer.write(wire.head("GET", gateway.origin, path, {}))
        got = await event_source.listen(gateway.session, url)
        assert event_source.text(got) == words
        await gateway.unread()
        await wire.shut(writer)


async def test_the_gateway_stops_under_its_readers() -> None:
    """Their streams end without a terminal event where the job may go on, and at once."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(STUCK)
        async with event_source.opened(gateway.session, await gateway.stream(job_id)) as response:
            got = event_source.events(response)
            assert (await anext(got)).data == b"one"
            await gateway.core.stop()
            # A store in memory keeps nothing for later: the job has ended, and says how.
            assert [event.event async for event in got] == ["error"]


async def test_a_frozen_reader_does_not_hold_up_the_end() -> None:
    """Its connection is cut with the others', whatever it has not taken yet."""
    words = " ".join(f"{number:099}" for number in range(9_000))
    async with Gateway() as gateway:
        job_id = await gateway.queue(QUICK + "&chunk=100&stall=8000", text=words)
        url = await gateway.stream(job_id)
        _, writer = await wire.connect(gateway.origin, receive_buffer=4096)
        writer.transport.pause_reading()
        writer.write(wire.head("GET", gateway.origin, url.removeprefix(gateway.origin), {}))
        await gateway.published(job_id, 82)
        async with asyncio.timeout(20):
            await gateway.core.stop()
            await gateway.unread()
        await wire.shut(writer)
