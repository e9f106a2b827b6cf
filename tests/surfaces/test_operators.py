"""Who may use the doors for operators: routes, credentials, peers and pages, all in tables."""

from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import HttpVersion, HttpVersion10, HttpVersion11
from aiohttp.test_utils import make_mocked_request

from gateway.engine.core import Principal
from gateway.errors import Forbidden, GatewayError, Unauthenticated, UnsupportedMediaType
from gateway.surfaces.operators import check
from gateway.tenants import Tenant
from tests.surfaces.operating import JSON, OPS, OPS_CODE, operated
from tests.surfaces.running import CODE, JWT_SECRET, Gateway, bearer, user_token

pytestmark = pytest.mark.asyncio(loop_scope="module")

HERE = "http://127.0.0.1:5000"
ADMIN = Principal(tenant=Tenant(name="ops", code_digest="", admin=True))
# Whatever there is: a new route is in the tables by itself.
NAMES = [
    f"{route.method} {route.resource.canonical}"
    for route in Gateway().app.router.routes()
    if route.resource is not None
    and route.resource.canonical.startswith("/admin")
    and route.method != "OPTIONS"
]


def outcome(
    method: str,
    headers: Mapping[str, str],
    *,
    peer: Any = ("127.0.0.1", 50_000),
    principal: Principal | None = None,
    local: bool = True,
    version: HttpVersion = HttpVersion11,
    base_url: str = HERE,
) -> type[GatewayError] | None:
    """How such a request fares; None if it is let in."""
    transport = SimpleNamespace(
        get_extra_info=lambda name, default=None: peer if name == "peername" else default,
        is_closing=lambda: False,
    )
    request = make_mocked_request(
        method, "/admin/x", headers=dict(headers), version=version, transport=transport
    )
    try:
        check(request, principal, local=local, base_url=lambda: base_url)
    except GatewayError as error:
        return type(error)
    return None


PEERS: list[tuple[Any, bool]] = [
    (("127.0.0.1", 1), True),
    (("127.8.9.1", 1), True),
    (("::1", 1, 0, 0), True),
    (("::ffff:127.0.0.1", 1, 0, 0), True),
    (("10.0.0.1", 1), False),
    (("::ffff:10.0.0.1", 1, 0, 0), False),
    (("0.0.0.0", 1), False),
    (("localhost", 1), False),
    ("", False),
    (None, False),
]


@pytest.mark.parametrize(("peer", "may"), PEERS, ids=str)
async def test_only_this_machine_needs_no_credential(peer: Any, may: bool) -> None:
    """By the address of the peer, and nothing that a request says; switched off, nobody."""
    asked = {"Host": "127.0.0.1:5000"}
    assert outcome("GET", asked, peer=peer) is (None if may else Unauthenticated)
    assert outcome("GET", asked, peer=peer, local=False) is Unauthenticated
    assert outcome("GET", asked, peer=peer, principal=ADMIN) is None


HOSTS = {
    "127.0.0.1": True,
    "127.0.0.1:5000": True,
    "localhost": True,
    "LOCALHOST:80": True,
    "gateway.localhost:1": True,
    "[::1]:5000": True,
    "rebound.example:5000": False,
    "localhost.example": False,
    "127.0.0.1.example": False,
    "127.0.0.1@example.org": False,
    "10.0.0.1:5000": False,
    "": False,
    "[": False,
}


@pytest.mark.parametrize(("host", "may"), HOSTS.items())
async def test_a_foreign_name_that_leads_here_opens_nothing(host: str, may: bool) -> None:
    """A page may have its own name answer with 127.0.0.1: the Host header tells."""
    assert outcome("GET", {"Host": host}) is (None if may else Unauthenticated)


PROXIED = [
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Host": "localhost"},
    {"x-forwarded-proto": "http"},
    {"Forwarded": "for=127.0.0.1"},
    {"Via": "1.1 proxy"},
    {"X-Real-IP": "127.0.0.1"},
    {"CF-Connecting-IP": "127.0.0.1"},
]


@pytest.mark.parametrize("header", PROXIED, ids=lambda header: next(iter(header)))
async def test_what_was_passed_on_needs_a_credential(header: dict[str, str]) -> None:
    """A proxy on this machine is not who sits at it, whatever it says it was told."""
    assert outcome("GET", {"Host": "127.0.0.1", **header}) is Unauthenticated
    assert outcome("GET", {"Host": "127.0.0.1", **header}, principal=ADMIN) is None


async def test_a_proxy_that_says_nothing_speaks_the_old_version() -> None:
    """As nginx does unless it is told otherwise."""
    asked = {"Host": "127.0.0.1:5000"}
    assert outcome("GET", asked, version=HttpVersion10) is Unauthenticated


