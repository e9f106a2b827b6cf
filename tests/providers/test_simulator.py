"""The simulator: scripts are read strictly and played exactly."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.errors import GatewayError, ProviderError, ProviderRefused
from gateway.events import Completed, Delta, ToolCall, Usage
from gateway.messages import Message, Request
from gateway.providers import Output
from gateway.providers.simulator import Fault, Script, Simulator, Split, read_script


def ask(prompt: str = "one two three", max_tokens: int | None = None) -> Request:
    return Request(
        messages=(Message(role="user", content=prompt),), model="simulator", max_tokens=max_tokens
    )


class Sleeper:
    """Sleeps no time at all, and remembers how long it should have."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


async def play(model: str, request: Request | None = None) -> list[Output]:
    return [
        part
        async for parts in Simulator(Sleeper()).stream(request or ask(), model)
        for part in parts
    ]


def text(parts: list[Output]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Delta))


@pytest.mark.parametrize("model", ["echo", "simulator/echo", "a/b/echo", "demo?text=echo"])
async def test_echo_says_the_prompt_word_by_word(model: str) -> None:
    """Each word is a delta, white space included; usage and finish follow."""
    assert await play(model, ask(" one  two\n")) == [
        Delta(text=" one"),
        Delta(text="  two"),
        Delta(text="\n"),
        Usage(prompt_tokens=3, completion_tokens=3),
        Completed(finish_reason="stop"),
    ]


async def test_an_unknown_name_introduces_itself() -> None:
    """Any other model says that it is a simulator, and what it was asked."""
    said = text(await play("meta-llama/whatever", ask("why?")))
    assert "simulator, not a model" in said
    assert "“why?”" in said


async def test_a_long_prompt_is_quoted_briefly() -> None:
    """The introduction holds no more than the beginning of the prompt."""
    said = text(await play("simulator", ask("x" * 1000)))
    assert f"“{'x' * 80}…”" in said


async def test_tokens_fix_the_length() -> None:
    """The text is repeated, or cut, to the number of words asked for."""
    assert text(await play("echo?tokens=5")) == "one two three one two"
    assert text(await play("echo?tokens=2")) == "one two"
    assert len(text(await play("lorem?tokens=500")).split()) == 500


async def test_chunks_join_words() -> None:
    """`chunk` is the number of words in a delta."""
    parts = await play("echo?chunk=2")
    assert parts[:2] == [Delta(text="one two"), Delta(text=" three")]


async def test_max_tokens_end_the_answer() -> None:
    """A request's ceiling holds, and the finish says so."""
    parts = await play("echo", ask(max_tokens=2))
    assert (text(parts), parts[-1]) == ("one two", Completed(finish_reason="length"))


async def test_the_pace_is_the_script_s() -> None:
    """`first` comes before the first chunk, `gap` before each other one; the end needs no more."""
    sleeper = Sleeper()
    async for _ in Simulator(sleeper).stream(ask(), "echo?first=2&gap=0.5"):
        pass
    assert sleeper.slept == [2.0, 0.5, 0.5, 0.5]


async def test_what_comes_at_once_comes_together() -> None:
    """Without a gap a read brings many words, but never so many that others would wait for it."""
    sleeper = Sleeper()
    simulator = Simulator(sleeper)
    reads = [len(parts) async for parts in simulator.stream(ask(), "lorem?tokens=100&gap=0")]
    assert reads == [64, 38]
    assert sleeper.slept == [0.3, 0.0]


async def test_tools_are_called_whole() -> None:
    """Tool calls choose among the request's tools in turn."""
    request = Request(
        messages=(Message(role="user", content="x"),),
        model="echo",
        tools=({"type": "function", "function": {"name": "look"}},),
    )
    assert await play("echo?tools=2&usage=0", request) == [
        Delta(text="x"),
        ToolCall(id="call_0", name="look", arguments='{"prompt":"x","call":0}'),
        ToolCall(id="call_1", name="look", arguments='{"prompt":"x","call":1}'),
        Completed(finish_reason="tool_calls"),
    ]


