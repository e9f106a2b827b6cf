"""One POST over a real socket: what is sent, what is refused, and how much is read."""

import asyncio
import errno
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.destinations import Destination
from gateway.engine.dialer import HttpDialer, NotPublic, guarded_socket
from gateway.webhooks import Answer, Silence

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Resolver(AbstractResolver):
    """Leads any name to each address in turn, then to the last; with none it knows no name."""

    def __init__(self, *turns: str) -> None:
        self.asked = 0
        self._turns = turns

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if not self._turns:
            raise OSError(None, "no such name")
        address = self._turns[min(self.asked, len(self._turns) - 1)]
        self.asked += 1
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


class Seen:
    """The requests that a server met."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[web.BaseRequest] = []
        self.port = 0
        self._handler = handler

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        return await self._handler(request)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Seen]:
    seen = Seen(handler)
    runner = web.ServerRunner(web.Server(seen, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    seen.port = runner.addresses[0][1]
    try:
        yield seen
    finally:
        await runner.cleanup()


@asynccontextmanager
async def dialing(
    resolver: AbstractResolver | None = None, timeout_s: float = 10.0
) -> AsyncIterator[HttpDialer]:
    dialer = HttpDialer("1.2.3", resolver=resolver, timeout_s=timeout_s)
    await dialer.start()
    try:
        yield dialer
    finally:
        await dialer.stop()


def to(url: str, *, trusted: bool = True) -> Destination:
    return Destination(url, "http://somewhere", trusted)


async def ok(_: web.BaseRequest) -> web.StreamResponse:
    return web.json_response({"message": "Workflow was started"})


async def test_a_post_arrives_as_it_was_meant() -> None:
    """The target byte for byte, the body, and a name that n8n does not take for a bot."""
    target = "/a%2Fb/../c//x?signature=ab%2bcd&x=a+b;c=~%7E"
    bodies = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        bodies.append(await request.read())
        return await ok(request)

    async with serving(handler) as server, dialing() as dialer:
        url = f"http://127.0.0.1:{server.port}{target}"
        got = await dialer.post(to(url), {"webhook-id": "msg_1"}, b'{"a":1}')
    (request,) = server.requests
    assert got == Answer(
        status=200, content_type="application/json", body=b'{"message": "Workflow was started"}'
    )
    assert bodies == [b'{"a":1}']
    assert request.raw_path == target
    assert {name: request.headers[name] for name in ("webhook-id", "Content-Type")} == {
        "webhook-id": "msg_1",
        "Content-Type": "application/json",
    }
    assert request.headers["User-Agent"] == ("Mozilla/5.0 (compatible; ai-streaming-gateway/1.2.3)")


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", Silence.NOT_PUBLIC),
        ("localhost", Silence.NOT_PUBLIC),
        ("[::1]", Silence.NOT_PUBLIC),
        ("[::ffff:127.0.0.1]", Silence.NOT_PUBLIC),
        # The client itself takes these for no host at all.
        ("2130706433", Silence.UNREACHABLE),
        ("0", Silence.UNREACHABLE),
        ("127.1", Silence.UNREACHABLE),
    ],
)
async def test_a_stranger_s_url_never_reaches_this_machine(host: str, why: Silence) -> None:
    """A literal address asks no resolver, and is refused where the socket would be made."""
    async with serving(ok) as server, dialing() as dialer:
        url = f"http://{host}:{server.port}/x"
        got = await dialer.post(to(url, trusted=False), {}, b"{}")
    assert got is why
    assert server.requests == []


async def test_a_name_that_changes_its_mind_is_asked_again_and_refused() -> None:
    """Rebinding: no answer of the name service is kept, and each address is judged anew."""
    resolver = Resolver("10.0.0.1", "127.0.0.1")
    async with serving(ok) as server, dialing(resolver) as dialer:
        destination = to(f"http://rebind.example:{server.port}/x", trusted=False)
        got = [await dialer.post(destination, {}, b"{}") for _ in range(3)]
    assert got == [Silence.NOT_PUBLIC] * 3
    assert resolver.asked == 3
    assert server.requests == []


async def test_trust_in_one_post_does_not_leak_into_another() -> None:
    """Under concurrency too, each POST is judged by its own destination."""
    async with serving(ok) as server, dialing(Resolver("127.0.0.1")) as dialer:
        url = f"http://n8n.example:{server.port}/x"
        answers = await asyncio.gather(
            *(dialer.post(to(url, trusted=turn % 2 == 0), {}, b"{}") for turn in range(40))
        )
    assert [answer is Silence.NOT_PUBLIC for answer in answers] == [False, True] * 20
    assert len(server.requests) == 20


def test_a_public_address_gets_a_socket() -> None:
    """The guard refuses only what is not public."""
    address = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("1.1.1.1", 443))
    with guarded_socket(address) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)


def test_a_socket_that_is_no_internet_address_is_refused() -> None:
    """A path of the file system is nobody's receiver."""
    address = (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", ("/run/x.sock", 0))
    with pytest.raises(NotPublic) as refusal:
        guarded_socket(address)
    assert refusal.value.errno == errno.EACCES


async def test_a_redirect_is_not_followed() -> None:
    """Its status is the answer."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{request.url.port}/inside")

    async with serving(handler) as server, dialing() as dialer:
        got = await dialer.post(to(f"http://127.0.0.1:{server.port}/x"), {}, b"{}")
    assert isinstance(got, Answer)
    assert got.status == 307
    assert [request.path for request in server.requests] == ["/x"]


async def test_no_more_than_20_kb_of_an_answer_are_read() -> None:
    """A receiver that never stops talking is hung up on."""
    hung_up = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
                await asyncio.sleep(0)
        except ConnectionError:
            hung_up.set()
            return response

    async with serving(handler) as server, dialing() as dialer:
        got = await dialer.post(to(f"http://127.0.0.1:{server.port}/x"), {}, b"{}")
        async with asyncio.timeout(10):
            await hung_up.wait()
    assert got == Answer(status=200, content_type="application/octet-stream", body=b"x" * 20_000)


async def test_a_compressed_answer_is_not_unpacked() -> None:
    """A bomb stays as small as it was sent."""
    bomb = gzip.compress(b"\0" * 5_000_000)

    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with serving(handler) as server, dialing() as dialer:
        got = await dialer.post(to(f"http://127.0.0.1:{server.port}/x"), {}, b"{}")
    assert isinstance(got, Answer)
    assert got.body == bomb[:20_000]


async def test_a_late_body_does_not_take_a_status_back() -> None:
    """A 2xx was read: nothing may be sent after it."""
    done = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"mess')
        await done.wait()
        return response

    async with serving(handler) as server, dialing(timeout_s=1.0) as dialer:
        got = await dialer.post(to(f"http://127.0.0.1:{server.port}/x"), {}, b"{}")
        done.set()
    assert got == Answer(status=200, content_type="application/json", body=b'{"mess')


async def test_no_answer_in_time_is_a_time_out() -> None:
    """Whether the POST did its work is unknown."""
    done = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        await done.wait()
        return await ok(request)

    async with serving(handler) as server, dialing(timeout_s=1.0) as dialer:
        got = await dialer.post(to(f"http://127.0.0.1:{server.port}/x"), {}, b"{}")
        done.set()
    assert got is Silence.TIMED_OUT


async def test_a_connection_that_breaks_is_told_from_one_that_never_was() -> None:
    """The first may have arrived, the second cannot have."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return await ok(request)

    async with serving(handler) as server, dialing() as dialer:
        url = f"http://127.0.0.1:{server.port}/x"
        broken = await dialer.post(to(url), {}, b"{}")
        unencrypted = await dialer.post(to(url.replace("http:", "https:")), {}, b"{}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with dialing() as dialer:
        refused = await dialer.post(to(f"http://127.0.0.1:{port}/x"), {}, b"{}")
    async with dialing(Resolver()) as dialer:
        unknown = await dialer.post(to(f"http://n8n.example:{port}/x"), {}, b"{}")
    assert [broken, unencrypted, refused, unknown] == [Silence.CUT, *[Silence.UNREACHABLE] * 3]


async def test_nothing_is_carried_from_one_post_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No cookie, no kept connection, and no proxy from the environment."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    peers = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        peers.append(request.transport.get_extra_info("peername"))
        response = web.Response()
        response.set_cookie("session", "1")
        return response

    async with serving(handler) as server, dialing() as dialer:
        url = f"http://127.0.0.1:{server.port}/x"
        for _ in range(2):
            await dialer.post(to(url), {}, b"{}")
    assert ["Cookie" in request.headers for request in server.requests] == [False, False]
    assert len(set(peers)) == 2


async def test_a_dialer_stops_unstarted_and_twice() -> None:
    """Stopping is never an error."""
    dialer = HttpDialer("1.2.3")
    await dialer.stop()
    await dialer.start()
    await dialer.stop()
    await dialer.stop()
