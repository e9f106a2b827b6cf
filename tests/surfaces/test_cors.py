"""Which pages may call: an exact list, told on every answer, whatever it is."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.surfaces.cors import EXPOSED
from tests.surfaces.running import CODE, QUICK, Gateway, Reply, apps, bearer

# Settings never change here, so one gateway serves all.
pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTED = "https://app.example.org"
OF_THE_APP = "https://shop.example.org:8443"
LOCAL = ["http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:1", "https://a.localhost"]
STRANGERS = [
    "https://evil.example",
    "null",
    "",
    "*",
    "https://app.example.org.evil.example",
    "https://app.example.org:443",
    "https://app.example.org/",
    "http://app.example.org",
    "https://APP.example.org",
    "https://xapp.example.org",
    "https://app.example.org, https://evil.example",
    "file://",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
]
ROUTES = {
    "/ai_request": "POST",
    "/ai_request/batch": "POST",
    "/get_request/x": "GET",
    "/cancel_request/x": "POST",
    "/init-stream": "POST",
    "/stream/x": "GET",
    "/health": "GET",
    "/health/live": "GET",
    "/health/ready": "GET",
}
ASKED = "authorization, content-type, x-app-code, last-event-id, idempotency-key"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    """One page is listed for all, one for an app."""
    async with Gateway(
        app_codes=apps(allowed_origins=[OF_THE_APP, LISTED]), ALLOWED_ORIGINS=LISTED
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at_home() -> AsyncIterator[Gateway]:
    """A gateway on its developer's machine."""
    async with Gateway(DEV_MODE="true", ALLOWED_ORIGINS=LISTED) as running:
        yield running


async def preflight(
    gateway: Gateway, path: str, method: str, origin: str, headers: str = ASKED
) -> Reply:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    return await gateway.ask("OPTIONS", path, headers=asked)


def allowed(reply: Reply) -> dict[str, Any]:
    """What an answer allows a page."""
    return {
        name.removeprefix("access-control-"): value
        for name, value in ((name.lower(), value) for name, value in reply.headers.items())
        if name.startswith("access-control-")
    }


@pytest.mark.parametrize("origin", [LISTED, OF_THE_APP])
@pytest.mark.parametrize(("path", "method"), ROUTES.items())
async def test_a_listed_page_may_call(
    gateway: Gateway, path: str, method: str, origin: str
) -> None:
    """Its preflight names it, the method, every header it asked for, and credentials."""
    reply = await preflight(gateway, path, method, origin)
    got = allowed(reply)
    assert reply.status == 200
    assert {each.lower() for each in got.pop("allow-headers").split(",")} == set(ASKED.split(", "))
    assert got == {
        "allow-origin": origin,
        "allow-methods": method,
        "allow-credentials": "true",
        "max-age": "600",
    }
    assert reply.headers.getall("Vary") == ["Origin"]


async def test_every_method_of_every_path_may_be_called(gateway: Gateway) -> None:
    """What the API's document lists, a listed page may ask for."""
    document = (await gateway.ask("GET", "/openapi.json")).json()
    refused = [
        f"{method} {path}"
        for path, methods in document["paths"].items()
        for method in map(str.upper, methods)
        if (await preflight(gateway, path.replace("{id}", "x"), method, LISTED)).status != 200
    ]
    assert refused == []


@pytest.mark.parametrize("headers", [{}, {"Origin": LISTED}, {"Origin": STRANGERS[0]}])
async def test_who_asks_for_no_method_is_told_all(
    gateway: Gateway, headers: dict[str, str]
) -> None:
    """It is no preflight; pages learn nothing more by it."""
    for path, method in ROUTES.items():
        reply = await gateway.ask("OPTIONS", path, headers=headers)
        methods = {"POST": "OPTIONS,POST", "GET": "GET,OPTIONS"}[method]
        if path.startswith("/health"):
            methods = "GET,HEAD,OPTIONS"
        assert (reply.status, reply.headers["Allow"], reply.body) == (204, methods, b"")


