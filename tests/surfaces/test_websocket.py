"""The WebSocket: the assistant's events as messages, what a client may say, and how it closes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from gateway.doors import Patience
from gateway.surfaces.websocket import text_frame
from tests.e2e import wire
from tests.surfaces.assisting import Told, made, told, user
from tests.surfaces.running import CODE, OTHER_CODE, QUICK, SILENT, STUCK, Gateway, apps, bearer
from tests.surfaces.teller import MODEL, Teller
from tests.surfaces.teller import told as said

TICKING = Patience(tick_s=0.01)
PAGE = "https://app.example.org"


@asynccontextmanager
async def connected(
    gateway: Gateway, job_id: str, query: str = "", **headers: str
) -> AsyncIterator[ClientWebSocketResponse]:
    """One connection, for the app unless the headers or the query say otherwise."""
    if "access_token" not in query and "Authorization" not in headers:
        headers |= bearer(CODE)
    url = f"{gateway.origin}/ws/{job_id}{query}"
    # Pings are shown to the test.
    async with (
        asyncio.timeout(20),
        gateway.session.ws_connect(url, headers=headers, autoping=False) as connection,
    ):
        yield connection


async def following(connection: ClientWebSocketResponse, job_id: str) -> Told:
    """The next message."""
    message = json.loads(await connection.receive_str())
    assert set(message) == {"event", "id", "data"}
    assert message["data"].pop("request_id") == job_id
    return Told(message["event"], message["id"], message["data"])


async def rest(connection: ClientWebSocketResponse, job_id: str) -> tuple[list[Told], int | None]:
    """All messages up to the goodbye, and its code."""
    got: list[Told] = []
    while True:
        message = await connection.receive()
        if message.type is not WSMsgType.TEXT:
            assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED), message
            return got, connection.close_code
        data = json.loads(message.data)
        assert data["data"].pop("request_id") == job_id
        got.append(Told(data["event"], data["id"], data["data"]))


async def refusal(gateway: Gateway, path: str, **headers: str) -> tuple[int, Any]:
    """The answer to a handshake that is refused."""
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    reply = await gateway.get(path, **{**handshake, **headers})
    return reply.status, reply.json()["error"]["code"]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
async def test_a_message_is_framed_as_the_standard_says(size: int) -> None:
    """Its length in one, three or nine bytes: https://www.rfc-editor.org/rfc/rfc6455#section-5.2"""
    frame = text_frame(b"x" * size)
    assert frame[0] == 0x81
    if size < 126:
        assert (frame[1], frame[2:]) == (size, b"x" * size)
    elif size < 65_536:
        assert (frame[1], int.from_bytes(frame[2:4], "big")) == (126, size)
        assert frame[4:] == b"x" * size
    else:
        assert (frame[1], int.from_bytes(frame[2:10], "big")) == (127, size)
        assert frame[10:] == b"x" * size


@pytest.mark.parametrize("text", ["one two", "x" * 500, "漢字" * 40_000, "a\r\nb\x85\u2028c"])
async def test_the_messages_are_the_streams_events(gateway: Gateway, text: str) -> None:
    """One for one, of any size; and 1000 when everything has been sent."""
    job_id = await made(gateway, prompt=text, model="simulator/echo?first=0&gap=0&tools=1")
    async with connected(gateway, job_id) as connection:
        assert await rest(connection, job_id) == (await told(gateway, job_id), 1000)


async def test_a_waiting_job_is_told_its_place(gateway: Gateway) -> None:
    """As on the stream."""
    async with Gateway(WORKERS=1, patience=TICKING) as gateway:
        running = await made(gateway, model=STUCK)
        await gateway.published(running, 1)
        ahead, job_id = await made(gateway, model=SILENT), await made(gateway)
        async with connected(gateway, job_id) as connection:
            assert await following(connection, job_id) == Told("stage", "0-0", {"stage": "queued"})
            for id, position in (("0-1", 2), ("0-2", 1)):
                status = await following(connection, job_id)
                assert status.data.pop("estimated_wait_time")
                want = {"status": "queued", "position": position}
                assert status == Told("status", id, want)
                if position == 2:
                    await gateway.ask("POST", f"/cancel_request/{ahead}", headers=bearer(CODE))
            await gateway.ask("POST", f"/cancel_request/{running}", headers=bearer(CODE))
            got, code = await rest(connection, job_id)
            assert (got[-1].name, code) == ("complete", 1000)


