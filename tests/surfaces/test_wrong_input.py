"""Wrong input of every kind at both doors: a clear refusal in the door's shape, no more."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from gateway.app import Patience
from tests.e2e import wire
from tests.engine.receiver import Execution, Receiver
from tests.surfaces.running import CODE, Gateway, Reply, bearer, raw

# All tests ask the one gateway, which no wrong request may move.
pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST = 65_536


class Door(NamedTuple):
    """A door that takes bodies, with a good one."""

    path: str
    body: dict[str, Any]

    def refusal(self, reply: Reply) -> str:
        """The code of a refusal, whose shape must be this door's own."""
        said = reply.json()
        if self.path == "/init-stream":
            assert said == {
                "ok": False,
                "error": {"code": said["error"]["code"], "message": said["error"]["message"]},
            }
            return str(said["error"]["code"])
        assert set(said) == {"status", "error_code", "message"}
        assert said["status"] == "error"
        return str(said["error_code"])

    def said(self, reply: Reply) -> str:
        """The sentence of a refusal."""
        said = reply.json()
        return str(said["error"]["message"] if "error" in said else said["message"])

    def with_(self, **changes: Any) -> dict[str, Any]:
        return {**self.body, **changes}


QUEUE = Door("/ai_request", {"app_code": CODE, "request_type": "ask", "request": "hi"})
N8N = Door("/init-stream", {"app_code": CODE, "resumeUrl": "https://n8n.test/1", "prompt": "hi"})
DOORS = [pytest.param(QUEUE, id="ai_request"), pytest.param(N8N, id="init-stream")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def n8n() -> AsyncIterator[Receiver]:
    """One for all tests here."""
    async with Receiver() as receiver:
        yield receiver


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(n8n: Receiver) -> AsyncIterator[Gateway]:
    """A gateway that takes small bodies, and waits for them only a moment."""
    async with Gateway(
        CALLBACK_ALLOWED_ORIGINS=f"https://n8n.test,{n8n.origin}",
        MAX_BODY_BYTES=MOST,
        patience=Patience(body_s=0.05),
    ) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="module")
async def small(running: Gateway) -> AsyncIterator[Gateway]:
    """The same after each wrong request: nothing begun, nothing broken."""
    with capture_logs() as lines:
        yield running
    assert [line for line in lines if line["log_level"] == "error"] == []
    await running.quiet()
    assert (await running.get("/health/ready")).status == 200


async def send(
    gateway: Gateway, door: Door, data: bytes, kind: str = "application/json", **headers: str
) -> Reply:
    return await gateway.ask(
        "POST", door.path, data=data, headers={"Content-Type": kind, **headers}
    )


def _inside(door: Door, more: str) -> bytes:
    """A good body with something more at its end."""
    return f"{json.dumps(door.body)[:-1]}, {more}}}".encode()


