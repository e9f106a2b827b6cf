"""A gateway, an n8n to call back, and a provider that says what it is told."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from tests.engine.n8n import N8n
from tests.surfaces.running import Gateway
from tests.surfaces.teller import Teller


@pytest.fixture
async def n8n() -> AsyncIterator[N8n]:
    """Where workflows wait for their callbacks."""
    async with N8n() as receiver:
        yield receiver


@pytest.fixture
async def gateway(n8n: N8n) -> AsyncIterator[Gateway]:
    """A gateway with its defaults and two apps, which may call that n8n back."""
    async with Gateway(CALLBACK_ALLOWED_ORIGINS=n8n.origin) as running:
        yield running


@pytest.fixture
async def teller() -> AsyncIterator[Teller]:
    """A provider whose chunks a test chooses."""
    async with Teller() as running:
        yield running


MOST_BYTES = 65_536


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workflows() -> AsyncIterator[N8n]:
    """An n8n for all tests of a file."""
    async with N8n() as receiver:
        yield receiver


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(workflows: N8n) -> AsyncIterator[Gateway]:
    """A gateway for all tests of a file; it takes small bodies."""
    async with Gateway(
        CALLBACK_ALLOWED_ORIGINS=f"https://n8n.test,{workflows.origin}", MAX_BODY_BYTES=MOST_BYTES
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def unmoved(shared: Gateway) -> AsyncIterator[Gateway]:
    """The same gateway, after whose every test nothing is begun and nothing broken."""
    with capture_logs() as lines:
        yield shared
    assert [line for line in lines if line["log_level"] == "error"] == []
    await shared.quiet()
    assert (await shared.get("/health/ready")).status == 200
