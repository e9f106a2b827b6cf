"""OpenAI's own client for Python, and LangChain's, unchanged: they must not notice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import openai
import pytest
from aiohttp import web
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel, SecretStr

from gateway import simulate
from gateway.jobs import State
from tests.surfaces.running import CODE, QUICK, Gateway, apps
from tests.surfaces.teller import MODEL, Teller, logprobs, told

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "one two"}]
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object"}},
}
FUNCTION: FunctionToolParam = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object"},
    "strict": False,
}
CALLS = f"{QUICK}&tools=2"
ENDLESS = "together/lorem?first=0&gap=0.01&tokens=100000"


@asynccontextmanager
async def client(gateway: Gateway, **how: Any) -> AsyncIterator[AsyncOpenAI]:
    """The official client, with a base URL of ours and nothing else."""
    settings = {"api_key": CODE, "max_retries": 0, **how}
    async with AsyncOpenAI(base_url=f"{gateway.origin}/v1", **settings) as found:
        yield found


@asynccontextmanager
async def upstream() -> AsyncIterator[tuple[Gateway, simulate.Stats]]:
    """A gateway whose provider is a simulator over HTTP, which counts its streams."""
    app = simulate.build()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with Gateway(
            DISCONNECT_GRACE=0, TOGETHER_AI_API_KEY="key-of-nobody", TOGETHER_BASE_URL=origin
        ) as gateway:
            yield gateway, app[simulate.STATS]
    finally:
        await runner.cleanup()


# Chat completions ------------------------------------------------------------------------------


async def test_a_whole_answer(gateway: Gateway) -> None:
    """With its text, its tokens and its request's id."""
    async with client(gateway) as ai:
        answer = await ai.chat.completions.create(model=QUICK, messages=MESSAGES)
    assert answer.choices[0].message.content == "one two"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 4
    assert answer._request_id is not None
    assert answer.id == f"chatcmpl-{answer._request_id}"
    assert (await gateway.job(answer._request_id)).state is State.COMPLETED


async def test_the_blocking_client(gateway: Gateway) -> None:
    """Whole and streamed, from a thread of its own."""

    def use() -> tuple[str | None, str]:
        with OpenAI(base_url=f"{gateway.origin}/v1", api_key=CODE) as ai:
            whole = ai.chat.completions.create(model=QUICK, messages=MESSAGES)
            stream = ai.chat.completions.create(model=QUICK, messages=MESSAGES, stream=True)
            words = [chunk.choices[0].delta.content or "" for chunk in stream]
        return whole.choices[0].message.content, "".join(words)

    assert await asyncio.to_thread(use) == ("one two", "one two")


class City(BaseModel):
    """The form of an answer."""

    name: str


async def test_a_refusal_is_no_answer_to_be_parsed(teller: Teller) -> None:
    """Where an answer has a form, the client tells the refusal in its place; so it is sent back."""
    refused: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": told({"refusal": "I will not."})}
    ]
    async with Gateway(**teller.settings) as gateway, client(gateway) as ai:
        asked = await ai.chat.completions.parse(model=MODEL, messages=refused, response_format=City)
        message = asked.choices[0].message
        assert (message.content, message.refusal, message.parsed) == (None, "I will not.", None)
        async with ai.chat.completions.stream(
            model=MODEL, messages=refused, response_format=City
        ) as stream:
            kinds = [event.type async for event in stream if event.type != "chunk"]
        assert kinds == ["refusal.delta", "refusal.done"]
        again: list[Any] = [*refused, message, {"role": "user", "content": told("ok")}]
        await ai.chat.completions.create(model=MODEL, messages=again)
    assert teller.bodies[-1]["messages"][1] == {
        "role": "assistant",
        "content": None,
        "refusal": "I will not.",
    }


async def test_a_stream_with_tools_and_usage(gateway: Gateway) -> None:
    """The client puts the pieces together as it does those of OpenAI."""
    async with (
        client(gateway) as ai,
        ai.chat.completions.stream(
            model=CALLS, messages=MESSAGES, tools=[TOOL], stream_options={"include_usage": True}
        ) as stream,
    ):
        kinds = [event.type async for event in stream]
        answer = await stream.get_final_completion()
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == ("one two", "tool_calls")
    calls = [(call.id, call.function.name) for call in choice.message.tool_calls or ()]
    assert calls == [("call_0", "look"), ("call_1", "look")]
    assert kinds.count("tool_calls.function.arguments.done") == 2
    assert answer.usage is not None
    assert answer.usage.total_tokens == 4