# Whatever stands where nobody looks: the whole body is refused.
BROKEN = {
    "deep nesting": '"x": ' + "[" * 30_000 + "]" * 30_000,
    "deep objects": '"x": ' + '{"x":' * 10_000 + "1" + "}" * 10_000,
    "5,000 digits": '"x": ' + "9" * 5_000,
    "5,000 digits and a sign": '"x": -' + "9" * 5_000,
    "NaN": '"x": NaN',
    "Infinity": '"x": -Infinity',
    "lone surrogate": '"x": "\\ud800"',
    "lone low surrogate": '"x": "\\udc00 "',
    "lone surrogate in a name": '"\\ud800": 1',
    "raw control": '"x": "a\tb"',
    "leading zero": '"x": 01',
    "hexadecimal": '"x": 0x10',
    "single quotes": "'x': 1",
    "trailing comma": '"x": 1,',
    "comment": '"x": 1 // no',
    "bad escape": '"x": "\\x41"',
    "duplicate": '"app_code": "another"',
    "duplicate deep inside": '"x": [{"a": 1, "a": 2}]',
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("more", BROKEN.values(), ids=BROKEN)
async def test_what_is_no_json_is_refused(small: Gateway, door: Door, more: str) -> None:
    """Also where it stands in a field that nobody reads."""
    reply = await send(small, door, _inside(door, more))
    assert (reply.status, door.refusal(reply)) == (400, "INVALID_REQUEST")


BYTES = {
    "empty": lambda body: b"",
    "space": lambda body: b" \n",
    "truncated": lambda body: body[:-1],
    "more behind": lambda body: body + b"x",
    "two": lambda body: body + body,
    "BOM": lambda body: b"\xef\xbb\xbf" + body,
    "UTF-16": lambda body: body.decode().encode("utf-16"),
    "UTF-16 without BOM": lambda body: body.decode().encode("utf-16-le"),
    "UTF-32": lambda body: body.decode().encode("utf-32"),
    "bad UTF-8": lambda body: body[:-2] + b'\xff"}',
    "overlong UTF-8": lambda body: body[:-2] + b'\xc0\xaf"}',
    "surrogate in UTF-8": lambda body: body[:-2] + b'\xed\xa0\x80"}',
    "NUL": lambda body: body[:-2] + b'\x00"}',
    "null": lambda body: b"null",
    "number": lambda body: b"1",
    "text": lambda body: b'"hi"',
    "array": lambda body: b"[%b]" % body,
    "form": lambda body: b"prompt=hi",
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("change", BYTES.values(), ids=BYTES)
async def test_what_is_no_object_is_refused(small: Gateway, door: Door, change: Any) -> None:
    """An object in UTF-8, whole, and nothing else."""
    reply = await send(small, door, change(json.dumps(door.body).encode()))
    assert (reply.status, door.refusal(reply)) == (400, "INVALID_REQUEST")


WRONG: list[tuple[Door, str, list[Any]]] = [
    (QUEUE, "app_code", [1, ["a"], {}, False]),
    (QUEUE, "request_type", [None, "", 1, ["ask"]]),
    (QUEUE, "request", [None, "", 1, True, [], {}, 1.5, " \n", "\x00\x01", "\x85"]),
    (QUEUE, "model", [1, True, [], {}, 1.5]),
    (QUEUE, "priority", [-1, 10, 10**18, 10**30, -(10**30), 1.0, 1.5, True, "1", [1], {}]),
    (QUEUE, "callback_url", [1, "", "x", "http://10.0.0.1/", "file:///a"]),
    (N8N, "n8nToken", [1, [], {}, True]),
    (N8N, "app_code", [1, [], {}, True]),
    (N8N, "prompt", [None, "", 1, [], True, " \t"]),
    (N8N, "userId", [1, [], {}, True]),
    (N8N, "chatId", [1, [], {}, True]),
    (N8N, "model", [1, [], {}, True]),
    (N8N, "max_tokens", [0, -1, 10**9, 10**30, 1.5, 1.0, True, [], {}]),
    (N8N, "max_tokens", ["0", "-1", "1.5", "x", " 1", "١", "9" * 5_000]),
    (N8N, "resumeUrl", [None, "", 1, [], True, "x", "/a", "https://u:p@n8n.test"]),
    (N8N, "resumeUrl", ["http://127.0.0.1:1/", "https://[::1]/", "https://①②⑦.⓪.⓪.①/"]),
    (N8N, "resumeUrl", ["https://n8n.test./", "https://n8n.test/\r\nX: y"]),
]


@pytest.mark.parametrize(
    ("door", "name", "value"),
    [
        pytest.param(door, name, value, id=f"{door.path[1:]} {name}={value!r:.20}")
        for door, name, values in WRONG
        for value in values
    ],
)
async def test_a_wrong_value_is_named(small: Gateway, door: Door, name: str, value: Any) -> None:
    """400, in the door's shape, with the name of the field at its beginning."""
    reply = await small.post(door.path, door.with_(**{name: value}))
    assert (reply.status, door.refusal(reply)) == (400, "INVALID_REQUEST")
    assert door.said(reply).startswith(name), reply


@pytest.mark.parametrize("door", DOORS)
async def test_an_unknown_model_is_refused(small: Gateway, door: Door) -> None:
    """By its name, and with the nearest known one."""
    name = "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbos"
    reply = await small.post(door.path, door.with_(model=name))
    assert reply.status == 400
    assert name in door.said(reply)
    assert name[:-1] in door.said(reply).replace(name, "")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("code", ["żółć", "\x00", "a" * 60_000, "ey.ey.ey", "eyJ.", "🙂"])
async def test_an_odd_app_code_is_only_unknown(small: Gateway, door: Door, code: str) -> None:
    """401, whatever characters it is made of."""
    reply = await small.post(door.path, door.with_(app_code=code))
    assert reply.status == 401
    assert door.refusal(reply) in ("INVALID_APP_CODE", "UNAUTHENTICATED")


async def test_an_odd_app_code_in_a_header_is_only_unknown(small: Gateway) -> None:
    """Bytes that are no text are nobody's code either."""
    for name in (b"Authorization: Bearer ", b"X-App-Code: "):
        request = wire.head("GET", small.origin, "/stream/x", {}).removesuffix(b"\r\n")
        answer = await wire.exchange(small.origin, request + name + b"\xff\xfe\xc5\xbc\r\n\r\n")
        assert answer.status == 401


KINDS = {
    "text/plain": 415,
    "text/json": 415,
    "application/x-www-form-urlencoded": 415,
    "multipart/form-data; boundary=x": 415,
    "application/jsonx": 415,
    "json": 415,
    "": 415,
    "*/*": 415,
    "application/json; charset=iso-8859-1": 400,
    "application/json; charset=utf-16": 400,
    "application/json; charset=klingon": 400,
    "application/json": 200,
    "application/json; charset=UTF-8": 200,
    'Application/JSON; Charset="utf-8"': 200,
    "application/json;": 200,
    "application/cloudevents+json": 200,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("kind", "status"), KINDS.items())
async def test_only_json_in_utf_8_is_read(
    small: Gateway, door: Door, kind: str, status: int, n8n: Receiver
) -> None:
    """Any other kind is 415: no page can send one here without a preflight."""
    body = json.dumps({**door.body, "resumeUrl": n8n.wait_for(Execution())}).encode()
    reply = await send(small, door, body, kind)
    assert reply.status == status
    if status != 200:
        door.refusal(reply)
    else:
        await small.over(reply.headers["X-Request-Id"])


def _long(door: Door) -> bytes:
    return _inside(door, f'"x": "{"a" * MOST}"')


@pytest.mark.parametrize("door", DOORS)
async def test_a_large_body_is_refused(small: Gateway, door: Door) -> None:
    """413, said to be large or not, and also where only its content is."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 8_192):
            yield body[start : start + 8_192]

    body = _long(door)
    replies = [
        await send(small, door, body),
        await send(small, door, pieces()),  # type: ignore[arg-type]
        await send(small, door, gzip.compress(body), **{"Content-Encoding": "gzip"}),
        await send(small, door, zlib.compress(body), **{"Content-Encoding": "deflate"}),
        await send(small, door, gzip.compress(b" " * 10_000_000), **{"Content-Encoding": "gzip"}),
    ]
    for reply in replies:
        assert (reply.status, door.refusal(reply)[:3]) in [(413, "INV"), (413, "TOO")]


@pytest.mark.parametrize("door", DOORS)
async def test_a_length_that_is_too_large_is_answered_before_the_body(
    small: Gateway, door: Door
) -> None:
    """Nobody has to send it first."""
    request = wire.head("POST", small.origin, door.path, {"Content-Type": "application/json"})
    length = b"Content-Length: 100000000000\r\n\r\n"
    answer = await wire.exchange(small.origin, request.removesuffix(b"\r\n") + length)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_body_that_is_coded_wrongly_is_refused(
    small: Gateway, door: Door, coding: str
) -> None:
    """400 in the door's shape; the connection is not used again, and nothing is logged."""
    reply = await send(small, door, b"\x00 not that", **{"Content-Encoding": coding})
    assert (reply.status, reply.headers["Connection"]) == (400, "close")
    door.refusal(reply)


@pytest.mark.parametrize("door", DOORS)
async def test_a_zipped_body_is_read(small: Gateway, door: Door, n8n: Receiver) -> None:
    """Below the limit it is as good as any."""
    body = json.dumps({**door.body, "resumeUrl": n8n.wait_for(Execution())}).encode()
    reply = await send(small, door, gzip.compress(body), **{"Content-Encoding": "gzip"})
    assert reply.status == 200
    await small.over(reply.headers["X-Request-Id"])


@pytest.mark.parametrize("door", DOORS)
async def test_a_body_that_trickles_is_given_up(small: Gateway, door: Door) -> None:
    """408 while the rest is still to come; then the connection ends."""
    head = wire.head("POST", small.origin, door.path, {"Content-Type": "application/json"})
    head = head.removesuffix(b"\r\n") + b"Content-Length: 100\r\n\r\n"
    async with raw(small) as (reader, writer):
        writer.write(head + b'{"app')
        status, headers = await wire.read_head(reader)
        assert (status, headers["connection"]) == (408, "close")
        said = json.loads(await reader.readexactly(int(headers["content-length"])))
        assert "too long" in json.dumps(said)
        assert ("ok" in said) == (door is N8N)


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
async def test_an_id_of_any_shape_is_unknown(small: Gateway, path: str, job_id: str) -> None:
    """In the words of the door; no id is looked up that cannot be one."""
    method, _, start = path.partition(" ")
    reply = await small.ask(method, start + job_id, headers=bearer(CODE))
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
    small: Gateway, path: str, allowed: str
) -> None:
    """405 in the door's shape, with `Allow`."""
    for method in METHODS:
        if method == allowed:
            continue
        reply = await small.ask(method, path, headers=bearer(CODE))
        assert reply.status == 405, method
        assert allowed in reply.headers["Allow"].split(",")
        if method == "HEAD":
            assert reply.body == b""
        elif path in ("/init-stream", "/stream/x"):
            assert reply.json()["error"]["code"] == "METHOD_NOT_ALLOWED"
        else:
            assert reply.json()["error_code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(
    "path", ["/", "/ai_request/", "/AI_REQUEST", "/init-stream/x", "/v2/x", "/stream", "/../etc"]
)
async def test_an_unknown_path_is_not_found(small: Gateway, path: str) -> None:
    """404 as JSON, in the shape of the door it stands before."""
    for method in ("GET", "POST"):
        reply = await small.ask(method, path)
        assert reply.status == 404
        if path.startswith(("/init-stream", "/stream")):
            assert reply.json() == {
                "ok": False,
                "error": {"code": "NOT_FOUND", "message": "Not found."},
            }
        else:
            assert reply.json() == {
                "status": "error",
                "error_code": "NOT_FOUND",
                "message": "Not found.",
            }


BATCHES: list[Any] = [None, [], {}, "x", 1, [{}] * 101]


@pytest.mark.parametrize("requests", BATCHES, ids=range(len(BATCHES)))
async def test_a_batch_of_another_size_is_refused(small: Gateway, requests: Any) -> None:
    """Whole: it holds 1 to 100 requests."""
    reply = await small.post("/ai_request/batch", {"app_code": CODE, "requests": requests})
    assert (reply.status, QUEUE.refusal(reply)) == (400, "INVALID_REQUEST")
    assert reply.json()["message"].startswith("requests")


ENTRIES: list[Any] = [None, 1, [], "x", {}, {"request_type": 1}, {"request_type": "ask"}]
ENTRIES += [{"request_type": "no", "request": "hi"}, {"request_type": "ask", "request": ["hi"]}]


async def test_wrong_entries_of_a_batch_are_refused_one_by_one(small: Gateway) -> None:
    """Each for itself, in this door's own answers."""
    reply = await small.post("/ai_request/batch", {"app_code": CODE, "requests": ENTRIES})
    assert reply.status == 200
    codes = [result["error_code"] for result in reply.json()["results"]]
    wrong = "INVALID_REQUEST"
    assert codes == [wrong] * 7 + ["UNSUPPORTED_REQUEST_TYPE", wrong]


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
async def test_what_is_no_http_is_refused(small: Gateway, data: bytes) -> None:
    """400 or an end; the process goes on."""
    async with raw(small) as (reader, writer):
        writer.write(data)
        try:
            answer = await reader.read(12)
        except ConnectionResetError:
            answer = b""
        assert answer in (b"", b"HTTP/1.1 400", b"HTTP/1.0 400")


async def test_a_caller_who_leaves_in_the_middle_of_a_body_leaves_nothing(small: Gateway) -> None:
    """Half a request is none."""
    head = wire.head("POST", small.origin, "/ai_request", {"Content-Type": "application/json"})
    for cut in (0, 20, len(head)):
        _, writer = await wire.connect(small.origin)
        writer.write(head[:cut] + b"Content-Length: 50")
        await asyncio.sleep(0)
        wire.reset(writer)
