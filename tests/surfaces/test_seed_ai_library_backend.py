"""Every example of the chat's document: the same request, and the documented answer."""

import json
import re
from typing import Any, NamedTuple

import pytest

from gateway.jobs import Job
from tests.surfaces.running import CODE, Gateway, Reply, apps, bearer

# The document's models as it describes them, played by the simulator.
_TAKES = (
    "{ temperature = [0, 2], top_p = [0, 1], max_tokens = [1, 32000], stop = 4, top_k = [0], "
    "repetition_penalty = [0, 2], frequency_penalty = [-2, 2], presence_penalty = [-2, 2] }"
)
NAMES = ("llama-3.1-8b-instant", "openai/gpt-oss-120b", "qwen/qwen3-32b", "groq/compound")
MODELS = "".join(
    f'[models."{name}"]\nprovider = "simulator"\nupstream = "echo?first=0&gap=0"\n'
    f"context_window = 131072\nparameters = {_TAKES}\n"
    for name in NAMES
)
PATH = "/api/chat/stream"
QUESTION = {
    "model": "llama-3.1-8b-instant",
    "user_prompt": "Explain quantum computing",
    "system_prompt": "You are a helpful AI assistant.",
    "hyperparameters": {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 2048,
        "stop": ["END"],
    },
    "save_conversation": True,
    "conversation_id": None,
}
FRONTEND = {
    "model": "llama-3.1-8b-instant",
    "user_prompt": "Write a hello world in Python",
    "system_prompt": "You are a coding assistant.",
    "hyperparameters": {"temperature": 0.7, "max_tokens": 1024},
    "save_conversation": False,
}


def documented(**settings: Any) -> Gateway:
    """The gateway as the document's reader sets it up: no credential anywhere."""
    return Gateway(
        models=MODELS,
        app_codes=apps(),
        DEFAULT_MODEL=NAMES[0],
        **{"ANONYMOUS_APP": "shop", **settings},
    )


class Heard(NamedTuple):
    """What the document's JavaScript gets to see.

    Attributes:
        every: all data that it parses.
        logged: what it prints, in order.
    """

    every: list[dict[str, Any]]
    logged: list[str]


async def javascript(gateway: Gateway, body: dict[str, Any], **headers: str) -> Heard:
    """The document's reader, line for line: split at newlines, look for `data: `, parse."""
    heard = Heard([], [])
    async with gateway.session.post(gateway.origin + PATH, json=body, headers=headers) as response:
        assert response.status == 200
        async for value, _ in response.content.iter_chunks():
            for line in value.decode().split("\n"):
                if line.startswith("data: "):
                    data = json.loads(line[6:])
                    heard.every.append(data)
                    if data.get("content"):
                        heard.logged.append(data["content"])
                    if data.get("finished"):
                        heard.logged.append("Stream finished")
    return heard


async def test_chat_stream() -> None:
    """The conversation and the model, the pieces, the end; on the wire as documented."""
    async with documented() as gateway:
        reply = await gateway.post(PATH, QUESTION)
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/event-stream")
        lines = [line for line in reply.body.decode().split("\n") if line.startswith("data: ")]
        first, *pieces, last = [json.loads(line[6:]) for line in lines]
        assert first == {
            "conversation_id": first["conversation_id"],
            "model": "llama-3.1-8b-instant",
        }
        assert pieces == [
            {"content": "Explain", "finished": False},
            {"content": " quantum", "finished": False},
            {"content": " computing", "finished": False},
        ]
        usage = last.pop("usage")
        assert last == {"content": "", "finished": True}
        assert set(usage) == {"prompt_tokens", "completion_tokens", "total_tokens"}
        job = await _job(gateway, reply)
    assert [(m.role, m.content) for m in job.request.messages] == [
        ("system", "You are a helpful AI assistant."),
        ("user", "Explain quantum computing"),
    ]
    assert job.request.max_tokens == 2048
    assert job.request.parameters == {"temperature": 0.7, "top_p": 0.9, "stop": ["END"]}


async def _job(gateway: Gateway, reply: Reply) -> Job:
    return await gateway.job(reply.headers["X-Request-Id"])


