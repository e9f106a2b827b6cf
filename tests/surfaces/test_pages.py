"""The gateway's own pages: served whole, once, and so that nothing foreign runs in them."""

import gzip
import re
from pathlib import Path

import pytest

from gateway.surfaces.pages import PAGES
from tests.surfaces.running import Gateway, Reply

# All tests ask the one gateway.
pytestmark = pytest.mark.asyncio(loop_scope="module")

STATIC = Path(__file__).parents[2] / "gateway" / "static"
CSP = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


async def plain(gateway: Gateway, path: str, **headers: str) -> Reply:
    return await gateway.get(path, **{"Accept-Encoding": "identity", **headers})


@pytest.mark.parametrize(("path", "file"), PAGES.items())
async def test_a_page_is_the_file_that_was_built(unmoved: Gateway, path: str, file: str) -> None:
    """Byte for byte, asked for anew each time, and closed to everything from elsewhere."""
    reply = await plain(unmoved, path)
    assert (reply.status, reply.body) == (200, (STATIC / file).read_bytes())
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-cache",
        "Content-Security-Policy": CSP,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding, Origin",
    }
    assert {name: reply.headers[name] for name in headers} == headers


@pytest.mark.parametrize("file", PAGES.values())
async def test_what_a_page_loads_is_there_and_stays(unmoved: Gateway, file: str) -> None:
    """By paths that work wherever a proxy puts the gateway, and with names for ever."""
    html = (STATIC / file).read_text("utf-8")
    assert re.search(r"<script(?![^>]* src=)|<style|\bon\w+=|javascript:|https?:", html) is None
    loaded = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert loaded
    for each in loaded:
        assert each.startswith("static/assets/")
        reply = await plain(unmoved, f"/{each}")
        assert (reply.status, reply.body) == (200, (STATIC.parent / each).read_bytes())
        assert reply.headers["Cache-Control"] == "public, max-age=31536000, immutable"


async def test_the_client_is_one_file(unmoved: Gateway) -> None:
    """For pages without a bundler. Its name stays, so it is asked for anew."""
    reply = await plain(unmoved, "/static/client.js")
    assert reply.body == (STATIC / "client.js").read_bytes()
    assert reply.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert reply.headers["Cache-Control"] == "no-cache"


async def test_who_has_a_file_is_told_so(unmoved: Gateway) -> None:
    """304 without a body; another version, or none, is sent."""
    tag = (await plain(unmoved, "/static/client.js")).headers["ETag"]
    for held in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
        reply = await plain(unmoved, "/static/client.js", **{"If-None-Match": held})
        assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", tag)
    for held in ('"other"', "", "nonsense", "W/" * 1000):
        reply = await plain(unmoved, "/static/client.js", **{"If-None-Match": held})
        assert reply.status == 200


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
async def test_a_file_is_packed_for_who_can_unpack_it(
    unmoved: Gateway, accepted: str, packed: bool
) -> None:
    """The same file either way."""
    answer = await unmoved.session.get(
        f"{unmoved.origin}/static/client.js",
        headers={"Accept-Encoding": accepted},
        auto_decompress=False,
    )
    async with answer:
        assert (answer.headers.get("Content-Encoding") == "gzip") is packed
        body = await answer.read()
    assert (gzip.decompress(body) if packed else body) == (STATIC / "client.js").read_bytes()


async def test_a_head_has_no_body(unmoved: Gateway) -> None:
    """But the length of one."""
    reply = await unmoved.ask("HEAD", "/", headers={"Accept-Encoding": "identity"})
    size = (STATIC / PAGES["/"]).stat().st_size
    assert (reply.status, reply.body, reply.headers["Content-Length"]) == (200, b"", str(size))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nothing",
        "assets",
        "assets/",
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "..%252fapp.py",
        "..%5capp.py",
        "assets/../../app.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "client.js/",
        "client.js%00",
        "CLIENT.JS",
        "client.js%0a",
        "a" * 5_000,
    ],
)
async def test_nothing_but_the_built_files_is_served(unmoved: Gateway, path: str) -> None:
    """Whatever the path looks like: only the names of files that are there lead to one."""
    reply = await unmoved.get(f"/static/{path}")
    assert reply.status == 404
    assert reply.json()["error_code"] == "NOT_FOUND"


async def test_a_file_cannot_be_changed(unmoved: Gateway) -> None:
    """405 for every method but two."""
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        reply = await unmoved.ask(method, "/static/client.js")
        assert reply.status == 405
        assert set(reply.headers["Allow"].split(",")) == {"GET", "HEAD", "OPTIONS"}