async def test_every_cursor_goes_on_from_there(gateway: Gateway) -> None:
    """Exactly the rest; a caught-up reader is told goodbye."""
    job_id = await made(gateway)
    await gateway.over(job_id)
    for cursor in ("0-0", "0-3", "1-0", "1-1", "1-3", "1-5", "1-6"):
        async with connected(gateway, job_id, f"?last_event_id={cursor}") as connection:
            assert await rest(connection, job_id) == (await told(gateway, job_id, cursor), 1000)


async def test_many_readers_at_their_own_pace(teller: Teller) -> None:
    """Each a place in the one log: early, late and in the middle."""
    async with Gateway(**teller.settings) as gateway:
        teller.gate.clear()
        job_id = await made(gateway, model=MODEL, prompt=said(*"abcdefgh"))
        await gateway.published(job_id, 3)
        async with connected(gateway, job_id) as early, connected(gateway, job_id) as other:
            for _ in range(4):
                await following(early, job_id)
            teller.gate.set()
            everything = await told(gateway, job_id)
            assert await rest(other, job_id) == (everything, 1000)
            assert await rest(early, job_id) == (everything[4:], 1000)


# -- refusals -------------------------------------------------------------------------------------


async def test_refusals_come_before_the_upgrade(gateway: Gateway) -> None:
    """401 and 404 as everywhere; what is no handshake or no cursor: 400 and 409."""
    job_id = await made(gateway)
    await gateway.over(job_id)
    path = f"/ws/{job_id}"
    assert await refusal(gateway, path) == (401, "UNAUTHENTICATED")
    assert await refusal(gateway, path, **bearer("wrong")) == (401, "UNAUTHENTICATED")
    assert await refusal(gateway, path, **bearer(OTHER_CODE)) == (404, "REQUEST_NOT_FOUND")
    assert await refusal(gateway, "/ws/x", **bearer(CODE)) == (404, "REQUEST_NOT_FOUND")
    for change in ({"Upgrade": "h2c"}, {"Sec-WebSocket-Version": "1"}, {"Sec-WebSocket-Key": "x"}):
        got = await refusal(gateway, path, **bearer(CODE), **change)
        assert got == (400, "INVALID_REQUEST")
    for cursor, status in (("x", 400), ("1-99", 409)):
        got = await refusal(gateway, f"{path}?last_event_id={cursor}", **bearer(CODE))
        assert got[0] == status
    reply = await gateway.get(path, **bearer(CODE))
    assert (reply.status, reply.json()["error"]["field"]) == (400, "Upgrade")


async def test_a_stream_token_opens_its_own_job(gateway: Gateway) -> None:
    """In the query, as a browser must; another job's does not."""
    one, other = await made(gateway), await made(gateway)
    token = (await gateway.stream(one)).partition("?")[2]
    async with connected(gateway, one, f"?{token}") as connection:
        assert (await rest(connection, one))[1] == 1000
    assert await refusal(gateway, f"/ws/{other}?{token}") == (404, "REQUEST_NOT_FOUND")