async def test_get_and_delete_conversation() -> None:
    """What was said, in turns; then gone."""
    async with documented() as gateway:
        heard = await javascript(gateway, {**QUESTION, "user_prompt": "Hello"})
        conversation_id = heard.every[0]["conversation_id"]
        path = f"/api/conversations/{conversation_id}"
        found = await gateway.get(path)
        assert (found.status, found.json()) == (
            200,
            {
                "conversation_id": conversation_id,
                "messages": [
                    {"role": "user", "content": "Hello"},
                    {"role": "assistant", "content": "Hello"},
                ],
            },
        )
        deleted = await gateway.ask("DELETE", path)
        assert (deleted.status, deleted.json()) == (
            200,
            {"conversation_id": conversation_id, "status": "deleted"},
        )
        assert (await gateway.get(path)).status == 404


async def test_health_check() -> None:
    """Healthy, and how many conversations there are."""
    async with documented() as gateway:
        for _ in range(5):
            await javascript(gateway, QUESTION)
        await javascript(gateway, FRONTEND)
        said = (await gateway.get("/health")).json()
    assert (said["status"], said["conversations_in_memory"]) == ("healthy", 5)


@pytest.mark.parametrize("credential", [None, CODE])
async def test_the_javascript_example(credential: str | None) -> None:
    """It works as it is where an app is set for it, and with a credential added elsewhere."""
    headers = bearer(credential) if credential else {}
    settings = {"ANONYMOUS_APP": ""} if credential else {}
    async with documented(**settings) as gateway:
        heard = await javascript(gateway, FRONTEND, **headers)
        listed = await gateway.get("/api/conversations", **bearer(CODE))
    assert heard.logged == ["Write", " a", " hello", " world", " in", " Python", "Stream finished"]
    assert heard.every[0] == {"conversation_id": None, "model": "llama-3.1-8b-instant"}
    assert listed.json()["conversations"] == []


@pytest.mark.parametrize("name", NAMES)
async def test_the_supported_models(name: str) -> None:
    """All four answer, and say which they are."""
    async with documented() as gateway:
        heard = await javascript(gateway, {**FRONTEND, "model": name})
    assert (heard.every[0]["model"], heard.logged[-1]) == (name, "Stream finished")


@pytest.mark.parametrize(
    ("name", "low", "high", "below", "above"),
    [
        ("temperature", 0.0, 2.0, -0.1, 2.1),
        ("top_p", 0.0, 1.0, -0.1, 1.1),
        ("max_tokens", 1, 32000, 0, 32001),
        ("stop", [], ["a"] * 4, "", ["a"] * 5),
        ("top_k", 0, 1_000, -1, 0.5),
        ("repetition_penalty", 0.0, 2.0, -0.1, 2.1),
        ("frequency_penalty", -2.0, 2.0, -2.1, 2.1),
        ("presence_penalty", -2.0, 2.0, -2.1, 2.1),
    ],
)
async def test_the_hyperparameters(name: str, low: Any, high: Any, below: Any, above: Any) -> None:
    """Each is taken within its range, and refused by name outside it."""
    async with documented() as gateway:
        for value in (low, high):
            await javascript(gateway, {**FRONTEND, "hyperparameters": {name: value}})
        for value in (below, above):
            body = {**FRONTEND, "hyperparameters": {name: value}}
            reply = await gateway.post(PATH, body)
            error = reply.json()["error"]
            assert (reply.status, error["param"]) == (400, name)
            assert re.search(f"{name} .* for the model llama-3.1-8b-instant", error["message"])


async def test_cors() -> None:
    """Pages of the origins that `CORS_ORIGINS` lists, separated by commas, may ask."""
    origins = "http://localhost:3000,http://localhost:5173"
    async with documented(CORS_ORIGINS=origins) as gateway:
        for origin in origins.split(","):
            preflight = await gateway.ask(
                "OPTIONS",
                PATH,
                headers={
                    "Origin": origin,
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "content-type",
                },
            )
            assert preflight.headers["Access-Control-Allow-Origin"] == origin
            reply = await gateway.post(PATH, FRONTEND, Origin=origin)
            assert reply.headers["Access-Control-Allow-Origin"] == origin
