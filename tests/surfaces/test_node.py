"""OpenAI's own client for JavaScript, unchanged, in Node: it must not notice."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway.jobs import State
from tests.surfaces.running import CODE, Gateway, apps

FOLDER = Path(__file__).parents[1] / "node"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "openai").is_dir(),
        reason="the client is not installed: npm ci --prefix tests/node",
    ),
]


async def played(gateway: Gateway, scene: str) -> Any:
    """What the client saw in one scene of client.mjs."""
    node = await asyncio.create_subprocess_exec(
        "node",
        "client.mjs",
        scene,
        gateway.origin,
        CODE,
        cwd=FOLDER,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            said, _ = await node.communicate()
    finally:
        if node.returncode is None:
            node.kill()
            await node.wait()
    assert node.returncode == 0
    return json.loads(said)


async def test_a_whole_answer(gateway: Gateway) -> None:
    """Its text, its finish, its tokens, and which request it was."""
    text, finish, usage, job_id = await played(gateway, "whole")
    counted = {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
    assert (text, finish, usage) == ("one two", "stop", counted)
    assert (await gateway.job(job_id)).state is State.COMPLETED


async def test_a_stream(gateway: Gateway) -> None:
    """The words joined, the finish, and the tokens at the end."""
    assert await played(gateway, "streamed") == {
        "text": "one two",
        "finish": "stop",
        "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
    }


async def test_tools(gateway: Gateway) -> None:
    """The client puts streamed calls together."""
    calls = [[f"call_{n}", "look", {"prompt": "one two", "call": n}] for n in range(2)]
    assert await played(gateway, "tools") == ["tool_calls", calls]


async def test_the_classes_of_errors() -> None:
    """Each status has the class that it has with OpenAI."""
    async with Gateway(FIRST_TOKEN_TIMEOUT=0.1) as gateway:
        assert await played(gateway, "errors") == {
            "400": ["BadRequestError", 400, None, None],
            "401": ["AuthenticationError", 401, "invalid_api_key", None],
            "404": ["NotFoundError", 404, "model_not_found", None],
            "502": ["InternalServerError", 502, "ai_service_error", None],
            "504": ["InternalServerError", 504, "timeout", None],
            "stream": ["APIError", None, "ai_service_error", None],
        }


async def test_a_limit() -> None:
    """RateLimitError with Retry-After."""
    async with Gateway(app_codes=apps(rate_limit="1/hour")) as gateway:
        name, status, code, retry_after = await played(gateway, "limited")
        assert (name, status, code) == ("RateLimitError", 429, "rate_limit_exceeded")
        assert 3500 < int(retry_after) <= 3600


async def test_a_stream_that_is_left() -> None:
    """Its job ends with it."""
    async with Gateway(DISCONNECT_GRACE=0) as gateway:
        assert await played(gateway, "left") == 5
        await gateway.unread()
        await gateway.quiet()


async def test_a_background_response(gateway: Gateway) -> None:
    """Left in mid-stream, read on by its last number, and whole at the end."""
    numbers, last, text, status = await played(gateway, "background")
    assert numbers == list(range(len(numbers)))
    assert (last, text, status) == ("response.completed", "one two", "completed")


async def test_models(gateway: Gateway) -> None:
    """The list, over all its pages."""
    known = [model.name for model in gateway.config.catalog.models]
    assert await played(gateway, "models") == known
