"""`doctor`: one line for each thing that is right or wrong, and an exit code for scripts."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from tests.commands.typing_in import screen, to, typed
from tests.processes import PATH
from tests.surfaces.running import Gateway
from tests.surfaces.teller import Teller
from tests.until import until

# Where Debian keeps nginx: not every user's PATH has it.
_PROGRAMS = f"/usr/sbin:{PATH}"


async def found(*words: str, **environ: str) -> tuple[int | None, dict[str, list[dict[str, Any]]]]:
    """The exit code, and what was found by check."""
    printed = await typed("doctor", "--json", *words, **environ)
    by_check: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(printed.out):
        by_check.setdefault(each.pop("check"), []).append(each)
    return printed.code, by_check


@asynccontextmanager
async def gathering(target: str, **headers: str) -> AsyncIterator[str]:
    """A proxy that passes an answer on when it is whole, without Upgrade, as bad ones do."""

    async def whole(request: web.Request) -> web.Response:
        passed = {
            name: value
            for name, value in request.headers.items()
            if name in ("Authorization", "Content-Type")
        }
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, f"{target}{request.path}", data=await request.read(), headers=passed
            ) as response,
        ):
            kept = {name: response.headers[name] for name in ("Content-Type", "X-Request-Id")
                    if name in response.headers}  # fmt: skip
            return web.Response(
                body=await response.read(), status=response.status, headers={**kept, **headers}
            )

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", whole)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_where_all_is_well_the_code_is_0(tmp_path: Path) -> None:
    """A provider with its key, room, time, and words that come one by one."""
    (tmp_path / "conf").mkdir()
    async with Teller() as teller, Gateway() as gateway:
        environ = {
            **to(gateway.origin), "GATEWAY_CONF": str(tmp_path / "conf"),
            "DATA_DIR": str(tmp_path / "data"),
            **teller.settings,
        }  # fmt: skip
        code, by_check = await found(**environ)
        async with screen("doctor", NO_COLOR="1", **environ) as shown:
            assert await shown.ended() == 0
            await shown.shows("WebSockets open at ")
    assert code == 0
    oks = ("provider", "clock", "disk", "gateway", "streaming", "websocket")
    assert {each["level"] for check in oks for each in by_check[check]} == {"ok"}
    assert by_check["clock"][0]["text"] == "it agrees with 127.0.0.1's"
    assert {"level": "ok", "text": "together: connected", "advice": ""} in by_check["provider"]
    assert "\x1b[3" not in shown.seen
    assert "ok      provider      together: connected\r\n" in shown.seen


async def test_what_gathers_a_stream_is_found_by_its_public_address(tmp_path: Path) -> None:
    """The gateway itself streams well; what its callers use does not."""
    async with Gateway() as gateway, gathering(gateway.origin) as public:
        environ = {**to(gateway.origin), "GATEWAY_CONF": str(tmp_path), "PUBLIC_URL": public}
        code, by_check = await found(**environ)
    assert code == 1
    (streaming,) = by_check["streaming"]
    assert streaming["level"] == "error"
    assert streaming["text"].startswith(f"words from {public} come all at once")
    assert "proxy_buffering off" in streaming["advice"]
    assert by_check["websocket"][0]["level"] == "warning"


@asynccontextmanager
async def nginx(folder: Path, port: int, upstream: str, says: str) -> AsyncIterator[str]:
    """nginx before the gateway, with these words about how it passes things on."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    own = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; events {{}} http {{ {own} access_log off; server {{ "
        f"listen 127.0.0.1:{port}; location / {{ proxy_pass {upstream}; {says} }} }} }}"
    )
    program = await asyncio.create_subprocess_exec(
        "nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf",
        stderr=asyncio.subprocess.DEVNULL, env={"PATH": _PROGRAMS},
    )  # fmt: skip
    try:
        await until(lambda: (folder / "pid").exists() and _listens(port), every_s=0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        program.terminate()
        await program.wait()


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(shutil.which("nginx", path=_PROGRAMS) is None, reason="nginx is not installed")
@pytest.mark.parametrize(
    ("says", "level", "said"),
    [
        ("", "ok", "words come one by one"),
        ("proxy_ignore_headers X-Accel-Buffering;", "error", "words from"),
        (
            "gzip on; gzip_types text/event-stream; gzip_http_version 1.0; gzip_min_length 1;",
            "error",
            "what is streamed from",
        ),
    ],
)
async def test_what_nginx_does_to_a_stream_is_found(
    says: str, level: str, said: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    """As it is set up nowhere on purpose: it gathers, or compresses."""
    async with Gateway() as gateway, nginx(tmp_path, unused_tcp_port, gateway.origin, says) as url:
        environ = {**to(gateway.origin), "GATEWAY_CONF": str(tmp_path), "PUBLIC_URL": url}
        code, by_check = await found(**environ)
    (streaming,) = by_check["streaming"]
    assert (streaming["level"], streaming["text"].startswith(said)) == (level, True)
    if level == "error":
        assert code == 1


async def test_a_provider_that_refuses_its_key_is_found(tmp_path: Path) -> None:
    """One that is out of reach, too; no key is shown."""

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "no such key"}}, status=401)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with Gateway() as gateway:
            printed = await typed(
                "doctor", **to(gateway.origin), GATEWAY_CONF=str(tmp_path),
                OPENAI_API_KEY="sk-canary-canary", GROQ_API_KEY="gsk_canary",
                OPENAI_BASE_URL=f"http://127.0.0.1:{runner.addresses[0][1]}",
                GROQ_BASE_URL="http://127.0.0.1:1",
            )  # fmt: skip
    finally:
        await runner.cleanup()
    lines = printed.out.splitlines()
    assert printed.code == 1
    assert (
        "error   provider      openai: refused → It does not know the key: make a new one, and set "
        "OPENAI_API_KEY."
    ) in lines
    assert any(line.startswith("warning provider      groq: unreachable") for line in lines)
    assert "canary" not in printed.out + printed.err


async def test_a_wrong_configuration_hides_nothing_else(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    """Each problem is a line; the gateway is looked at all the same, and here is none."""
    environ = {"GATEWAY_CONF": str(tmp_path), "WORKERS": "0", "HEARTBEAT": "often"}
    code, by_check = await found("--url", f"http://127.0.0.1:{unused_tcp_port}", **environ)
    assert code == 1
    assert [each["level"] for each in by_check["configuration"]] == ["error", "error"]
    assert by_check["gateway"][0]["text"].startswith("No gateway answers at ")
    assert set(by_check) == {"configuration", "gateway"}


async def test_what_is_no_gateway_is_said_to_be_none(tmp_path: Path) -> None:
    """Whatever else listens there."""
    server = await asyncio.start_server(_page, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        _, by_check = await found("--url", url, GATEWAY_CONF=str(tmp_path))
    assert by_check["gateway"][0]["level"] == "error"
    assert "is no gateway" in by_check["gateway"][0]["text"]


async def _page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n<html")
    await writer.drain()
    writer.close()
