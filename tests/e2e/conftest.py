"""A gateway and a provider for each file of tests, and an inbox for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e import servers
from tests.e2e.calls import LONG, Inbox
from tests.e2e.servers import Server

collect_ignore = [] if LONG else ["test_stalls.py"]


@pytest.fixture(scope="module")
def provider() -> Iterator[Server]:
    """A simulated provider in a process of its own."""
    with servers.simulator() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(provider: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway in a process of its own, with that provider behind it."""
    conf: Path = tmp_path_factory.mktemp("conf")
    with servers.gateway(conf, provider.origin) as server:
        yield server


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    """Where callbacks go."""
    async with Inbox() as inbox:
        yield inbox
