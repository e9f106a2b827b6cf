"""The gateway in the process of the test, to see what only its own process can tell."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from aiohttp import web

from gateway import app, sources
from tests.e2e import servers, wire
from tests.e2e.calls import Inbox
from tests.e2e.servers import Server
from tests.e2e.test_aborts import SEED, Clients


@asynccontextmanager
async def serving(conf: Path, upstream: str) -> AsyncIterator[str]:
    """A gateway in this process; where it listens."""
    config = sources.load(conf, servers.environ(conf, upstream) | {"WORKERS": "20"})
    runner = web.AppRunner(
        app.build(config), access_log=None, handler_cancellation=True, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1000).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def tasks() -> Counter[str]:
    """What runs, by the name of its coroutine."""
    return Counter(
        getattr(task.get_coro(), "__qualname__", "?")
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task()
    )


async def test_no_task_outlives_its_client(provider: Server, inbox: Inbox, tmp_path: Path) -> None:
    """After hundreds of aborts the same tasks run as before; after the stop, none at all."""
    print(f"ABORTS_SEED={SEED}")
    before_start = tasks()
    async with serving(tmp_path, provider.origin) as origin:
        # The provider's first answers open what stays open.
        clients = Clients(origin, inbox, Random(SEED))
        await wire.get(origin, "/health")
        baseline = tasks()
        await clients.misbehave(300)
        await inbox.told(clients.accepted)

        async def running() -> Counter[str]:
            return tasks() - baseline

        await wire.eventually(running, Counter())
    assert tasks() - before_start == Counter()
