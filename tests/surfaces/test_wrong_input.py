"""Wrong input of every kind at both doors: a clear refusal in the door's shape, no more."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from gateway.doors import Patience
from gateway.errors import InvalidRequest
from gateway.surfaces.body import decode
from tests.e2e import wire
from tests.engine.n8n import Execution, N8n
from tests.surfaces.running import CODE, Gateway, Reply, bearer, raw

# All tests ask the one gateway, which no wrong request may move.
pytestmark = pytest.mark.asyncio(loop_scope="module")


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
async def test_what_is_no_json_is_refused(unmoved: Gateway, door: Door, more: str) -> None:
    """Also where it stands in a field that nobody reads."""
    reply = await send(unmoved, door, _inside(door, more))
    assert (reply.status, door.refusal(reply)) == (400, "INVALID_REQUEST")


async def test_a_name_that_is_there_twice_is_found_among_many() -> None:
    """In a time that grows with the body: with its square, this one would take minutes."""
    names = ", ".join(f'"{number}": 0' for number in range(100_000))
    with pytest.raises(InvalidRequest, match="99999 is there twice"):
        decode(f'{{{names}, "99999": 0}}'.encode(), dict[str, int])


@pytest.mark.parametrize(
    "wrong", [f'"{"x" * 1000}": 0, "{"x" * 1000}": 0', f'"{"x" * 1000}": 1{"0" * 30}']
)
async def test_a_long_name_is_not_told_back(unmoved: Gateway, wrong: str) -> None:
    """Only its beginning, in the message and in what is at fault."""
    body = f'{{"messages": [{{"role": "user", "content": "hi"}}], {wrong}}}'
    headers = {"Content-Type": "application/json", **bearer(CODE)}
    reply = await unmoved.ask("POST", "/v1/chat/completions", data=body, headers=headers)
    error = reply.json()["error"]
    assert (reply.status, error["param"]) == (400, "x" * 40)
    assert "x" * 41 not in error["message"]


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
async def test_what_is_no_object_is_refused(unmoved: Gateway, door: Door, change: Any) -> None:
    """An object in UTF-8, whole, and nothing else."""
    reply = await send(unmoved, door, change(json.dumps(door.body).encode()))
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
async def test_a_wrong_value_is_named(unmoved: Gateway, door: Door, name: str, value: Any) -> None:
    """400, in the door's shape, with the name of the field at its beginning."""
    reply = await unmoved.post(door.path, door.with_(**{name: value}))
    assert (reply.status, door.refusal(reply)) == (400, "INVALID_REQUEST")
    assert door.said(reply).startswith(name), reply


@pytest.mark.parametrize("door", DOORS)
async def test_an_unknown_model_is_refused(unmoved: Gateway, door: Door) -> None:
    """By its name, and with the nearest known one."""
    name = "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbos"
    reply = await unmoved.post(door.path, door.with_(model=name))
    assert reply.status == 400
    assert name in door.said(reply)
    assert name[:-1] in door.said(reply).replace(name, "")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("code", ["żółć", "\x00", "a" * 60_000, "ey.ey.ey", "eyJ.", "🙂"])
async def test_an_odd_app_code_is_only_unknown(unmoved: Gateway, door: Door, code: str) -> None:
    """401, whatever characters it is made of."""
    reply = await unmoved.post(door.path, door.with_(app_code=code))
    assert reply.status == 401
    assert door.refusal(reply) in ("INVALID_APP_CODE", "UNAUTHENTICATED")


async def test_an_odd_app_code_in_a_header_is_only_unknown(unmoved: Gateway) -> None:
    """Bytes that are no text are nobody's code either."""
    for name in (b"Authorization: Bearer ", b"X-App-Code: "):
        request = wire.head("GET", unmoved.origin, "/stream/x", {}).removesuffix(b"\r\n")
        answer = await wire.exchange(unmoved.origin, request + name + b"\xff\xfe\xc5\xbc\r\n\r\n")
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
    unmoved: Gateway, door: Door, kind: str, status: int, workflows: N8n
) -> None:
    """Any other kind is 415: no page can send one here without a preflight."""
    body = json.dumps({**door.body, "resumeUrl": workflows.wait_for(Execution())}).encode()
    reply = await send(unmoved, door, body, kind)
    assert reply.status == status
    if status != 200:
        door.refusal(reply)
    else:
        await unmoved.over(reply.headers["X-Request-Id"])


def _long(door: Door) -> bytes:
    return _inside(door, f'"x": "{"a" * 65_536}"')


