"""The assistant's door: what it accepts, and what it asks of a model."""

import json
import re
from typing import Any

import pytest

from tests.surfaces.assisting import PATH, ask, made, told
from tests.surfaces.running import CODE, QUICK, Gateway, apps, bearer
from tests.surfaces.teller import MODEL, Teller
from tests.surfaces.teller import told as said

MODES = """
[modes.chat]
[modes.edit]
system_prompt = "Change {context} what is there."
temperature = 0.25
max_tokens = 77
rate_limit = "2/minute"
[modes.edit.actions.replace_text]
description = "Replace a piece of text."
parameters = { type = "object", properties = { old = { type = "string" } }, required = ["old"] }
[modes.draw]
model = "simulator/echo?first=0&gap=0&chunk=2"
"""


# -- what is accepted -----------------------------------------------------------------------------


async def test_a_request_gets_an_id_and_a_link(gateway: Gateway) -> None:
    """201, at once; the link is whole, and opens this one stream."""
    reply = await ask(gateway)
    job_id = reply.headers["X-Request-Id"]
    got = reply.json()
    url = f"{gateway.origin}/assistant/stream/{job_id}?access_token="
    assert got.pop("stream_url").startswith(url)
    assert (reply.status, got) == (201, {"request_id": job_id, "status": "queued"})
    assert [event.name for event in await told(gateway, job_id)][-1] == "complete"


async def test_links_are_made_of_the_public_address() -> None:
    """Whatever host a caller names."""
    async with Gateway(PUBLIC_URL="https://ai.example.org/gw") as gateway:
        url = (await ask(gateway)).json()["stream_url"]
        assert url.startswith("https://ai.example.org/gw/assistant/stream/")
        path = url.removeprefix("https://ai.example.org/gw")
        assert (await gateway.get(path)).status == 200


_NO_TEXT: tuple[Any, ...] = (1, [], {}, True)
WRONG: dict[str, tuple[Any, ...]] = {
    "prompt": (None, "", " \n", "\x00", *_NO_TEXT),
    "mode": ("", "Chat", "draw", "chat ", *_NO_TEXT),
    "track_id": ("t" * 201, *_NO_TEXT),
    "context": ("x", 1, [], True, {"x": 10**30}),
    "model": ("nobody-knows", *_NO_TEXT),
    "user_id": _NO_TEXT,
    "app_code": _NO_TEXT,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}={value!r:.20}")
        for name, values in WRONG.items()
        for value in values
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_wrong_value_is_named(unmoved: Gateway, name: str, value: Any) -> None:
    """400, with the name of the field."""
    body = {"app_code": CODE, "prompt": "hi", name: value}
    reply = await unmoved.post(PATH, body)
    error = reply.json()["error"]
    assert (reply.status, error["field"]) == (400, name)
    assert set(error) == {"code", "message", "field"}


async def test_data_may_be_as_large_as_a_body(teller: Teller) -> None:
    """All of it is told to the model."""
    async with Gateway(**teller.settings) as gateway:
        reply = await ask(gateway, prompt=said("hi"), context={"x": "y" * 900_000}, model=MODEL)
        await gateway.over(reply.json()["request_id"])
    assert "y" * 900_000 in teller.bodies[0]["messages"][-2]["content"]


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"prompt": "a", "prompt": "b"}', "application/json", 400),
        (b'{"context": ' + b'{"x":' * 5_000 + b"1" + b"}" * 5_001, "application/json", 400),
        (b'{"context": ' + b'{"x":' * 100 + b"1" + b"}" * 101, "application/json", 401),
        (b"prompt=hi", "application/x-www-form-urlencoded", 415),
        (b'{"prompt": "hi"}', "text/plain", 415),
        (b'{"prompt": "%b"}' % (b"x" * 70_000), "application/json", 413),
        (b'{"prompt": "hi"}', "application/json", 401),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_wrong_body_is_refused(
    unmoved: Gateway, data: bytes, kind: str, status: int
) -> None:
    """In this door's shape, whatever it is."""
    reply = await unmoved.ask("POST", PATH, data=data, headers={"Content-Type": kind})
    assert (reply.status, set(reply.json())) == (status, {"error"})


