"""Which pages may use an app: its own list's or the gateway's list's, and the gateway's own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import WSServerHandshakeError
from aiohttp.test_utils import make_mocked_request

from gateway.surfaces.origin import Origins
from gateway.tenants import Tenant
from tests.surfaces.running import CODE, OTHER_CODE, Gateway, apps, bearer, user_token

# Settings never change here, so one gateway serves all.
pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_ALL = "https://app.example.org"
OF_THE_SHOP = "https://shop.example.org"
LOCAL = "http://localhost:3000"
OWN = "{own}"
STRANGERS = ["https://evil.example", "null", "", f"{OF_ALL}.evil.example", "http://127.0.0.1"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    """The shop lists a page; the bank lists none."""
    async with Gateway(
        app_codes=apps(allowed_origins=[OF_THE_SHOP]), ALLOWED_ORIGINS=OF_ALL
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at_home() -> AsyncIterator[Gateway]:
    """The same on its developer's machine."""
    async with Gateway(
        app_codes=apps(allowed_origins=[OF_THE_SHOP]), ALLOWED_ORIGINS=OF_ALL, DEV_MODE="true"
    ) as running:
        yield running


async def asked(gateway: Gateway, credential: str, origin: str) -> list[int | str | None]:
    """What a page hears as it makes a job and opens a WebSocket; and who may read the first."""
    asked = {**bearer(credential), "Origin": origin.replace(OWN, gateway.origin)}
    made = await gateway.post("/v1/responses", {"input": "hi", "background": True}, **asked)
    without = await gateway.post("/v1/ask", {"question": "hi"}, **bearer(credential))
    job_id = without.headers["X-Request-Id"]
    read = await gateway.get(f"/assistant/stream/{job_id}", **asked)
    assert read.status == made.status
    allowed = made.headers.get("Access-Control-Allow-Origin")
    assert read.headers.get("Access-Control-Allow-Origin") == allowed
    try:
        async with gateway.session.ws_connect(f"{gateway.origin}/ws/{job_id}", headers=asked):
            connected = 200
    except WSServerHandshakeError as refused:
        connected = refused.status
    await gateway.quiet()
    return [made.status, connected, allowed]


async def uses(gateway: Gateway, credential: str, origin: str) -> bool:
    """An app may be used from that page, in each way, or in none."""
    made, connected, _ = await asked(gateway, credential, origin)
    assert made == connected in (200, 403)
    return made == 200


@pytest.mark.parametrize(
    ("origin", "takes"),
    [
        (OF_ALL, {OTHER_CODE}),
        (OF_THE_SHOP, {CODE}),
        (OWN, {CODE, OTHER_CODE}),
    ],
)
async def test_an_app_is_used_from_its_pages(
    gateway: Gateway, origin: str, takes: set[str]
) -> None:
    """One app's list is no other's, and stands instead of the gateway's; users are bound alike."""
    for code, app in ((CODE, "shop"), (OTHER_CODE, "bank")):
        assert await uses(gateway, code, origin) is (code in takes)
        assert await uses(gateway, user_token(app=app), origin) is (code in takes)


@pytest.mark.parametrize("origin", [LOCAL, *STRANGERS])
async def test_a_page_that_no_list_knows_can_read_nothing(gateway: Gateway, origin: str) -> None:
    """An app with a list refuses it; else its browser does, which asks nobody about WebSockets."""
    assert await asked(gateway, CODE, origin) == [403, 403, None]
    assert await asked(gateway, OTHER_CODE, origin) == [200, 403, None]


@pytest.mark.parametrize(("code", "takes"), [(CODE, False), (OTHER_CODE, True)])
async def test_in_development_local_pages_use_an_app(
    at_home: Gateway, code: str, takes: bool
) -> None:
    """One without a list of its own: a list stays the list."""
    assert await uses(at_home, code, LOCAL) is takes


async def test_a_refused_page_is_told_why(gateway: Gateway) -> None:
    """In the door's shape; one that some app lists can read it, too."""
    body = {"app_code": OTHER_CODE, "request_type": "ask", "request": "hi"}
    reply = await gateway.post("/ai_request", body, Origin=OF_THE_SHOP)
    assert (reply.status, reply.json()) == (
        403,
        {
            "status": "error",
            "error_code": "FORBIDDEN",
            "message": "This app may not be used from this page.",
        },
    )
    assert reply.headers["Access-Control-Allow-Origin"] == OF_THE_SHOP


async def test_the_link_to_a_stream_is_for_its_apps_pages(gateway: Gateway) -> None:
    """What `EventSource` opens is of the app that made it."""
    made = await gateway.post("/assistant/request", {"prompt": "hi"}, **bearer(CODE))
    link = made.json()["stream_url"].removeprefix(gateway.origin)
    for origin, status in ((OF_THE_SHOP, 200), (OF_ALL, 403)):
        assert (await gateway.get(link, Origin=origin)).status == status


SHOP = Tenant(name="shop", code_digest="", allowed_origins=())
# An origin, the headers beside it, the public address of the gateway, and whether it is its own.
OWN_PAGES = [
    ("http://10.0.0.1:5000", {"Host": "10.0.0.1:5000"}, "http://10.0.0.1:5000", True),
    ("https://10.0.0.1:5000", {"Host": "10.0.0.1:5000"}, "http://10.0.0.1:5000", True),
    ("https://AI.example", {"Host": "10.0.0.1:5000"}, "https://ai.example/gateway", True),
    ("https://ai.example", {"Host": "upstream"}, "http://upstream", False),
    ("https://ai.example", {"Host": "ai.example:443"}, "http://ai.example:443", True),
    ("http://ai.example", {"Host": "ai.example:80"}, "http://ai.example:80", True),
    ("http://ai.example", {"Host": "ai.example:443"}, "http://ai.example:443", False),
    ("https://ai.example", {"Host": "upstream"}, "https://ai.example:443", True),
    ("null", {}, "http://10.0.0.1:5000", False),
    ("", {}, "http://10.0.0.1:5000", False),
    ("https://a", {"Host": "b", "Sec-Fetch-Site": "same-origin"}, "http://b", True),
    ("https://a", {"Host": "b", "Sec-Fetch-Site": "same-site"}, "http://b", False),
    ("https://a", {"Host": "b", "Sec-Fetch-Site": "none"}, "http://b", False),
]


@pytest.mark.parametrize(("origin", "headers", "public", "own"), OWN_PAGES, ids=str)
async def test_the_gateways_own_pages(
    origin: str, headers: dict[str, str], public: str, own: bool
) -> None:
    """By its address, whoever does TLS before it, by its public one, or by the browser's word."""
    request = make_mocked_request("GET", "/", headers={**headers, "Origin": origin})
    assert Origins().admit(request, SHOP, lambda: public) is own


async def test_a_listed_page_is_asked_for_no_host(gateway: Gateway) -> None:
    """Where the gateway is concerns only a page that no list has let in."""
    body = {"app_code": CODE, "request_type": "ask", "request": "hi"}
    for origin, status in ((OF_THE_SHOP, 200), ("https://evil.example", 400)):
        reply = await gateway.post("/ai_request", body, Origin=origin, Host="no_host, at all")
        assert reply.status == status