@pytest.mark.parametrize("door", DOORS)
async def test_a_large_body_is_refused(unmoved: Gateway, door: Door) -> None:
    """413, said to be large or not, and also where only its content is."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 8_192):
            yield body[start : start + 8_192]

    body = _long(door)
    replies = [
        await send(unmoved, door, body),
        await send(unmoved, door, pieces()),  # type: ignore[arg-type]
        await send(unmoved, door, gzip.compress(body), **{"Content-Encoding": "gzip"}),
        await send(unmoved, door, zlib.compress(body), **{"Content-Encoding": "deflate"}),
        await send(unmoved, door, gzip.compress(b" " * 10_000_000), **{"Content-Encoding": "gzip"}),
    ]
    for reply in replies:
        assert (reply.status, door.refusal(reply)[:3]) in [(413, "INV"), (413, "TOO")]


@pytest.mark.parametrize("door", DOORS)
async def test_a_length_that_is_too_large_is_answered_before_the_body(
    unmoved: Gateway, door: Door
) -> None:
    """Nobody has to send it first."""
    request = wire.head("POST", unmoved.origin, door.path, {"Content-Type": "application/json"})
    length = b"Content-Length: 100000000000\r\n\r\n"
    answer = await wire.exchange(unmoved.origin, request.removesuffix(b"\r\n") + length)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_body_that_is_coded_wrongly_is_refused(
    unmoved: Gateway, door: Door, coding: str, caplog: pytest.LogCaptureFixture
) -> None:
    """400 in the door's shape, and nothing is logged."""
    reply = await send(unmoved, door, b"\x00 not that", **{"Content-Encoding": coding})
    assert reply.status == 400
    door.refusal(reply)
    assert caplog.records == []


@pytest.mark.parametrize("door", DOORS)
async def test_an_unknown_coding_is_refused(unmoved: Gateway, door: Door) -> None:
    """415 in the door's shape: two codings, one over the other, are none that it knows."""
    for coding in ("br", "zstd", "gzip, gzip"):
        reply = await send(unmoved, door, b"{}", **{"Content-Encoding": coding})
        assert reply.status == 415
        door.refusal(reply)


@pytest.mark.parametrize("door", DOORS)
async def test_a_zipped_body_is_read(unmoved: Gateway, door: Door, workflows: N8n) -> None:
    """Below the limit it is as good as any."""
    body = json.dumps({**door.body, "resumeUrl": workflows.wait_for(Execution())}).encode()
    reply = await send(unmoved, door, gzip.compress(body), **{"Content-Encoding": "gzip"})
    assert reply.status == 200
    await unmoved.over(reply.headers["X-Request-Id"])


@pytest.mark.parametrize("door", DOORS)
async def test_a_body_that_trickles_is_given_up(door: Door) -> None:
    """408 while the rest is still to come; then the connection ends."""
    async with Gateway(patience=Patience(body_s=0.05)) as hasty, raw(hasty) as (reader, writer):
        head = wire.head("POST", hasty.origin, door.path, {"Content-Type": "application/json"})
        head = head.removesuffix(b"\r\n") + b"Content-Length: 100\r\n\r\n"
        writer.write(head + b'{"app')
        status, headers = await wire.read_head(reader)
        assert (status, headers["connection"]) == (408, "close")
        said = json.loads(await reader.readexactly(int(headers["content-length"])))
        assert "too long" in json.dumps(said)
        assert ("ok" in said) == (door is N8N)


BATCHES: list[Any] = [None, [], {}, "x", 1, [{}] * 101]


@pytest.mark.parametrize("requests", BATCHES, ids=range(len(BATCHES)))
async def test_a_batch_of_another_size_is_refused(unmoved: Gateway, requests: Any) -> None:
    """Whole: it holds 1 to 100 requests."""
    reply = await unmoved.post("/ai_request/batch", {"app_code": CODE, "requests": requests})
    assert (reply.status, QUEUE.refusal(reply)) == (400, "INVALID_REQUEST")
    assert reply.json()["message"].startswith("requests")


ENTRIES: list[Any] = [None, 1, [], "x", {}, {"request_type": 1}, {"request_type": "ask"}]
ENTRIES += [{"request_type": "no", "request": "hi"}, {"request_type": "ask", "request": ["hi"]}]


async def test_wrong_entries_of_a_batch_are_refused_one_by_one(unmoved: Gateway) -> None:
    """Each for itself, in this door's own answers."""
    reply = await unmoved.post("/ai_request/batch", {"app_code": CODE, "requests": ENTRIES})
    assert reply.status == 200
    codes = [result["error_code"] for result in reply.json()["results"]]
    wrong = "INVALID_REQUEST"
    assert codes == [wrong] * 7 + ["UNSUPPORTED_REQUEST_TYPE", wrong]