PAGES: list[tuple[dict[str, str], bool]] = [
    ({}, True),
    ({"Origin": HERE}, True),
    ({"Origin": HERE, "Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Origin": "http://127.0.0.1:3000"}, False),
    ({"Origin": "http://localhost:5000"}, False),
    ({"Origin": "https://evil.example"}, False),
    ({"Origin": "null"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
]


@pytest.mark.parametrize(("headers", "own"), PAGES, ids=str)
async def test_another_page_changes_nothing(headers: dict[str, str], own: bool) -> None:
    """Nor does it read what needs no credential; with one, reading is for CORS to judge."""
    asked = {"Host": "127.0.0.1:5000", **JSON, **headers}
    refused = None if own else Forbidden
    assert outcome("GET", asked) is refused
    assert outcome("POST", asked) is refused
    assert outcome("POST", asked, principal=ADMIN) is refused
    assert outcome("GET", asked, principal=ADMIN) is None


async def test_its_own_page_may_have_several_addresses() -> None:
    """The public one, and the one that was asked for."""
    asked = {"Host": "10.0.0.1:5000", **JSON}
    public = "https://ai.example"
    for origin, refused in (
        ("https://ai.example", None),
        ("http://10.0.0.1:5000", None),
        ("https://10.0.0.1:5000", None),
        ("https://ai.example.evil.example", Forbidden),
        ("http://10.0.0.1", Forbidden),
    ):
        headers = {**asked, "Origin": origin}
        assert outcome("POST", headers, principal=ADMIN, base_url=public) is refused, origin


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"]
)
async def test_what_a_form_can_send_changes_nothing(kind: str) -> None:
    """It would need nobody's leave."""
    asked = {"Host": "127.0.0.1:5000", **({"Content-Type": kind} if kind else {})}
    assert outcome("POST", asked) is UnsupportedMediaType
    assert outcome("DELETE", asked, principal=ADMIN) is UnsupportedMediaType
    assert outcome("GET", asked) is None


PRINCIPALS = {
    "another app": Principal(tenant=Tenant(name="shop", code_digest="")),
    "a user of it": Principal(tenant=ADMIN.tenant, user="ann", proven=True),
    "one of its streams": Principal(tenant=ADMIN.tenant, job_id="x"),
}


@pytest.mark.parametrize("principal", PRINCIPALS.values(), ids=PRINCIPALS)
async def test_another_credential_is_not_enough(principal: Principal) -> None:
    """Also from here: whoever brings one is held to it."""
    assert outcome("GET", {"Host": "127.0.0.1"}, principal=principal) is Forbidden


# Over the wire -----------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    async with operated() as running:
        yield running


async def status(gateway: Gateway, name: str, headers: Mapping[str, str]) -> int:
    """The status of an answer to a route; a stream's is not read to its end."""
    method, _, path = name.replace("{id}", "x").partition(" ")
    url = gateway.origin + path
    async with gateway.session.request(method, url, headers={**JSON, **headers}) as response:
        if response.status >= 400:
            assert set(await response.json()) == {"error"}
        if response.status == 401:
            assert response.headers["WWW-Authenticate"] == "Bearer"
        return response.status


async def test_there_are_routes() -> None:
    """The tables are not empty."""
    assert {"GET /admin/backup", "POST /admin/webhooks/{id}/replay"} <= set(NAMES)


WRONG: dict[str, tuple[dict[str, str], int]] = {
    "unknown code": (bearer("gw_nobody"), 401),
    "unknown code in its header": ({"X-App-Code": "gw_nobody"}, 401),
    "no scheme": ({"Authorization": OPS_CODE}, 401),
    "forged token": (bearer(user_token(secret="x" * 40, app="ops")), 401),
    "another app": (bearer(CODE), 403),
    "a user of another app": (bearer(user_token()), 403),
    "a user of the operators' app": (bearer(user_token(secret=JWT_SECRET, app="ops")), 403),
    "proxied": ({"X-Forwarded-For": "1.2.3.4"}, 401),
    "rebound": ({"Host": "rebound.example"}, 401),
    "another page": ({"Origin": "https://evil.example"}, 403),
}


@pytest.mark.parametrize("name", NAMES)
async def test_every_route_is_shut(gateway: Gateway, name: str) -> None:
    """To each of these, in the doors' own words; a token in the address is none."""
    told = {why: await status(gateway, name, headers) for why, (headers, _) in WRONG.items()}
    assert told == {why: expected for why, (_, expected) in WRONG.items()}
    proxied = {"X-Forwarded-For": "1.2.3.4"}
    assert await status(gateway, f"{name}?access_token={OPS_CODE}", proxied) == 401


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("headers", [OPS, {"X-App-Code": OPS_CODE}, {}], ids=["bearer", "code", ""])
async def test_every_route_is_open(gateway: Gateway, name: str, headers: dict[str, str]) -> None:
    """To the app of operators, from anywhere; and to who sits here."""
    far = {"X-Forwarded-For": "1.2.3.4", "Host": "gateway.example"} if headers else {}
    expected = 404 if "{id}" in name else 409 if "backup" in name else 200
    assert await status(gateway, name, {**headers, **far}) == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"LOCAL_ADMIN": "false"},
        {"TRUSTED_PROXIES": "127.0.0.1"},
        {"PUBLIC_URL": "https://ai.example.org"},
    ],
    ids=lambda settings: next(iter(settings)),
)
async def test_who_sits_here_may_need_a_credential(settings: dict[str, str]) -> None:
    """Where it is switched off, or a proxy is known of."""
    async with operated(**settings) as gateway:
        assert (await gateway.get("/admin/overview")).status == 401
        assert (await gateway.get("/admin/overview", **OPS)).status == 200


async def test_wrong_codes_are_counted(gateway: Gateway) -> None:
    """Who tries many is refused for a while, as at every door."""
    async with operated() as tried:
        for _ in range(1000):
            tried.core.limits.spend("1000/minute", "failure", "127.0.0.1")
        assert (await tried.get("/admin/overview", **bearer("gw_nobody"))).status == 429
        assert (await tried.get("/admin/overview", **OPS)).status == 200