@pytest.mark.parametrize(
    ("origin", "taken"),
    [
        (PAGE, True),
        ("https://shop.example.org", True),
        ("{own}", True),
        ("https://evil.example.org", False),
        ("null", False),
        ("", False),
        (f"{PAGE}.evil.org", False),
        ("http://app.example.org", False),
        ("http://localhost:3000", False),
    ],
)
async def test_only_listed_pages_connect(origin: str, taken: bool) -> None:
    """Browsers ask nobody before a WebSocket: the gateway looks at the page itself."""
    shop = apps(allowed_origins=["https://shop.example.org", PAGE])
    async with Gateway(ALLOWED_ORIGINS=PAGE, app_codes=shop) as gateway:
        code = OTHER_CODE if origin == "{own}" else CODE
        job_id = await made(gateway, app_code=code)
        headers = {**bearer(code), "Origin": origin.format(own=gateway.origin)}
        if taken:
            async with connected(gateway, job_id, **headers) as connection:
                assert (await rest(connection, job_id))[1] == 1000
        else:
            with pytest.raises(WSServerHandshakeError) as caught:
                async with connected(gateway, job_id, **headers):
                    pass
            assert caught.value.status == 403


async def test_local_pages_connect_in_development() -> None:
    """As they may call."""
    async with Gateway(DEV_MODE="true") as gateway:
        job_id = await made(gateway)
        async with connected(gateway, job_id, Origin="http://localhost:3000") as connection:
            assert (await rest(connection, job_id))[1] == 1000


async def test_connections_have_a_cap() -> None:
    """The streams' own, and a place that is left is free."""
    async with Gateway(MAX_STREAMS=1) as gateway:
        job_id = await made(gateway, model=SILENT)
        async with connected(gateway, job_id):
            got = await refusal(gateway, f"/ws/{job_id}", **bearer(CODE))
            assert got == (503, "UNAVAILABLE")
        await gateway.unread()
        async with connected(gateway, job_id) as connection:
            assert (await following(connection, job_id)).name == "stage"


# -- what a client says ---------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["app", "user"])
async def test_a_client_cancels(teller: Teller, who: str) -> None:
    """The provider's stream is closed, and the end is told as ever."""
    async with Gateway(**teller.settings) as gateway:
        teller.gate.clear()
        job_id = await made(gateway, model=MODEL, prompt=said("one", "two"), user_id="ann")
        await gateway.published(job_id, 3)
        headers = user("ann") if who == "user" else bearer(CODE)
        async with connected(gateway, job_id, **headers) as connection:
            await connection.send_str('{"type": "cancel"}')
            await connection.send_str('{"type": "cancel"}')
            got, code = await rest(connection, job_id)
            assert (got[-1].data["code"], code) == ("CANCELLED", 1000)
            await teller.left.wait()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("x", 1007),
        ("[]", 1007),
        ("", 1007),
        ('{"type": 1}', 1007),
        ("[" * 10_000, 1007),
        (b"{}", 1003),
        ("x" * (256 * 1024 + 1), 1009),
    ],
    ids=range(7),
)
async def test_what_is_no_message_ends_the_connection(
    gateway: Gateway, message: str | bytes, code: int
) -> None:
    """With the code that says why; the job goes on."""
    job_id = await made(gateway, model=STUCK)
    async with connected(gateway, job_id) as connection:
        await following(connection, job_id)
        if isinstance(message, str):
            await connection.send_str(message)
        else:
            await connection.send_bytes(message)
        assert (await rest(connection, job_id))[1] == code
    assert (await gateway.job(job_id)).state == "processing"


async def test_what_is_not_known_is_no_concern(gateway: Gateway) -> None:
    """Other types, other fields, pings and pongs: the events go on."""
    job_id = await made(gateway, model=STUCK)
    await gateway.published(job_id, 1)
    async with connected(gateway, job_id) as connection:
        for text in ("{}", '{"type": "hello"}', '{"x": 1}'):
            await connection.send_str(text)
        await connection.pong(b"x")
        await connection.ping(b"alive?")
        for _ in range(5):
            await following(connection, job_id)
        pong = await connection.receive()
        assert (pong.type, pong.data) == (WSMsgType.PONG, b"alive?")


async def test_a_stream_token_does_not_cancel(gateway: Gateway) -> None:
    """1008, and the job goes on."""
    job_id = await made(gateway, model=STUCK)
    token = (await gateway.stream(job_id)).partition("?")[2]
    async with connected(gateway, job_id, f"?{token}") as connection:
        await connection.send_str('{"type": "cancel"}')
        assert (await rest(connection, job_id))[1] == 1008
    assert not (await gateway.job(job_id)).state.final


