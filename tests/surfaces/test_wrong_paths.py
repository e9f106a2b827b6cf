"""Ids, methods and requests of every wrong kind: refused in the door's words."""

import asyncio

import pytest

from tests.e2e import wire
from tests.surfaces.running import CODE, Gateway, bearer, raw

# All tests ask the one gateway, which no wrong request may move.
pytestmark = pytest.mark.asyncio(loop_scope="module")

ODD_IDS = [
    "",
    "x",
    "..%2fhealth",
    "a/b",
    "1",
    "%00",
    "%0d%0aX-Evil:%201",
    "%F0%9F%99%82",
    "%ff%fe",
    "a" * 7_000,
    "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11",
    "20261120T224400Z-0b9f6c1e-8f0e-1d55-9c3b-2a7a3a1f0d11",
    "20261120T224400Z-0B9F6C1E-8F0E-4D55-9C3B-2A7A3A1F0D11",
    "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11%0a",
    "２0261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11",
    "*",
    "' OR 1=1",
]


@pytest.mark.parametrize("path", ["GET /get_request/", "POST /cancel_request/", "GET /stream/"])
@pytest.mark.parametrize("job_id", ODD_IDS, ids=range(len(ODD_IDS)))
async def test_an_id_of_any_shape_is_unknown(unmoved: Gateway, path: str, job_id: str) -> None:
    """In the words of the door; no id is looked up that cannot be one."""
    method, _, start = path.partition(" ")
    reply = await unmoved.ask(method, start + job_id, headers=bearer(CODE))
    assert reply.status == 404
    said = reply.json()
    code = said["error"]["code"] if start == "/stream/" else said["error_code"]
    assert code in ("REQUEST_NOT_FOUND", "NOT_FOUND")


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", "PROPFIND"]
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


@pytest.mark.parametrize(("path", "allowed"), ROUTES.items())
async def test_a_wrong_method_is_told_the_right_one(
    unmoved: Gateway, path: str, allowed: str
) -> None:
    """405 in the door's shape, with `Allow`."""
    for method in METHODS:
        # What needs no credential is asked for with HEAD too, by those who only watch.
        if method == allowed or (method == "HEAD" and path.startswith("/health")):
            continue
        reply = await unmoved.ask(method, path, headers=bearer(CODE))
        assert reply.status == 405, method
        assert allowed in reply.headers["Allow"].split(",")
        if method == "HEAD":
            assert reply.body == b""
        elif path in ("/init-stream", "/stream/x"):
            assert reply.json()["error"]["code"] == "METHOD_NOT_ALLOWED"
        else:
            assert reply.json()["error_code"] == "METHOD_NOT_ALLOWED"


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"a" * 10_000_000),
    b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 100_000),
    b"POST /ai_request HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /ai_request HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /ai_request HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked"
    b"\r\n\r\n0\r\n\r\n",
    b"POST /ai_request HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
]


@pytest.mark.parametrize("data", NO_HTTP, ids=range(len(NO_HTTP)))
async def test_what_is_no_http_is_refused(unmoved: Gateway, data: bytes) -> None:
    """400 or an end; the process goes on."""
    async with raw(unmoved) as (reader, writer):
        writer.write(data)
        try:
            answer = await reader.read(12)
        except ConnectionResetError:
            answer = b""
        assert answer in (b"", b"HTTP/1.1 400", b"HTTP/1.0 400")


async def refused(gateway: Gateway, data: bytes) -> tuple[int, str]:
    """The status of a refusal before every door, which repeats nothing, and its sentence."""
    answer = await wire.exchange(gateway.origin, data)
    assert b"canary" not in answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    said = answer.json()
    assert set(said) == {"status", "error_code", "message"}
    return answer.status, said["message"]


LONG = b"canary" * 10_000
SECRETS = [
    b"GET /health HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer canary\x00\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: a\r\nAuthorization Bearer canary\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n\r\n" % LONG,
    b"GET /stream/x?access_token=%b HTTP/1.1\r\nHost: a\r\n\r\n" % LONG,
    b"GET /stream/x?access_token=canary HTTP/one\r\nHost: a\r\n\r\n",
    b"GET /stream/x?access_token=canary a HTTP/1.1\r\nHost: a\r\n\r\n",
]


@pytest.mark.parametrize("data", SECRETS, ids=range(len(SECRETS)))
async def test_what_cannot_be_read_is_not_repeated(unmoved: Gateway, data: bytes) -> None:
    """There may be a credential in it."""
    assert await refused(unmoved, data) == (400, "The request is not valid HTTP.")


@pytest.mark.parametrize("size", [5_000, 30_000])
async def test_a_token_that_is_far_too_long_is_only_wrong(unmoved: Gateway, size: int) -> None:
    """401 by the door that it was for, though no token is so long."""
    token = "ey" + "x" * size + ".x.x"
    for path in ("/v1/models", "/assistant/stream/" + ODD_IDS[10]):
        reply = await unmoved.get(path, **bearer(token))
        assert (reply.status, "too long" in reply.json()["error"]["message"]) == (401, True)
    reply = await unmoved.get(f"/stream/{ODD_IDS[10]}?access_token={token}")
    assert (reply.status, reply.json()["error"]["code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("wanted", [b"canary", b"\xff\xfe", b"100-continue, canary"])
@pytest.mark.parametrize("method", [b"POST", b"OPTIONS"])
async def test_what_nobody_can_expect_is_refused(
    unmoved: Gateway, method: bytes, wanted: bytes
) -> None:
    """417 wherever it is asked; nothing of it is repeated."""
    for path in (b"/ai_request", b"/nothing"):
        head = b"%b %b HTTP/1.1\r\nHost: a\r\nExpect: %b\r\n\r\n" % (method, path, wanted)
        assert await refused(unmoved, head) == (417, "Expect must be 100-continue.")


@pytest.mark.parametrize("line", [b"OPTIONS *", b"CONNECT a.example:443"])
async def test_what_is_no_path_is_not_found(unmoved: Gateway, line: bytes) -> None:
    """As every path is that leads nowhere."""
    head = b"%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % line
    assert await refused(unmoved, head) == (404, "Not found.")


async def test_a_caller_who_leaves_in_the_middle_of_a_body_leaves_nothing(unmoved: Gateway) -> None:
    """Half a request is none."""
    head = wire.head("POST", unmoved.origin, "/ai_request", {"Content-Type": "application/json"})
    for cut in (0, 20, len(head)):
        _, writer = await wire.connect(unmoved.origin)
        writer.write(head[:cut] + b"Content-Length: 50")
        await asyncio.sleep(0)
        wire.reset(writer)
