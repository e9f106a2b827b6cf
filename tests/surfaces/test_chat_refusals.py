"""What the chat's door refuses: in its own shape, naming what is wrong, with nothing begun."""

from io import BytesIO
from typing import Any

import pytest

from tests.surfaces.chatting import PATH, ask, asking, chat
from tests.surfaces.running import CODE, SILENT, Gateway, apps, bearer, user_token

MODELS = """
[models.strict]
provider = "simulator"
upstream = "echo?first=0&gap=0"
max_tokens = 500
parameters = { temperature = [0, 1], top_k = false, repetition_penalty = false }
"""


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"user_prompt": None}, "INVALID_REQUEST", "user_prompt"),
        ({"user_prompt": " \n"}, "INVALID_REQUEST", "user_prompt"),
        ({"user_prompt": 5}, "INVALID_REQUEST", "user_prompt"),
        ({"user_prompt": "x" * 1_000_001}, "INVALID_REQUEST", "user_prompt"),
        ({"model": "no such"}, "UNKNOWN_MODEL", "model"),
        ({"model": 5}, "INVALID_REQUEST", "model"),
        ({"system_prompt": []}, "INVALID_REQUEST", "system_prompt"),
        ({"hyperparameters": []}, "INVALID_REQUEST", "hyperparameters"),
        ({"hyperparameters": "hot"}, "INVALID_REQUEST", "hyperparameters"),
        ({"save_conversation": "yes"}, "INVALID_REQUEST", "save_conversation"),
        ({"conversation_id": 7}, "INVALID_REQUEST", "conversation_id"),
        ({"on_disconnect": "abandon"}, "INVALID_REQUEST", "on_disconnect"),
        ({"on_disconnect": True}, "INVALID_REQUEST", "on_disconnect"),
        ({"user_id": 7}, "INVALID_REQUEST", "user_id"),
    ],
)
async def test_a_wrong_body_is_refused(body: dict[str, Any], code: str, param: str) -> None:
    """400 in this door's shape, naming the field, and no job."""
    async with Gateway(MAX_BODY_BYTES=2_000_000) as gateway:
        reply = await ask(gateway, **body)
        error = reply.json()["error"]
        assert (reply.status, error["code"], error["param"]) == (400, code, param)
        assert set(reply.json()) == {"error"}
        assert set(error) == {"code", "message", "param"}
        assert "X-Request-Id" not in reply.headers
        assert (await gateway.get("/health")).json()["conversations_in_memory"] == 0


@pytest.mark.parametrize(
    ("data", "kind", "status", "code"),
    [
        (b"", "application/json", 400, "INVALID_REQUEST"),
        (b"{", "application/json", 400, "INVALID_REQUEST"),
        (b"{'user_prompt': 'hi'}", "application/json", 400, "INVALID_REQUEST"),
        (b"[]", "application/json", 400, "INVALID_REQUEST"),
        (b"null", "application/json", 400, "INVALID_REQUEST"),
        (b'{"user_prompt": "\xff"}', "application/json", 400, "INVALID_REQUEST"),
        (b'{"user_prompt": "\\ud800"}', "application/json", 400, "INVALID_REQUEST"),
        (b'{"user_prompt": "a", "user_prompt": "b"}', "application/json", 400, "INVALID_REQUEST"),
        (
            b'{"hyperparameters": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
            "application/json",
            400,
            "INVALID_REQUEST",
        ),
        (
            b'{"hyperparameters": {"temperature": ' + b"9" * 5000 + b"}}",
            "application/json",
            400,
            "INVALID_REQUEST",
        ),
        (
            b'{"hyperparameters": {"temperature": NaN}}',
            "application/json",
            400,
            "INVALID_REQUEST",
        ),
        (b'{"user_prompt": "hi"}', "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b" " * 2_000_000, "application/json", 413, "TOO_LARGE"),
    ],
)
async def test_what_is_no_body_is_refused(
    gateway: Gateway, data: bytes, kind: str, status: int, code: str
) -> None:
    """In this door's shape, and the next question is answered."""
    headers = {"Content-Type": kind, **bearer(CODE)}
    reply = await gateway.ask("POST", PATH, data=BytesIO(data), headers=headers)
    assert (reply.status, reply.json()["error"]["code"]) == (status, code)
    assert (await chat(gateway)).text == "one two"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("temperature", -0.1, "a number from 0 to 1"),
        ("temperature", 1.1, "a number from 0 to 1"),
        ("temperature", "hot", "a number from 0 to 1"),
        ("temperature", True, "a number from 0 to 1"),
        ("top_p", 1.0001, "a number from 0 to 1"),
        ("max_tokens", 0, "a whole number from 1 to 500"),
        ("max_tokens", 501, "a whole number from 1 to 500"),
        ("max_tokens", 1.5, "a whole number from 1 to 500"),
        ("stop", ["a", "b", "c", "d", "e"], "at most 4 texts"),
        ("stop", ["a", ""], "at most 4 texts"),
        ("stop", 5, "at most 4 texts"),
        ("frequency_penalty", 2.1, "a number from -2 to 2"),
        ("presence_penalty", -2.1, "a number from -2 to 2"),
        ("top_k", 5, None),
        ("repetition_penalty", 1.0, None),
        ("seed", 5, None),
        ("Temperature", 0.5, None),
    ],
)
async def test_a_model_takes_what_its_catalog_says(
    name: str, value: object, allowed: str | None
) -> None:
    """What it does not take, or not so much of: 400 with parameter, model and range."""
    async with Gateway(models=MODELS, DEFAULT_MODEL="strict") as gateway:
        reply = await ask(gateway, hyperparameters={name: value})
    if allowed is None:
        takes = "temperature, top_p, max_tokens, stop, frequency_penalty, presence_penalty"
        message = f"The model strict does not take {name!r}. It takes: {takes}."
    else:
        message = f"{name} must be {allowed} for the model strict."
    error = {"code": "INVALID_REQUEST", "message": message, "param": name}
    assert (reply.status, reply.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    ("model", "name", "value", "message"),
    [
        ("o3-mini", "temperature", 0.5, "The model o3-mini does not take 'temperature'."),
        ("gpt-5-nano", "stop", "END", "The model gpt-5-nano does not take 'stop'."),
        ("claude-opus-4-7", "top_p", 0.5, "The model claude-opus-4-7 does not take 'top_p'."),
        ("claude-opus-4-5", "stop", "\n", "stop must be at most 4 texts, none of them only"),
    ],
)
async def test_what_a_model_is_known_to_refuse_is_refused_at_once(
    gateway: Gateway, model: str, name: str, value: object, message: str
) -> None:
    """Also of one that is known by its name alone: it is not left out in silence."""
    reply = await ask(gateway, model=model, hyperparameters={name: value})
    error = reply.json()["error"]
    assert (reply.status, error["param"]) == (400, name)
    assert error["message"].startswith(message)


