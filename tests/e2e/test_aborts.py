"""Clients that leave at any moment, by the thousand, and what the gateway keeps of them: nothing.

The seed is printed; ABORTS_SEED repeats a run. FAULTS=long makes it 10,000.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from random import Random

import pytest

from tests.e2e import calls, servers, wire
from tests.e2e.calls import LONG, Inbox
from tests.e2e.servers import CODE, Server, counters, open_streams

ROUND = 5000 if LONG else 500
AT_ONCE = 100
SEED = int(os.environ.get("ABORTS_SEED", "0")) or time.time_ns() % 1_000_000
# What is over is forgotten in the end. The short run does not wait for it: it may keep some kB
# for each of them.
_KEPT_S, _FORGET_S = ("15", 42.0) if LONG else ("3600", 0.0)
_GROWTH_MB = 8.0 if LONG else 0.02 * ROUND
_MODEL = "together/lorem?first=0.02&gap=0.005&tokens=30"
# Slow jobs that only a cancel ends in time.
_ENDLESS = "together/lorem?first=0.02&gap=0.02&tokens=100000"
_KEY = {"Authorization": f"Bearer {CODE}"}


class Clients:
    """Badly behaved ones.

    Attributes:
        accepted: callback names of the jobs that were surely made.
    """

    def __init__(self, origin: str, inbox: Inbox, rng: Random) -> None:
        self.accepted: set[str] = set()
        self._origin = origin
        self._inbox = inbox
        self._rng = rng
        self._named = 0

    async def misbehave(self, times: int) -> None:
        """Have so many of them come and go, many at once."""
        ways: list[Callable[[Random], Awaitable[None]]] = [
            self.leave_posting, self.leave_the_head, self.leave_the_stream,
            self.cancel_while_reading, self.cancel_unread, self.cancel_queued,
        ]  # fmt: skip
        turns = iter([(self._rng.choice(ways), Random(self._rng.random())) for _ in range(times)])

        async def take_turns() -> None:
            for way, rng in turns:
                await way(rng)

        async with asyncio.TaskGroup() as clients:
            for _ in range(AT_ONCE):
                clients.create_task(take_turns())

    async def leave_posting(self, rng: Random) -> None:
        """Stop at any byte of a POST, or just after it."""
        body = calls.asking(_MODEL, "hi", f"{self._inbox.origin}/{self._name()}")
        request = wire.posting(self._origin, "/init-stream", body)
        await self._send_some(request, rng)

    async def leave_the_head(self, rng: Random) -> None:
        """Stop at any byte of the request for a stream."""
        url = await self._init(_MODEL)
        path = url.removeprefix(self._origin)
        await self._send_some(wire.head("GET", self._origin, path, {}), rng)

    async def leave_the_stream(self, rng: Random) -> None:
        """Read some of a stream."""
        stream = await wire.stream(await self._init(_MODEL))
        await _read_some(stream, rng)

    async def cancel_while_reading(self, rng: Random) -> None:
        """Cancel a job that one reads, and that only the cancel ends."""
        url = await self._init(_ENDLESS)
        stream = await wire.stream(url)
        reading = asyncio.create_task(_read_some(stream, rng))
        await asyncio.sleep(rng.uniform(0, 0.1))
        await self._cancel(calls.job_id_of(url))
        await reading

    async def cancel_unread(self, rng: Random) -> None:
        """Cancel a job that nobody reads."""
        url = await self._init(_ENDLESS)
        await asyncio.sleep(rng.uniform(0, 0.1))
        await self._cancel(calls.job_id_of(url))

    async def cancel_queued(self, rng: Random) -> None:
        """Cancel a job of the queue's door, perhaps twice at once."""
        job_id = await calls.queue(self._origin, _ENDLESS)
        await asyncio.sleep(rng.choice([0, 0, rng.uniform(0, 0.05)]))
        await asyncio.gather(*(self._cancel(job_id) for _ in range(rng.choice([1, 2]))))
        said = await calls.polled(self._origin, job_id)
        assert said == {"status": "cancelled", "message": "Request was cancelled"}

    def _name(self) -> str:
        self._named += 1
        return f"a{self._named}"

    async def _init(self, model: str) -> str:
        name = self._name()
        self.accepted.add(name)
        return await calls.init(self._origin, self._inbox, model, name=name)

    async def _cancel(self, job_id: str) -> None:
        answer = await wire.post(self._origin, f"/cancel_request/{job_id}", {"x": 1}, **_KEY)
        assert answer.status == 200, answer

    async def _send_some(self, request: bytes, rng: Random) -> None:
        _, writer = await wire.connect(self._origin)
        writer.write(request[: rng.randrange(len(request) + 1)])
        # Sometimes the answer is on its way already.
        await asyncio.sleep(rng.choice([0, 0, rng.uniform(0, 0.05)]))
        await _leave(writer, rng)


async def _read_some(stream: wire.Stream, rng: Random) -> None:
    left = rng.randrange(40)
    async for _ in stream.frames():
        left -= 1
        if left < 0:
            break
    if rng.random() < 0.5:
        stream.abort()
    await stream.close()


async def _leave(writer: asyncio.StreamWriter, rng: Random) -> None:
    if rng.random() < 0.5:
        wire.reset(writer)
    await wire.shut(writer)


async def settled(gateway: Server, provider: Server, descriptors: int) -> None:
    """Wait until nothing is left: no job, no worker, no provider's stream, no socket."""

    async def left() -> tuple[int, int, int, bool]:
        # The connection that asks is one of them.
        queued, running = await counters(gateway)
        return queued, running, await open_streams(provider), sockets() > descriptors

    def sockets() -> int:
        # Connections that are kept for the next request to the provider are no leak.
        return gateway.resources()[0] - gateway.connections_to(provider.origin)

    await wire.eventually(left, (0, 0, 0, False))


@pytest.fixture(scope="module")
def gateway(provider: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway that forgets what is over, not before it has been looked at."""
    with servers.gateway(
        tmp_path_factory.mktemp("conf"), provider.origin, RETENTION=_KEPT_S, WORKERS="50"
    ) as server:
        yield server


@pytest.mark.timeout(900 if LONG else 240)
async def test_nothing_is_left_of_those_who_left(
    gateway: Server, provider: Server, inbox: Inbox
) -> None:
    """After any mix of aborts every counter is zero, and every job has called back once."""
    print(f"ABORTS_SEED={SEED}")
    clients = Clients(gateway.origin, inbox, Random(SEED))
    await clients.misbehave(50)
    await settled(gateway, provider, 10_000)
    descriptors = gateway.resources()[0] - gateway.connections_to(provider.origin)
    memory = []
    for _ in range(2):
        began = time.monotonic()
        await clients.misbehave(ROUND)
        await settled(gateway, provider, descriptors)
        await asyncio.sleep(_FORGET_S)
        memory.append(gateway.resources()[1])
        print(f"{ROUND} aborts in {time.monotonic() - began:.1f} s, then {memory[-1]:.1f} MB")
    # Some were accepted of whom nobody knows: their posts were left before the answer.
    await inbox.told(clients.accepted)
    assert set(inbox.posts.values()) == {1}
    assert memory[1] - memory[0] < _GROWTH_MB