async def test_how_likely_each_token_was(teller: Teller) -> None:
    """Whole, and as the client puts a stream together; nothing where nobody asks."""
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": told("one", " two")}]
    async with Gateway(**teller.settings) as gateway, client(gateway) as ai:
        asked = partial(ai.chat.completions.create, model=MODEL, messages=messages)
        answers = [await asked(logprobs=True), await asked()]
        async with ai.chat.completions.stream(
            model=MODEL, messages=messages, logprobs=True
        ) as stream:
            answers.append(await stream.get_final_completion())
    found = [answer.choices[0].logprobs for answer in answers]
    want = logprobs("one", " two")
    assert [each and each.to_dict() for each in found] == [want, None, want]


async def test_models(gateway: Gateway) -> None:
    """Listed, and each by its name with its slash."""
    async with client(gateway) as ai:
        names = [model.id async for model in ai.models.list()]
        assert [(await ai.models.retrieve(name)).id for name in names] == names != []


Asking = Callable[[AsyncOpenAI], Any]


def ask(model: str, **more: Any) -> Asking:
    return lambda ai: ai.chat.completions.create(model=model, messages=MESSAGES, **more)


ERRORS: dict[str, tuple[Asking, type[openai.APIStatusError], str | None]] = {
    "400": (ask(QUICK, n=2), openai.BadRequestError, None),
    "400 of the provider": (ask("simulator/echo?status=422"), openai.BadRequestError, None),
    "404": (ask("no-such-model"), openai.NotFoundError, "model_not_found"),
    "404 of a model": (
        lambda ai: ai.models.retrieve("no"),
        openai.NotFoundError,
        "model_not_found",
    ),
    "502": (ask("simulator/echo?status=401"), openai.InternalServerError, "ai_service_error"),
    "502 streamed": (
        ask("simulator/echo?status=401", stream=True),
        openai.InternalServerError,
        "ai_service_error",
    ),
    "504": (ask("simulator/echo?first=0&stall=0"), openai.InternalServerError, "timeout"),
}


@pytest.mark.parametrize(("asking", "kind", "code"), ERRORS.values(), ids=ERRORS)
async def test_the_classes_of_errors(
    asking: Asking, kind: type[openai.APIStatusError], code: str | None
) -> None:
    """The client raises what it raises for OpenAI."""
    async with Gateway(FIRST_TOKEN_TIMEOUT=0.1) as gateway, client(gateway) as ai:
        with pytest.raises(kind) as raised:
            await asking(ai)
        assert (type(raised.value), raised.value.code) == (kind, code)


async def test_a_wrong_key(gateway: Gateway) -> None:
    """AuthenticationError."""
    async with client(gateway, api_key="nobody") as ai:
        with pytest.raises(openai.AuthenticationError) as raised:
            await ask(QUICK)(ai)
        assert raised.value.code == "invalid_api_key"


async def test_what_is_forbidden() -> None:
    """PermissionDeniedError."""
    allowed = apps(allowed_models=["simulator/lorem"])
    async with Gateway(app_codes=allowed) as gateway, client(gateway) as ai:
        with pytest.raises(openai.PermissionDeniedError):
            await ask(QUICK)(ai)


async def test_a_limit() -> None:
    """RateLimitError with Retry-After."""
    async with Gateway(app_codes=apps(rate_limit="1/hour")) as gateway, client(gateway) as ai:
        await ask(QUICK)(ai)
        with pytest.raises(openai.RateLimitError) as raised:
            await ask(QUICK)(ai)
        assert raised.value.code == "rate_limit_exceeded"
        assert 3590 < int(raised.value.response.headers["retry-after"]) <= 3600


async def test_the_client_comes_back_when_it_is_told_to() -> None:
    """With its retries on, a short limit is no error to its user."""
    limited = Gateway(app_codes=apps(rate_limit="1/second"))
    async with limited as gateway, client(gateway, max_retries=2) as ai:
        answers = [await ask(QUICK)(ai) for _ in range(2)]
        assert [answer.choices[0].message.content for answer in answers] == ["one two"] * 2


async def test_what_cannot_help_is_not_tried_again(gateway: Gateway) -> None:
    """One job, though the client would try a 502 again."""
    async with client(gateway, max_retries=2) as ai:
        with pytest.raises(openai.InternalServerError) as raised:
            await ask("simulator/echo?status=401")(ai)
        assert raised.value.response.request.headers["x-stainless-retry-count"] == "0"


async def test_an_error_in_mid_stream(gateway: Gateway) -> None:
    """APIError after the words that came before it."""
    async with client(gateway) as ai:
        stream = await ask(f"{QUICK}&cut=1", stream=True)(ai)
        words = [(await anext(stream)).choices[0].delta.content for _ in range(2)]
        with pytest.raises(openai.APIError) as raised:
            await anext(stream)
    assert (words, raised.value.code) == (["", "one"], "ai_service_error")