async def test_a_long_name_is_not_told_back(gateway: Gateway) -> None:
    """Only its beginning, in the message and in what is at fault."""
    reply = await ask(gateway, hyperparameters={"x" * 100_000: 1})
    error = reply.json()["error"]
    assert (reply.status, error["param"]) == (400, "x" * 40)
    assert "x" * 41 not in error["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0),
        ("temperature", 1),
        ("top_p", 0.0),
        ("top_p", 1.0),
        ("max_tokens", 1),
        ("max_tokens", 500),
        ("stop", []),
        ("stop", "END"),
        ("stop", ["a", "b", "c", "d"]),
        ("frequency_penalty", -2),
        ("presence_penalty", 2),
        ("top_k", None),
    ],
)
async def test_the_ends_of_a_range_are_in_it(name: str, value: object) -> None:
    """And null is absent, also for what the model does not take."""
    async with Gateway(models=MODELS, DEFAULT_MODEL="strict") as gateway:
        said = await chat(gateway, hyperparameters={name: value})
        assert said.last["finished"] is True
        assert "error" not in said.last


@pytest.mark.parametrize(
    ("credential", "status", "code"),
    [
        (None, 401, "UNAUTHENTICATED"),
        ("nobody's code", 401, "UNAUTHENTICATED"),
        (user_token(exp=1), 401, "UNAUTHENTICATED"),
        ("stream", 403, "FORBIDDEN"),
    ],
)
async def test_a_credential_is_needed(
    gateway: Gateway, credential: str | None, status: int, code: str
) -> None:
    """None, a wrong one, an old one; and one that is only for reading."""
    if credential == "stream":
        job = await gateway.over(await gateway.queue())
        credential = gateway.core.auth.stream_token(job, 60)
    headers = {} if credential is None else bearer(credential)
    reply = await gateway.post(PATH, {"user_prompt": "hi"}, **headers)
    assert (reply.status, reply.json()["error"]["code"]) == (status, code)


async def test_a_full_house_makes_no_job() -> None:
    """503 with a time to wait; nothing ran, nothing was kept."""
    async with Gateway(MAX_STREAMS=1, DISCONNECT_GRACE=0) as gateway:
        async with asking(gateway, model=SILENT) as (_, data):
            await anext(data)
            reply = await ask(gateway, save_conversation=True)
            assert (reply.status, reply.json()["error"]["code"]) == (503, "UNAVAILABLE")
            assert int(reply.headers["Retry-After"]) > 0
            assert "X-Request-Id" not in reply.headers
            assert (await gateway.get("/health")).json()["conversations_in_memory"] == 0
        await gateway.quiet()


async def test_a_refused_question_leaves_no_conversation() -> None:
    """Over the limit: 429 with a time to wait."""
    async with Gateway(app_codes=apps(rate_limit="1/hour")) as gateway:
        await chat(gateway, save_conversation=True)
        reply = await ask(gateway, save_conversation=True)
        assert (reply.status, reply.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert int(reply.headers["Retry-After"]) > 0
        assert (await gateway.get("/health")).json()["conversations_in_memory"] == 1