@pytest.mark.parametrize("origin", [*STRANGERS, *LOCAL])
async def test_a_stranger_may_not(gateway: Gateway, origin: str) -> None:
    """No preflight passes and no answer names it, at any route; nothing is reflected."""
    for path, method in ROUTES.items():
        asked = await preflight(gateway, path, method, origin)
        assert (asked.status, allowed(asked)) == (403, {})
        answered = await gateway.ask(method, path, headers={**bearer(CODE), "Origin": origin})
        assert allowed(answered) == {}
        for reply in (asked, answered):
            assert reply.headers.getall("Vary") == ["Origin"]
            assert origin in ("", "*", "null") or origin.encode() not in reply.body


MANY: dict[str, tuple[str, str, dict[str, str], int]] = {
    "success": ("GET", "/health", {}, 200),
    "unauthenticated": ("GET", "/stream/x", {}, 401),
    "unknown id": ("GET", "/stream/x", bearer(CODE), 404),
    "unknown path": ("GET", "/nothing", {}, 404),
    "wrong method": ("DELETE", "/ai_request", {}, 405),
    "no JSON": ("POST", "/ai_request", {"Content-Type": "text/plain"}, 415),
    "bad body": ("POST", "/init-stream", {"Content-Type": "application/json"}, 400),
}


@pytest.mark.parametrize(("method", "path", "headers", "status"), MANY.values(), ids=MANY)
async def test_every_answer_can_be_read_by_a_listed_page(
    gateway: Gateway, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """Errors too: a page that cannot read one can tell nobody what is wrong."""
    reply = await gateway.ask(method, path, headers={**headers, "Origin": LISTED})
    assert reply.status == status
    got = allowed(reply)
    assert set(got.pop("expose-headers").split(",")) == set(EXPOSED)
    assert got == {"allow-origin": LISTED, "allow-credentials": "true"}
    assert reply.headers.getall("Vary") == ["Origin"]
    plain = await gateway.ask(method, path, headers=headers)
    assert (allowed(plain), plain.headers.getall("Vary")) == ({}, ["Origin"])


async def test_a_stream_can_be_read_by_a_listed_page(gateway: Gateway) -> None:
    """With credentials, as `EventSource` asks; finished and unfinished."""
    job_id = await gateway.queue(QUICK)
    await gateway.over(job_id)
    for cursor, status in (("0-0", 200), ("1-6", 204), ("1-9", 409)):
        headers = {**bearer(CODE), "Origin": LISTED, "Last-Event-ID": cursor}
        reply = await gateway.get(f"/stream/{job_id}", **headers)
        assert reply.status == status
        assert reply.headers["Access-Control-Allow-Origin"] == LISTED
        assert reply.headers.getall("Vary") == ["Origin"]


@pytest.mark.parametrize("method", ["DELETE", "PUT", "X", ""])
async def test_a_preflight_for_a_method_that_is_not_there(gateway: Gateway, method: str) -> None:
    """Is refused in the door's shape."""
    reply = await preflight(gateway, "/ai_request", method, LISTED)
    assert (reply.status, reply.json()["error_code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize("origin", [*LOCAL, LISTED])
@pytest.mark.parametrize(("path", "method"), ROUTES.items())
async def test_in_development_local_pages_may_call(
    at_home: Gateway, path: str, method: str, origin: str
) -> None:
    """Whatever their port, preflight and answer."""
    asked = await preflight(at_home, path, method, origin)
    answered = await at_home.ask(method, path, headers={"Origin": origin})
    assert asked.status == 200
    assert allowed(asked)["allow-methods"] == method
    for reply in (asked, answered):
        assert allowed(reply)["allow-origin"] == origin
        assert allowed(reply)["allow-credentials"] == "true"


@pytest.mark.parametrize("origin", STRANGERS)
async def test_in_development_strangers_may_not(at_home: Gateway, origin: str) -> None:
    """Nor a name that only begins like a local one."""
    asked = await preflight(at_home, "/init-stream", "POST", origin)
    answered = await at_home.get("/health", Origin=origin)
    assert (asked.status, allowed(asked), allowed(answered)) == (403, {}, {})


async def test_in_development_a_local_page_asks_for_a_method_that_is_not_there(
    at_home: Gateway,
) -> None:
    """Refused as anybody's."""
    assert (await preflight(at_home, "/stream/x", "POST", LOCAL[0])).status == 403