async def test_a_time_out_of_the_client() -> None:
    """APITimeoutError; the provider is left as soon."""
    async with upstream() as (gateway, stats), client(gateway, timeout=2.0) as ai:
        with pytest.raises(openai.APITimeoutError):
            await ask(ENDLESS)(ai)
        async with asyncio.timeout(20):
            await stats.until(lambda counts: counts.closed_early == 1)


async def test_a_stream_that_is_left() -> None:
    """Within a second the provider's stream is closed, and the job cancelled."""
    async with upstream() as (gateway, stats), client(gateway) as ai:
        stream = await ask(ENDLESS, stream=True)(ai)
        job_id = stream.response.headers["x-request-id"]
        for _ in range(5):
            await anext(stream)
        assert (stats.open, stats.closed_early) == (1, 0)
        await stream.close()
        async with asyncio.timeout(20):
            await stats.until(lambda counts: counts.closed_early == 1)
        await gateway.quiet()
        assert (await gateway.job(job_id)).state is State.CANCELLED


async def test_a_whole_answer_that_is_left() -> None:
    """Likewise, though nothing has been answered yet."""
    async with upstream() as (gateway, stats), client(gateway) as ai:
        asking = asyncio.create_task(ask(ENDLESS)(ai))
        await stats.until(lambda counts: counts.open == 1)
        asking.cancel()
        async with asyncio.timeout(20):
            await stats.until(lambda counts: counts.closed_early == 1)


# Responses -------------------------------------------------------------------------------------


async def test_a_response(gateway: Gateway) -> None:
    """Whole, with its text and its tokens."""
    async with client(gateway) as ai:
        answer = await ai.responses.create(model=QUICK, input="one two")
    assert (answer.output_text, answer.status) == ("one two", "completed")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 4


async def test_a_background_response_is_read_again_from_any_event(gateway: Gateway) -> None:
    """`starting_after` any number gives exactly what follows it; the end is the same object."""
    async with client(gateway) as ai:
        stream = await ai.responses.create(
            model=CALLS, input="one two", tools=[FUNCTION], background=True, stream=True
        )
        events = [event.model_dump() async for event in stream]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        name = events[0]["response"]["id"]
        for number in range(len(events)):
            rest = await ai.responses.retrieve(name, stream=True, starting_after=number)
            assert [event.model_dump() async for event in rest] == events[number + 1 :]
        again = await ai.responses.retrieve(name, stream=True)
        assert [event.model_dump() async for event in again] == events
        whole = await ai.responses.retrieve(name)
        assert events[-1] == {
            "type": "response.completed",
            "sequence_number": len(events) - 1,
            "response": whole.model_dump(),
        }


async def test_a_background_response_is_cancelled() -> None:
    """In mid-stream: the provider is left within a second."""
    async with upstream() as (gateway, stats), client(gateway) as ai:
        made = await ai.responses.create(model=ENDLESS, input="x", background=True)
        assert (made.status, made.output) == ("queued", [])
        await stats.until(lambda counts: counts.open == 1)
        cancelled = await ai.responses.cancel(made.id)
        assert cancelled.status == "cancelled"
        async with asyncio.timeout(20):
            await stats.until(lambda counts: counts.closed_early == 1)
        assert (await ai.responses.retrieve(made.id)).status == "cancelled"


async def test_the_clients_own_picture_of_a_streamed_response(gateway: Gateway) -> None:
    """It puts the events together, as it does those of OpenAI."""
    async with (
        client(gateway) as ai,
        ai.responses.stream(model=CALLS, input="one two", tools=[FUNCTION]) as stream,
    ):
        async for _ in stream:
            pass
        answer = await stream.get_final_response()
    assert [item.type for item in answer.output] == ["message", *["function_call"] * 2]
    assert answer.output_text == "one two"


# LangChain -------------------------------------------------------------------------------------


def chain(gateway: Gateway, model: str = QUICK, **how: Any) -> ChatOpenAI:
    """LangChain's client, which is OpenAI's with its own ways."""
    return ChatOpenAI(base_url=f"{gateway.origin}/v1", api_key=SecretStr(CODE), model=model, **how)


@pytest.mark.parametrize("responses", [False, True], ids=["completions", "responses"])
async def test_langchain(gateway: Gateway, responses: bool) -> None:
    """Whole, streamed, with tools, with the tokens."""
    model = chain(gateway, use_responses_api=responses)
    whole = await model.ainvoke("one two")
    assert whole.text == "one two"
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["total_tokens"] == 4
    chunks = [chunk async for chunk in model.astream("one two")]
    assert "".join(chunk.text for chunk in chunks) == "one two"
    caller = chain(gateway, CALLS, use_responses_api=responses)
    called = await caller.bind_tools([dict(TOOL)]).ainvoke("one two")
    assert [(call["name"], call["args"]["call"]) for call in called.tool_calls] == [
        ("look", 0),
        ("look", 1),
    ]