@pytest.mark.parametrize("fault", ["cut", "malformed", "error", "end"])
async def test_a_fault_comes_after_its_words(fault: str) -> None:
    """What was said before a fault arrives; then a failure that may be tried again."""
    got: list[Output] = []

    async def read() -> None:
        async for parts in Simulator(Sleeper()).stream(ask(), f"echo?{fault}=2"):
            got.extend(parts)

    with pytest.raises(ProviderError) as failed:
        await read()
    assert (text(got), failed.value.retryable) == ("one two", True)


async def test_a_stall_stays_silent() -> None:
    """After a stall nothing more is said, and leaving works."""
    stream = Simulator(Sleeper()).stream(ask(), "echo?stall=1")
    assert await anext(stream) == [Delta(text="one")]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.02)
    await stream.aclose()


async def test_it_refuses_as_often_as_told() -> None:
    """`refuse` counts for each question; then the answer comes."""
    simulator = Simulator(Sleeper())
    seen: list[float | None] = []
    for _ in range(3):
        try:
            async for _part in simulator.stream(ask(), "echo?status=429&refuse=2&retry_after=7"):
                pass
            seen.append(None)
        except ProviderError as error:
            seen.append(error.retry_after_s)
    assert seen == [7.0, 7.0, None]


async def test_it_does_not_remember_every_refusal() -> None:
    """Callers may put any number of questions: the oldest is one it has never heard."""
    simulator = Simulator(Sleeper())
    refused = 0
    for number in [*range(1001), *range(1001)]:
        try:
            async for _part in simulator.stream(ask(f"question {number}"), "echo?refuse=1"):
                pass
        except ProviderError:
            refused += 1
    assert refused == 2002


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [(400, ProviderRefused, False), (401, ProviderError, False), (503, ProviderError, True)],
)
async def test_a_status_refuses_at_once(
    status: int, kind: type[GatewayError], retryable: bool
) -> None:
    """A status stands for the failure that it would be over HTTP."""
    with pytest.raises(ProviderError) as failed:
        await play(f"echo?status={status}")
    assert (type(failed.value), failed.value.retryable) == (kind, retryable)


@pytest.mark.parametrize(
    "model",
    ["echo?gpa=1", "echo?gap=-1", "echo?gap=nan", "echo?chunk=0", "echo?tokens=x", "x?cut="],
)
def test_a_script_with_a_mistake_is_refused(model: str) -> None:
    """An unknown parameter, or a value out of range, is named and not guessed at."""
    with pytest.raises(ProviderRefused, match=model[model.index("?") + 1 :].partition("=")[0]):
        read_script(model)


def test_overrides_beat_the_name() -> None:
    """Parameters from elsewhere win over those in the model's name."""
    want = Script(text="echo", gap=0.5, cut=3, split=Split.BYTES)
    assert read_script("x/echo?gap=0.1&cut=3", "gap=0.5&split=bytes") == want


def test_the_first_fault_counts() -> None:
    """Of two faults the earlier one happens."""
    assert read_script("echo?cut=9&stall=4").fault == (4, Fault.STALL)


@pytest.mark.parametrize("model", ["echo", "unicode?tokens=7", "lorem?tools=1", "echo?error=1"])
def test_a_plan_is_the_same_each_time(model: str) -> None:
    """Scripts hold no chance: what was seen once can be seen again."""
    script = read_script(model)
    plans: list[Callable[[], list[object]]] = [lambda: list(script.plan("a b c", None, ()))] * 2
    assert plans[0]() == plans[1]()


async def test_starting_and_stopping_cost_nothing() -> None:
    """The life cycle is that of any provider; stopping works unstarted and twice."""
    simulator = Simulator()
    await simulator.stop()
    await simulator.start()
    await simulator.check()
    await simulator.stop()
    await simulator.stop()