@pytest.mark.asyncio(loop_scope="module")
async def test_context_may_not_nest_deeper_than_can_be_kept(unmoved: Gateway) -> None:
    """400, naming it."""
    context: dict[str, Any] = {}
    for _ in range(100):
        context = {"x": context}
    reply = await ask(unmoved, context=context)
    assert (reply.status, reply.json()["error"]["field"]) == (400, "context")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/assistant/stream/{}"),
        ("GET", "/assistant/request/{}"),
        ("DELETE", "/assistant/request/{}"),
    ],
)
@pytest.mark.parametrize("job_id", ["x", "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"])
@pytest.mark.asyncio(loop_scope="module")
async def test_an_unknown_id_is_not_found(
    unmoved: Gateway, method: str, path: str, job_id: str
) -> None:
    """404, whatever its shape."""
    reply = await unmoved.ask(method, path.format(job_id), headers=bearer(CODE))
    want = {"code": "REQUEST_NOT_FOUND", "message": "Request ID not found"}
    assert (reply.status, reply.json()) == (404, {"error": want})


async def test_an_idempotency_key_makes_one_job(gateway: Gateway) -> None:
    """The same answer again; another body is refused."""

    async def keyed(prompt: str) -> Any:
        body = {"app_code": CODE, "prompt": prompt, "model": QUICK}
        return await gateway.post(PATH, body, **{"Idempotency-Key": "k1"})

    first, again, other = await keyed("one"), await keyed("one"), await keyed("two")
    assert first.json()["request_id"] == again.json()["request_id"]
    assert (again.status, other.status) == (201, 409)


# -- modes ----------------------------------------------------------------------------------------


async def test_a_mode_is_what_the_model_is_asked_with(teller: Teller) -> None:
    """Its prompt as it stands, its tools, its figures; the data apart from the prompt."""
    async with Gateway(modes=MODES, **teller.settings) as gateway:
        context = {"text": "</request_data> {mode} & <b>", "n": [1, None]}
        prompt = said("ok")
        job_id = await made(
            gateway, mode="edit", prompt=prompt, track_id="t<1", context=context, model=MODEL
        )
        assert (await gateway.over(job_id)).state == "completed"
        (body,) = teller.bodies
        system, data, last = body["messages"]
        assert system == {"role": "system", "content": "Change {context} what is there."}
        assert last == {"role": "user", "content": prompt}
        block = re.fullmatch(r"[^<]*\n<request_data>\n([^<]*)\n</request_data>", data["content"])
        assert block is not None
        assert json.loads(block[1]) == {"track_id": "t<1", "context": context}
        assert data["role"] == "user"
        assert (body["temperature"], body["max_tokens"]) == (0.25, 77)
        assert [tool["function"]["name"] for tool in body["tools"]] == ["replace_text"]


async def test_a_plain_mode_adds_nothing(teller: Teller) -> None:
    """Without a mode it is `chat`; empty data is none."""
    async with Gateway(modes=MODES, **teller.settings) as gateway:
        prompt = said("ok")
        job_id = await made(gateway, prompt=prompt, context={}, track_id="", model=MODEL)
        await gateway.over(job_id)
        (body,) = teller.bodies
        assert body["messages"] == [{"role": "user", "content": prompt}]
        assert not body.keys() & {"tools", "temperature"}
        assert (await told(gateway, job_id))[-1].data["mode"] == "chat"


async def test_a_mode_has_its_own_model() -> None:
    """Where the request names none; and only modes that there are can be named."""
    async with Gateway(modes=MODES) as gateway:
        job_id = await made(gateway, mode="draw", model=None, prompt="one two three")
        got = await told(gateway, job_id)
        texts = [each.data["text"] for each in got if each.name == "response_chunk"]
        assert texts == ["one two", " three"]
        reply = await ask(gateway, mode="generate")
        assert reply.json()["error"] == {
            "code": "INVALID_REQUEST",
            "message": "mode must be one of chat, edit, draw.",
            "field": "mode",
        }


async def test_an_app_uses_only_its_modes() -> None:
    """Others are forbidden, and the field is named."""
    async with Gateway(app_codes=apps(allowed_modes=["edit"])) as gateway:
        assert (await ask(gateway, mode="edit")).status == 201
        for mode in ("chat", None):
            reply = await ask(gateway, mode=mode)
            assert (reply.status, reply.json()["error"]["field"]) == (403, "mode")
