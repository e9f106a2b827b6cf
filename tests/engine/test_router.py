"""From names to those who serve them."""

from pathlib import Path

import pytest

from gateway.catalog import DEFAULT_MODEL, PROVIDERS, Catalog, Model, Range, parse
from gateway.engine.router import Router
from gateway.engine.run import Leg
from gateway.errors import ProviderRefused
from gateway.messages import Request
from gateway.problems import Report
from tests.engine.rig import Rig
from tests.engine.scripted import HELLO, Scripted
from tests.engine.virtual_clock import jumping

SERVED = Model(name="served", provider="scripted", upstream="vendor/served-1")
OTHER = Model(name="other", provider="scripted", upstream="o")
CATALOG = Catalog(
    {"served": SERVED, "other": OTHER, "off": Model(name="off", provider="groq", upstream="x")}
)


@pytest.mark.parametrize(
    ("model", "fallbacks", "legs"),
    [
        ("served", (), [SERVED]),
        ("served", ("other",), [SERVED, OTHER]),
        ("other", ("served", "other", "served"), [OTHER, SERVED]),
        ("off", ("served",), [SERVED]),
        ("no-such-model", ("gpt-9", "served"), [SERVED]),
        ("off", (), []),
    ],
)
def test_the_legs_of_a_request(model: str, fallbacks: tuple[str, ...], legs: list[Model]) -> None:
    """In the order of the request, each once; who has no provider here, or is unknown, is left
    out, so that a job whose model has left the catalog still comes to an end."""
    provider = Scripted(a=[HELLO])
    router = Router(lambda: CATALOG, {"scripted": provider})
    request = Request(messages=(), model=model, fallback_models=fallbacks)
    assert router.legs(request) == [Leg(each, provider) for each in legs]


@jumping
async def test_a_fallback_is_asked_for_what_it_takes() -> None:
    """The first model gets the request as it is; those that stand in for it, what fits them."""
    asked = {"temperature": 1.5, "top_k": 4}
    async with Rig(a=[[ProviderRefused()]], b=[HELLO]) as rig:
        rig.models["b"] = Model(
            name="b", provider="scripted", upstream="b", parameters={"temperature": Range(0, 1)}
        )
        job = await rig.submit("a", fallback_models=("b",), parameters=asked)
        await rig.ended(job)
        assert [request.parameters for request in rig.provider.requests] == [
            asked,
            {"temperature": 1},
        ]


SHIPPED = (Path(__file__).parents[2] / "conf/models.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "provider", "upstream"),
    [
        (DEFAULT_MODEL, "together", DEFAULT_MODEL),
        ("together/some/model", "together", "some/model"),
        ("llama-3.1-8b-instant", "groq", "llama-3.1-8b-instant"),
        ("openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
        ("groq/compound", "groq", "groq/compound"),
        ("groq/some-model", "groq", "some-model"),
        ("gpt-4o", "openai", "gpt-4o"),
        ("openai/gpt-4o", "openai", "gpt-4o"),
        ("gpt-9-preview", "openai", "gpt-9-preview"),
        ("o7-mini", "openai", "o7-mini"),
        ("openai/local-model", "openai", "local-model"),
        ("claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
        ("claude-opus-9", "anthropic", "claude-opus-9"),
        ("anthropic/claude-opus-9", "anthropic", "claude-opus-9"),
        ("simulator/lorem?tokens=5", "simulator", "lorem?tokens=5"),
    ],
)
def test_names_find_their_providers(name: str, provider: str, upstream: str) -> None:
    """With the catalog as shipped: listed models, and others by what they are called."""
    served = {each: Scripted(a=[HELLO]) for each in PROVIDERS}
    catalog = parse(SHIPPED, Report("models.toml", []))
    [leg] = Router(lambda: catalog, served).legs(Request(messages=(), model=name))
    assert leg.provider is served[provider]
    assert (leg.model.provider, leg.model.upstream) == (provider, upstream)
