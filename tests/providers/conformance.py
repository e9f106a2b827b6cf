"""What every provider must do, shown against the simulator over HTTP.

A provider's test file subclasses `ProviderConformance` and says in `make` how to build one.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from gateway.errors import (
    ProviderError,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderRefused,
    ProviderTimeout,
)
from gateway.events import Completed, Delta, ToolCall, Usage
from gateway.messages import Message, Request
from gateway.providers import Output, Provider
from gateway.providers.simulator import read_script
from tests.providers.conftest import Upstream

KEY = "canary-key-3f1d"
FAST = "first=0&gap=0"
SLOW = "first=0&gap=0.005"
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def ask(prompt: str = "one two three", **fields: object) -> Request:
    request = {"messages": (Message(role="user", content=prompt),), "model": "any", **fields}
    return Request(**request)  # type: ignore[arg-type]


def text(parts: list[Output]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Delta))


async def play(provider: Provider, model: str, request: Request | None = None) -> list[Output]:
    return [part async for parts in provider.stream(request or ask(), model) for part in parts]


async def play_until_failure(provider: Provider, model: str) -> tuple[str, ProviderError]:
    """What was said before the failure, and the failure."""
    said: list[Output] = []

    async def read() -> None:
        async for parts in provider.stream(ask(), model):
            said.extend(parts)

    with pytest.raises(ProviderError) as failed:
        await read()
    return text(said), failed.value


class ProviderConformance:
    """The suite. Each test has a provider of its own, started, with a good key."""

    path = "/v1/chat/completions"

    def make(self, base_url: str, key: str) -> Provider:
        """A provider of the kind under test, not started."""
        raise AssertionError("a suite says which provider it is about")

    @pytest.fixture
    async def provider(self, upstream: Upstream) -> AsyncIterator[Provider]:
        provider = self.make(upstream.url, KEY)
        await provider.start()
        yield provider
        await provider.stop()

    async def test_an_answer_arrives_as_events(self, provider: Provider) -> None:
        """Each piece is a delta, in order; usage and then Completed end it."""
        assert await play(provider, f"echo?{SLOW}") == [
            Delta(text="one"),
            Delta(text=" two"),
            Delta(text=" three"),
            Usage(prompt_tokens=4, completion_tokens=3),
            Completed(finish_reason="stop"),
        ]

    async def test_a_long_answer_arrives_whole(self, provider: Provider) -> None:
        """Nothing is lost, doubled or reordered, however the bytes are joined on the way."""
        model = f"lorem?tokens=5000&{FAST}"
        want = [step.part for step in read_script(model).plan("one two three", None, ())]
        assert await play(provider, model) == want

    @pytest.mark.parametrize("split", ["bytes", "surrogates"])
    async def test_torn_characters_are_joined(self, provider: Provider, split: str) -> None:
        """A character cut between two packets, or two deltas, arrives as one."""
        model = f"unicode?{SLOW}&tokens=20&split={split}"
        steps = read_script(model).plan("", None, ())
        want = text([step.part for step in steps if isinstance(step.part, Delta)])
        got = text(await play(provider, model))
        assert (got, "\ufffd" in got) == (want, False)

    async def test_tool_calls_arrive_whole(self, provider: Provider) -> None:
        """Fragments of several calls become one event each, before usage and the finish."""
        parts = await play(provider, f"echo?tools=2&{FAST}", ask("x", tools=(WEATHER,)))
        assert parts == [
            Delta(text="x"),
            ToolCall(id="call_0", name="weather", arguments='{"prompt":"x","call":0}'),
            ToolCall(id="call_1", name="weather", arguments='{"prompt":"x","call":1}'),
            Usage(prompt_tokens=1, completion_tokens=1),
            Completed(finish_reason="tool_calls"),
        ]

    async def test_usage_may_be_missing(self, provider: Provider) -> None:
        """A provider that counts no tokens says nothing of them."""
        parts = await play(provider, f"echo?usage=0&{FAST}", ask("x"))
        assert parts == [Delta(text="x"), Completed(finish_reason="stop")]

    async def test_the_ceiling_is_sent(self, provider: Provider) -> None:
        """`max_tokens` reaches the provider, and its finish comes back."""
        parts = await play(provider, f"echo?{FAST}", ask(max_tokens=2))
        assert (text(parts), parts[-1]) == ("one two", Completed(finish_reason="length"))

    @pytest.mark.parametrize(
        ("status", "kind", "retryable"),
        [
            (400, ProviderRefused, False),
            (401, ProviderError, False),
            (403, ProviderError, False),
            (404, ProviderLacksModel, False),
            (408, ProviderTimeout, True),
            (409, ProviderError, True),
            (413, ProviderRefused, False),
            (418, ProviderError, False),
            (422, ProviderRefused, False),
            (429, ProviderRateLimited, True),
            (498, ProviderRateLimited, True),
            (500, ProviderError, True),
            (503, ProviderError, True),
            (504, ProviderTimeout, True),
            (529, ProviderError, True),
        ],
    )
    async def test_a_status_says_whether_to_try_again(
        self, provider: Provider, status: int, kind: type[ProviderError], retryable: bool
    ) -> None:
        """Statuses become the errors that the engine acts on."""
        _, error = await play_until_failure(provider, f"echo?status={status}")
        assert (type(error), error.retryable, error.retry_after_s) == (kind, retryable, None)

    async def test_retry_after_is_kept(self, provider: Provider) -> None:
        """A provider's wish to wait reaches the engine, in seconds."""
        _, error = await play_until_failure(provider, "echo?status=429&retry_after=7")
        assert error.retry_after_s == 7.0

    async def test_one_question_is_one_request(
        self, provider: Provider, upstream: Upstream
    ) -> None:
        """Trying again is the engine's: a failure is one request upstream."""
        await play_until_failure(provider, "echo?status=503")
        assert upstream.stats.requests == 1

    @pytest.mark.parametrize("fault", ["cut", "malformed", "error", "end"])
    async def test_a_broken_stream_is_a_failure(self, provider: Provider, fault: str) -> None:
        """What arrived before a fault is delivered; an answer that is not whole never completes."""
        said, error = await play_until_failure(provider, f"echo?{fault}=2&{SLOW}")
        assert (said, type(error), error.retryable) == ("one two", ProviderError, True)

    @pytest.mark.parametrize("script", ["status=401", "status=400", "status=500", "error=1"])
    async def test_errors_tell_no_secrets(self, provider: Provider, script: str) -> None:
        """Neither the key nor the provider's words are in the error; the key is in no log line."""
        with capture_logs() as lines:
            _, error = await play_until_failure(provider, f"echo?{script}&{FAST}")
        shown = f"{error} {error!r} {error.__dict__}"
        assert "simulator" not in shown.lower()
        assert KEY not in f"{shown} {lines}"

    async def test_leaving_a_silent_stream_closes_it(
        self, provider: Provider, upstream: Upstream
    ) -> None:
        """`aclose` reaches a provider that says nothing: it stops generating."""
        stream = provider.stream(ask(), f"echo?stall=1&{FAST}")
        assert await anext(stream) == [Delta(text="one")]
        await stream.aclose()
        async with asyncio.timeout(20):
            await upstream.stats.until(lambda stats: stats.closed_early == 1)

    async def test_leaving_early_closes_the_stream(
        self, provider: Provider, upstream: Upstream
    ) -> None:
        """A reader that has heard enough ends the provider's work."""
        async with aclosing(provider.stream(ask(), f"lorem?tokens=90000&{SLOW}")) as stream:
            await anext(stream)
        async with asyncio.timeout(20):
            await upstream.stats.until(lambda stats: stats.closed_early == 1)

    @pytest.mark.parametrize("script", [f"lorem?tokens=90000&{SLOW}", "lorem?first=3600"])
    async def test_cancelling_closes_the_stream(
        self, provider: Provider, upstream: Upstream, script: str
    ) -> None:
        """A cancelled task leaves no stream behind, before the first token or after it."""
        task = asyncio.ensure_future(play(provider, script))
        async with asyncio.timeout(20):
            await upstream.stats.until(lambda stats: stats.open == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(20):
            await upstream.stats.until(lambda stats: stats.closed_early == 1)

    async def test_a_connection_is_used_again(self, provider: Provider, upstream: Upstream) -> None:
        """Answers one after the other share a connection; refusals do not cost one."""
        for script in (SLOW, FAST, "status=503", "status=429", FAST):
            try:
                await play(provider, f"echo?{script}")
            except ProviderError:
                continue
        assert len(upstream.connections) == 1

    async def test_a_late_end_does_not_cost_the_connection(
        self, provider: Provider, upstream: Upstream
    ) -> None:
        """The last bytes may trail behind [DONE] a little."""
        for _ in range(2):
            await play(provider, f"echo?{FAST}&linger=0.02")
        assert len(upstream.connections) == 1

    async def test_a_missing_end_does_not_delay_the_answer(
        self, provider: Provider, upstream: Upstream
    ) -> None:
        """After [DONE] the answer is whole, and a connection left open is closed."""
        async with asyncio.timeout(20):
            parts = await play(provider, f"echo?{FAST}&linger=3600")
            await upstream.stats.until(lambda stats: stats.open == 0)
        assert (text(parts), parts[-1]) == ("one two three", Completed())

    async def test_a_redirect_is_not_followed(self) -> None:
        """The key goes nowhere but to the configured address."""
        asked: list[str] = []

        async def elsewhere(request: web.Request) -> web.Response:
            asked.append(request.path)
            return web.Response(status=307, headers={"Location": "/elsewhere"})

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", elsewhere)
        async with TestServer(app) as server:
            provider = self.make(str(server.make_url("")), KEY)
            await provider.start()
            _, error = await play_until_failure(provider, "echo")
            await provider.stop()
        assert (asked, error.retryable) == ([self.path], False)

    async def test_many_streams_at_once(self, provider: Provider, upstream: Upstream) -> None:
        """No pool of a library's default size holds the streams back."""
        streams = [
            asyncio.ensure_future(play(provider, "echo?first=3600&gap=0")) for _ in range(150)
        ]
        async with asyncio.timeout(20):
            await upstream.stats.until(lambda stats: stats.open == 150)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        async with asyncio.timeout(20):
            await upstream.stats.until(lambda stats: stats.open == 0)

    async def test_a_good_key_is_told_from_a_bad_one(
        self, provider: Provider, upstream: Upstream
    ) -> None:
        """`check` passes with a good key, and says that a refused one is no use trying again."""
        await provider.check()
        refused = self.make(upstream.url, "bad-key-1")
        await refused.start()
        with pytest.raises(ProviderError, match="refused our credentials") as failed:
            await refused.check()
        await refused.stop()
        assert (failed.value.retryable, "bad-key-1" in str(failed.value)) == (False, False)

    @pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
    async def test_the_base_url_may_end_in_v1(self, upstream: Upstream, suffix: str) -> None:
        """Both ways to write a provider's address mean the same."""
        provider = self.make(upstream.url + suffix, KEY)
        await provider.start()
        await provider.check()
        assert text(await play(provider, f"echo?{FAST}")) == "one two three"
        await provider.stop()

    async def test_nobody_listens(self) -> None:
        """A refused connection may be tried again, for the check and for a stream."""
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        provider = self.make(f"http://127.0.0.1:{port}", KEY)
        await provider.start()
        _, asked = await play_until_failure(provider, "echo")
        with pytest.raises(ProviderError) as checked:
            await provider.check()
        await provider.stop()
        assert (asked.retryable, checked.value.retryable) == (True, True)

    async def test_stopping_is_always_safe(self, upstream: Upstream) -> None:
        """`stop` works unstarted and twice."""
        provider = self.make(upstream.url, KEY)
        await provider.stop()
        await provider.start()
        await provider.stop()
        await provider.stop()
