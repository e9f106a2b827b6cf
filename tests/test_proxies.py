"""The gateway behind nginx and Caddy, as the files in conf/ set them up."""

import asyncio
import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, ServerDisconnectedError, TCPConnector, ThreadedResolver, web
from aiohttp.abc import ResolveResult

from gateway.doors import Patience
from gateway.serving import KEEPALIVE_S
from tests.pages import blocks, served, shell
from tests.processes import PATH, ROOT, needs_curl, pasted
from tests.surfaces import event_source
from tests.surfaces.running import CODE, STUCK, Gateway, bearer
from tests.surfaces.teller import MODEL, Teller, told

TICKING = Patience(tick_s=0.01)
NAME = "ai.example.org"
PROXIES = ("nginx", "caddy")
PAGE = (ROOT / "docs/how-to/nginx.md").read_text("utf-8")
# Where Debian keeps them: not every user's PATH has the first.
_PROGRAMS = f"/usr/sbin:{PATH}"

pytestmark = pytest.mark.skipif(
    any(shutil.which(name, path=_PROGRAMS) is None for name in (*PROXIES, "openssl")),
    reason="nginx, caddy or openssl is not installed",
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a certificate for the name in the files, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN={NAME} -days 2"
    subprocess.run(
        [*command.split(), "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
         "-addext", f"subjectAltName=DNS:{NAME}"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def _nginx(folder: Path, port: int, upstream: str, silence: str, idle: str) -> list[str]:
    text = (ROOT / "conf/nginx.conf").read_text("utf-8")
    for old, new in (
        ("443", f"127.0.0.1:{port}"),
        ("127.0.0.1:5000", upstream),
        ("20m", silence),
        ("20s", idle),
        (f"/etc/letsencrypt/live/{NAME}/fullchain.pem", f"{folder}/cert.pem"),
        (f"/etc/letsencrypt/live/{NAME}/privkey.pem", f"{folder}/key.pem"),
        ("/var/log/nginx/gateway.log", f"{folder}/access.log"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "gateway.conf").write_text(text, "utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    own = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\n{own}include {folder}/gateway.conf;\n}}\n"
    )
    return ["nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]


def _caddy(folder: Path, port: int, upstream: str, silence: str, idle: str) -> list[str]:
    text = (ROOT / "conf/Caddyfile").read_text("utf-8")
    site = f"https://{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {folder}/cert.pem {folder}/key.pem"
    text = text.replace(f"{NAME} {{", site).replace("127.0.0.1:5000", upstream)
    assert "keepalive 20s" in text
    text = text.replace("20s", idle)
    own = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
    (folder / "Caddyfile").write_text(own + text, "utf-8")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"]


@asynccontextmanager
async def before(
    name: str, upstream: str, folder: Path, port: int, silence: str = "20m", idle: str = "20s"
) -> AsyncIterator[str]:
    """A proxy of that name before the server at `upstream`; its own origin.

    Args:
        silence: after which it gives up what it waits for, where it does at all.
        idle: for which it keeps a connection to the server that it does not need.
    """
    make = _nginx if name == "nginx" else _caddy
    program = await asyncio.create_subprocess_exec(
        *make(folder, port, upstream.removeprefix("http://"), silence, idle),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": _PROGRAMS, "HOME": str(folder)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    assert program.returncode is None
                    # It has no word for being ready but a port that takes connections.
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    break
        yield f"https://{NAME}:{port}"
    finally:
        program.terminate()
        await program.wait()


class _Here(ThreadedResolver):
    """Every name is this machine's."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return await super().resolve("127.0.0.1", port, family)


@pytest.fixture
async def caller(certificate: Path) -> AsyncIterator[ClientSession]:
    """A client that finds the name on this machine, and trusts the certificate."""
    trusted = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    connector = TCPConnector(ssl=trusted, resolver=_Here())
    async with ClientSession(connector=connector) as session:
        yield session


@pytest.mark.parametrize("name", PROXIES)
async def test_chunks_arrive_one_by_one(
    name: str, certificate: Path, caller: ClientSession, unused_tcp_port: int
) -> None:
    """The first word is read, as an event and as a message, while the provider keeps the second."""
    async with (
        Teller() as teller,
        Gateway(**teller.settings) as gateway,
        before(name, gateway.origin, certificate, unused_tcp_port) as origin,
    ):
        teller.gate.clear()
        job_id = await gateway.queue(MODEL, told("one", "two"))
        async with (
            caller.get(f"{origin}/stream/{job_id}", headers=bearer(CODE)) as response,
            caller.ws_connect(f"{origin}/ws/{job_id}", headers=bearer(CODE)) as messages,
        ):
            await response.content.readuntil(b"data: one\n\n")
            async for message in messages:
                if json.loads(message.data)["event"] == "response_chunk":
                    break
            teller.gate.set()
            rest = [event async for event in event_source.events(response)]
            assert [event.data for event in rest] == [b"two", b"[DONE]"]
            events = [json.loads(message.data)["event"] async for message in messages]
            assert events[-1] == "complete"
            assert messages.close_code == 1000


@pytest.mark.parametrize("name", PROXIES)
async def test_heartbeats_keep_a_silent_stream(
    name: str, certificate: Path, caller: ClientSession, unused_tcp_port: int
) -> None:
    """A proxy that waits two seconds for a byte has the stream after that, and after more."""
    async with (
        Gateway(HEARTBEAT=0.2, patience=TICKING) as gateway,
        before(name, gateway.origin, certificate, unused_tcp_port, "2s") as origin,
    ):
        job_id = await gateway.queue(STUCK)
        async with caller.get(f"{origin}/stream/{job_id}", headers=bearer(CODE)) as response:
            await response.content.readuntil(b"data: one\n\n")
            assert await response.content.readexactly(30) == b":\n" * 15
            await gateway.core.cancel(await gateway.job(job_id))
            (ended,) = [event async for event in event_source.events(response)]
            assert json.loads(ended.data)["code"] == "CANCELLED"


@pytest.mark.parametrize("name", PROXIES)
async def test_a_restart_ends_no_reading(
    name: str,
    certificate: Path,
    caller: ClientSession,
    unused_tcp_port_factory: Callable[[], int],
) -> None:
    """An EventSource that comes while no gateway listens sees no 502, at which it would give up:
    it waits, or its connection is closed and it comes back. Other callers may see one.
    """
    port, front = unused_tcp_port_factory(), unused_tcp_port_factory()
    app = web.Application()
    app.router.add_get("/stream", _answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    async with (
        before(name, f"http://127.0.0.1:{port}", certificate, front) as origin,
        asyncio.TaskGroup() as group,
    ):
        reading = group.create_task(_read(caller, f"{origin}/stream"))
        if name == "nginx":
            # It comes back as EventSource would, and is not answered until there is a gateway.
            assert await reading is None
            async with caller.get(f"{origin}/stream") as response:
                assert response.status == 502
        await web.TCPSite(runner, "127.0.0.1", port).start()
        assert await (reading if name == "caddy" else _read(caller, f"{origin}/stream")) == 200
    await runner.cleanup()


async def _answer(_: web.Request) -> web.Response:
    return web.Response(body=b"data: there\n\n", content_type="text/event-stream")


async def _read(caller: ClientSession, url: str) -> int | None:
    """The status of a stream; None where the connection is closed instead."""
    try:
        async with caller.get(url, headers={"Accept": "text/event-stream"}) as response:
            return response.status
    except ServerDisconnectedError:
        return None


@pytest.mark.parametrize("name", PROXIES)
async def test_the_proxy_closes_idle_connections_first(
    name: str, certificate: Path, caller: ClientSession, unused_tcp_port: int
) -> None:
    """Before the gateway would: a POST that met one which is being closed would be a 502."""
    file = ROOT / "conf" / {"nginx": "nginx.conf", "caddy": "Caddyfile"}[name]
    (kept_s,) = re.findall(r"keepalive(?:_timeout)? (\d+)s", file.read_text("utf-8"))
    assert int(kept_s) < KEEPALIVE_S
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert await reader.read() == b""
        closed.set()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with (
            before(name, upstream, certificate, unused_tcp_port, idle="100ms") as origin,
            caller.get(origin) as response,
        ):
            assert response.status == 200
            async with asyncio.timeout(30):
                await closed.wait()


@needs_curl
@pytest.mark.parametrize("name", PROXIES)
async def test_who_leaves_is_missed(name: str, certificate: Path, unused_tcp_port: int) -> None:
    """The job of an answer that nobody reads any more is cancelled, streamed or not."""
    async with (
        Gateway(DISCONNECT_GRACE=0) as gateway,
        before(name, gateway.origin, certificate, unused_tcp_port) as origin,
    ):
        for stream in (True, False):
            asked = {"model": STUCK, "messages": [{"role": "user", "content": "x"}]}
            body = {**asked, "stream": stream}
            async with _curl(f"{origin}/v1/chat/completions", body, certificate) as asking:
                async with asyncio.timeout(30):
                    while not gateway.core.readers:
                        assert asking.returncode is None
                        # It comes through another program, which tells nobody.
                        await asyncio.wait({asyncio.ensure_future(gateway.get("/health"))})
                (job_id,) = gateway.core._jobs
            await gateway.unread()
            await gateway.quiet()
            assert (await gateway.job(job_id)).state == "cancelled"


@pytest.mark.parametrize("name", PROXIES)
async def test_the_gateway_learns_who_calls_and_by_which_name(
    name: str, certificate: Path, caller: ClientSession, unused_tcp_port: int
) -> None:
    """Whatever the caller claims; so links begin as the page's own address does."""
    claimed = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http"}
    claimed["X-Forwarded-Host"] = "evil.test"
    async with (
        _mirror() as mirror,
        before(name, mirror, certificate, unused_tcp_port) as origin,
        caller.get(f"{origin}/", headers=claimed) as response,
    ):
        seen = await response.json()
    assert {key: seen[key] for key in claimed} == {
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": f"{NAME}:{unused_tcp_port}",
    }
    async with (
        Gateway(TRUSTED_PROXIES="127.0.0.1") as gateway,
        before(name, gateway.origin, certificate, unused_tcp_port) as origin,
    ):
        body = {"app_code": CODE, "prompt": "x", "resumeUrl": "https://n8n.example.org/1"}
        async with caller.post(f"{origin}/init-stream", json=body, headers=claimed) as response:
            link = (await response.json())["streamUrl"]
        assert link.startswith(f"{origin}/stream/")
        async with caller.get(link) as response:
            assert (await response.read()).endswith(b"data: [DONE]\n\n")
        await gateway.quiet()
    if name == "nginx":
        assert "access_token" not in (certificate / "access.log").read_text()


@needs_curl
async def test_the_pages_lines_work(tmp_path: Path, unused_tcp_port: int) -> None:
    """The files are where they are installed from, Caddy takes its own, and the words come."""
    *installing, watching = blocks(PAGE, "bash")
    (tmp_path / "etc/nginx/conf.d").mkdir(parents=True)
    (tmp_path / "etc/caddy").mkdir()
    lines = "".join(installing).replace("/etc/", f"{tmp_path}/etc/").replace("sudo ", "")
    kept = [each for each in lines.splitlines() if re.match("install|caddy", each)]
    assert len(kept) == 3
    await pasted(f"set -e; export HOME={tmp_path}\n" + "\n".join(kept))
    async with served(tmp_path, unused_tcp_port) as environ:
        printed = await shell(f"```bash\n{watching}```", environ, unused_tcp_port)
    assert printed.count("data: ") > 5


@asynccontextmanager
async def _curl(
    url: str, body: object, certificate: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that asks and waits, and is gone at the end of the block.

    aiohttp's client lets a TLS connection linger after its good-bye, as no browser does.
    """
    port = url.split(":")[2].partition("/")[0]
    program = await asyncio.create_subprocess_exec(
        "curl", "-sSN", url, "--cacert", str(certificate / "cert.pem"),
        "--resolve", f"{NAME}:{port}:127.0.0.1", "--json", json.dumps(body),
        "-H", f"Authorization: Bearer {CODE}", stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield program
    finally:
        if program.returncode is None:
            program.kill()
        await program.wait()


@asynccontextmanager
async def _mirror() -> AsyncIterator[str]:
    """A server that answers with the headers it was asked with."""
    site = web.Application()

    async def show(request: web.Request) -> web.Response:
        return web.json_response(dict(request.headers))

    site.router.add_get("/", show)
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
