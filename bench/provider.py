"""What reading a provider's stream costs, CPU µs of this process: `python -m bench.provider`.

Ways to ask the same simulated provider, which runs in a process of its own, for the same
answers; Anthropic's come on that provider's own wire. Each round runs every way once; the
figures are the median of the rounds, and the lowest and highest. There is no pass or fail:
compare within one table, from one run.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import NamedTuple, Protocol

import aiohttp
import httpx
import msgspec
from rich.console import Console
from rich.table import Table
from together import AsyncTogether, DefaultAioHttpClient

from gateway.messages import Message, Request
from gateway.providers import Provider
from gateway.providers.anthropic import Anthropic
from gateway.providers.dialect import Translator, body
from gateway.providers.openai import OpenAI
from gateway.providers.together import Together
from gateway.simulate import serve
from gateway.sse import Decoder

ROUNDS = 5
KEY = "any"
REQUEST = Request(
    messages=tuple(Message(role="user", content="What is a stream? " * 20) for _ in range(6)),
    model="simulated",
)
MESSAGES = msgspec.to_builtins(REQUEST.messages)
OPTIONS = {"include_usage": True}
encode = msgspec.json.Encoder().encode


class Load(NamedTuple):
    """So many requests, so many of them at once, of one scripted model.

    Attributes:
        tokens: chunks in an answer; the figure is per chunk, less what the requests cost.
            0: the figure is per request.
        apart_s: seconds between the starts, so that each way meets the chunks equally spread.
    """

    name: str
    model: str
    requests: int
    at_once: int
    tokens: int = 0
    apart_s: float = 0.0


LOADS = (
    Load("request", "lorem?tokens=1&first=0&gap=0", 200, 10),
    Load("paced chunk", "lorem?tokens=75&first=0&gap=0.02", 100, 100, 75, apart_s=0.0052),
    Load("bulk chunk", "lorem?tokens=500&first=0&gap=0", 20, 20, 500),
)


class Way(Protocol):
    """A way to ask and read."""

    name: str

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def answer(self, model: str) -> None:
        """Read one whole answer."""
        ...


class Documented:
    """The SDK as its manual shows it."""

    name = "together SDK, as documented"

    def __init__(self, url: str) -> None:
        self._url = url

    async def start(self) -> None:
        self._client = AsyncTogether(
            api_key=KEY,
            base_url=self._url,
            max_retries=0,
            # Nothing but the reading is to differ: no way is held back by a pool.
            http_client=DefaultAioHttpClient(limits=httpx.Limits(max_connections=None)),
        )

    async def stop(self) -> None:
        await self._client.close()

    async def answer(self, model: str) -> None:
        stream = await self._client.chat.completions.create(
            model=model, messages=MESSAGES, stream=True, extra_body={"stream_options": OPTIONS}
        )
        async for _ in stream:
            pass


class Streamed(Documented):
    """The SDK's own raw streaming, our splitting and decoding."""

    name = "together SDK, with_streaming_response"

    async def answer(self, model: str) -> None:
        asked = self._client.chat.completions.with_streaming_response.create(
            model=model,
            messages=[],
            stream=True,
            extra_body={"messages": MESSAGES, "stream_options": OPTIONS},
        )
        async with asked as response:
            await translate(response.iter_bytes())


class Gateway:
    """One of the gateway's providers."""

    def __init__(self, provider: Provider) -> None:
        self.name = f"gateway.providers.{provider.name}"
        self._provider = provider

    async def start(self) -> None:
        await self._provider.start()

    async def stop(self) -> None:
        await self._provider.stop()

    async def answer(self, model: str) -> None:
        async for _ in self._provider.stream(REQUEST, model):
            pass


class Bare:
    """No SDK: the floor under the others."""

    name = "bare aiohttp"

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            headers=self._headers,
        )

    async def stop(self) -> None:
        await self._session.close()

    async def answer(self, model: str) -> None:
        async with self._session.post(self._url, data=encode(body(REQUEST, model))) as response:
            await translate(response.content.iter_any())


async def translate(chunks: AsyncIterator[bytes]) -> None:
    """Read a stream into events, and drop them."""
    decoder, translator = Decoder(), Translator()
    async for chunk in chunks:
        for data in decoder.data(chunk):
            translator.feed(data)
    translator.end()


async def spent_us(way: Way, load: Load) -> float:
    """CPU time of this process for the load, in µs."""
    turns = asyncio.Semaphore(load.at_once)

    async def one(place: int) -> None:
        await asyncio.sleep(place * load.apart_s)
        async with turns:
            await way.answer(load.model)

    before = time.process_time()
    await asyncio.gather(*(one(i) for i in range(load.requests)))
    return (time.process_time() - before) * 1e6


async def measure(way: Way) -> list[float]:
    """One round: CPU µs per unit, in the order of LOADS."""
    figures: list[float] = []
    for load in LOADS:
        spent = await spent_us(way, load)
        if load.tokens:
            figures.append((spent / load.requests - figures[0]) / load.tokens)
        else:
            figures.append(spent / load.requests)
    return figures


async def compare(url: str) -> dict[str, list[list[float]]]:
    """All rounds of all ways, by the way's name."""
    ours: list[Provider] = [Together(KEY, url), OpenAI(KEY, url), Anthropic(KEY, url)]
    ways: list[Way] = [Documented(url), Streamed(url), *map(Gateway, ours), Bare(url)]
    rounds: dict[str, list[list[float]]] = {way.name: [] for way in ways}
    for way in ways:
        await way.start()
        # Connections are made, and caches are filled, before the clock runs.
        await spent_us(way, LOADS[1]._replace(model="lorem?tokens=2&first=0.5"))
    for _ in range(ROUNDS):
        for way in ways:
            rounds[way.name].append(await measure(way))
    for way in ways:
        await way.stop()
    return rounds


def show(rounds: dict[str, list[list[float]]]) -> None:
    """Print the table."""
    table = Table(title=f"CPU µs of the reader, median of {ROUNDS} (lowest–highest)")
    table.add_column("way")
    for load in LOADS:
        table.add_column(load.name, justify="right")
    for name, figures in rounds.items():
        columns = zip(*figures, strict=True)
        table.add_row(name, *(_brief(column) for column in columns))
    Console(width=100).print(table)


def _brief(values: tuple[float, ...]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.0f}–{max(values):.0f})"


def _simulate(announced: Connection) -> None:
    asyncio.run(serve("127.0.0.1", 0, announced.send))


def beside_a_simulator(run: Callable[[str], Awaitable[None]]) -> None:
    """Run with the address of a simulator in another process."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    simulator = context.Process(target=_simulate, args=(theirs,), daemon=True)
    simulator.start()
    try:
        asyncio.run(run(ours.recv()))  # type: ignore[arg-type]
    finally:
        simulator.terminate()
        simulator.join()


async def main(url: str) -> None:
    show(await compare(url))


if __name__ == "__main__":
    beside_a_simulator(main)
