"""What the providers over aiohttp share."""

import asyncio
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.events import Completed, Delta
from gateway.providers import Output, anthropic_answer, dialect
from gateway.providers.anthropic import Anthropic
from gateway.providers.http_provider import environment_proxy
from gateway.providers.openai import OpenAI
from gateway.providers.translation import Translation
from tests.providers.conformance import ask


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of the URL's scheme is used, but not for hosts that the environment exempts."""
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", "inside.test")
    urls = ["https://api.test/v1", "https://inside.test/v1"]
    assert [environment_proxy(url) for url in urls] == ["http://proxy.test:3128", None]


class Server:
    """Writes an answer piece by piece, each when the one before has been read."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces
        self.read = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in self.pieces:
            self.read.clear()
            await response.write(piece.encode())
            await self.read.wait()
        return response

    async def lists(self, provider: OpenAI | Anthropic) -> list[list[Output]]:
        found = []
        async for outputs in provider.stream(ask(), "any"):
            found.append(outputs)
            self.read.set()
        return found


def choice(**delta: object) -> str:
    told = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    return f"data: {json.dumps(told)}\n\n"


def block(**delta: object) -> str:
    return f"data: {json.dumps({'type': 'content_block_delta', 'index': 0, 'delta': delta})}\n\n"


DIALECTS: dict[str, tuple[type[OpenAI] | type[Anthropic], list[str]]] = {
    "openai": (
        OpenAI,
        [
            choice(role="assistant", content=""),
            ": waits\n\n" + choice(reasoning_content="Hm."),
            choice(tool_calls=[{"index": 0, "function": {"arguments": "{"}}]),
            choice(content="Hi"),
            "data: [DONE]\n\n",
        ],
    ),
    "anthropic": (
        Anthropic,
        [
            'data: {"type": "message_start"}\n\n',
            'data: {"type": "ping"}\n\n' + block(type="thinking_delta", thinking="Hm."),
            block(type="input_json_delta", partial_json="{"),
            block(type="text_delta", text="Hi"),
            'data: {"type": "message_stop"}\n\n',
        ],
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_model_at_work_is_not_silent(dialect: str) -> None:
    """Thoughts and the pieces of a call are told as nothing, not as silence."""
    kind, pieces = DIALECTS[dialect]
    server = Server(*pieces)
    app = web.Application()
    app.router.add_post("/{path:.*}", server.answer)
    async with TestServer(app) as running:
        provider = kind("key", str(running.make_url("/")))
        await provider.start()
        *work, said, end = await server.lists(provider)
        await provider.stop()
    assert (work, said) == ([[], [], []], [Delta(text="Hi")])
    assert isinstance(end[-1], Completed)


@pytest.mark.parametrize(
    ("translator", "data"),
    [
        (dialect.Translator, {"choices": [], "usage": {"prompt_tokens": 1}}),
        (anthropic_answer.Translator, {"type": "ping"}),
    ],
)
def test_a_sign_of_the_connection_is_no_sign_of_work(
    translator: type[Translation], data: object
) -> None:
    """Who only keeps a connection open is cut off in time."""
    translation = translator()  # type: ignore[call-arg]
    assert translation.feed(json.dumps(data).encode()) is None
    assert translation.at_work is False