# -- staying open ---------------------------------------------------------------------------------


async def test_silence_is_broken_by_a_ping() -> None:
    """Which clients answer by themselves."""
    async with Gateway(HEARTBEAT=0.02, patience=TICKING) as gateway:
        job_id = await made(gateway, model=SILENT)
        await gateway.published(job_id, 1)
        async with connected(gateway, job_id) as connection:
            for _ in range(3):
                await following(connection, job_id)
            for _ in range(3):
                assert (await connection.receive()).type is WSMsgType.PING


async def test_an_old_connection_is_told_to_come_back() -> None:
    """1001, without a terminal event; the reader goes on from its last id."""
    async with Gateway(STREAM_MAX_AGE=1, patience=Patience(tick_s=0.5)) as gateway:
        job_id = await made(gateway, model="simulator/echo?first=0&gap=0.6", prompt="a b c d e")
        await gateway.published(job_id, 1)
        async with connected(gateway, job_id) as connection:
            got, code = await rest(connection, job_id)
        assert code == 1001
        while code == 1001:
            async with connected(gateway, job_id, f"?last_event_id={got[-1].id}") as connection:
                more, code = await rest(connection, job_id)
            got += more
        assert got == await told(gateway, job_id)


async def test_a_stopping_gateway_says_goodbye(gateway: Gateway) -> None:
    """At once, with how each job ended."""
    async with Gateway() as other:
        job_id = await made(other, model=SILENT)
        async with connected(other, job_id) as connection:
            await following(connection, job_id)
            stopping = asyncio.create_task(other.core.stop())
            got, code = await rest(connection, job_id)
            await stopping
            # Without a store that lasts, the job ends with the process.
            assert (got[-1].data["code"], code) == ("INTERRUPTED", 1000)


async def test_a_client_that_leaves_leaves_nothing(gateway: Gateway) -> None:
    """With a goodbye or without: no reader, no task, and the job goes on."""
    job_id = await made(gateway, model=STUCK)
    for code in (1000, 1001, 4000):
        async with connected(gateway, job_id) as connection:
            await following(connection, job_id)
            await connection.close(code=code)
    url = f"{gateway.origin}/ws/{job_id}"
    rude = await gateway.session.ws_connect(url, headers=bearer(CODE))
    await rude.receive_str()
    assert rude._response.connection is not None
    assert rude._response.connection.transport is not None
    rude._response.connection.transport.close()
    await gateway.unread()
    assert not (await gateway.job(job_id)).state.final


async def test_a_reader_that_takes_nothing_is_cut() -> None:
    """The worker and the other readers do not wait for it."""
    patience = Patience(stall_s=2.0, tick_s=0.01)
    async with Gateway(patience=patience, HEARTBEAT=0) as gateway:
        text = "simulator/echo?first=0&gap=0"
        job_id = await made(gateway, model=text, prompt="x" * 900_000)
        await gateway.over(job_id)
        reader, writer = await wire.connect(gateway.origin, receive_buffer=4096)
        try:
            handshake = {
                **bearer(CODE),
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
            reader._transport.pause_reading()
            writer.write(wire.head("GET", gateway.origin, f"/ws/{job_id}", handshake))
            await gateway.read_by(1)
            await gateway.unread()
        finally:
            await wire.shut(writer)
        async with connected(gateway, job_id) as connection:
            assert (await rest(connection, job_id))[1] == 1000


async def test_nothing_is_compressed(gateway: Gateway) -> None:
    """A client that offers it is not taken at its word."""
    job_id = await made(gateway, model=QUICK)
    url = f"{gateway.origin}/ws/{job_id}"
    async with gateway.session.ws_connect(url, headers=bearer(CODE), compress=15) as connection:
        assert connection.compress == 0
        assert (await rest(connection, job_id))[1] == 1000
