"""A gateway, an n8n to call back, and a provider that says what it is told."""

from collections.abc import AsyncIterator

import pytest

from tests.engine.receiver import Receiver
from tests.surfaces.running import Gateway
from tests.surfaces.teller import Teller


@pytest.fixture
async def n8n() -> AsyncIterator[Receiver]:
    """Where workflows wait for their callbacks."""
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def gateway(n8n: Receiver) -> AsyncIterator[Gateway]:
    """A gateway with its defaults and two apps, which may call that n8n back."""
    async with Gateway(CALLBACK_ALLOWED_ORIGINS=n8n.origin) as running:
        yield running


@pytest.fixture
async def teller() -> AsyncIterator[Teller]:
    """A provider whose chunks a test chooses."""
    async with Teller() as running:
        yield running
