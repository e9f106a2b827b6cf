"""Every provider behind one gateway, each on its own wire."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import calls, servers, wire
from tests.e2e.servers import Server

REAL = ("together", "groq", "openai", "anthropic")


@pytest.fixture(scope="module")
def everyone(provider: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway with a key for each provider."""
    settings = {f"{name.upper()}_BASE_URL": provider.origin for name in REAL[1:]}
    keys = {f"{name.upper()}_API_KEY": "key-of-nobody" for name in REAL[1:]}
    conf: Path = tmp_path_factory.mktemp("conf")
    with servers.gateway(conf, provider.origin, **settings, **keys) as server:
        yield server


@pytest.mark.parametrize("name", [*REAL, "simulator"])
async def test_each_provider_answers(everyone: Server, name: str) -> None:
    """A model is found by the name of its provider, and its answer and tokens come back."""
    model = f"{name}/echo?first=0&gap=0"
    said = await calls.polled(everyone.origin, await calls.queue(everyone.origin, model, "a b c"))
    response = said["response"]
    assert (response["ai_response"], response["model_used"]) == ("a b c", model)
    assert response["token_usage"] == {
        "prompt_tokens": 2,
        "completion_tokens": 3,
        "total_tokens": 5,
    }


@pytest.mark.parametrize("name", REAL)
async def test_each_provider_s_failure_is_told(everyone: Server, name: str) -> None:
    """What a provider refuses is the caller's to know, in the gateway's words."""
    job_id = await calls.queue(everyone.origin, f"{name}/echo?status=400")
    said = await calls.polled(everyone.origin, job_id)
    assert (said["status"], said["error_code"]) == ("error", "INVALID_REQUEST")


async def test_each_provider_s_state_is_shown(everyone: Server) -> None:
    """All keys were checked at the start."""

    async def states() -> dict[str, str]:
        said = (await wire.get(everyone.origin, "/health")).json()
        return {name: said["providers"][name] for name in REAL}

    await wire.eventually(states, dict.fromkeys(REAL, "connected"))
