"""From names to those who serve them."""

import pytest

from gateway.catalog import Catalog, Model
from gateway.engine.router import Router
from gateway.engine.run import Leg
from gateway.messages import Request
from tests.engine.scripted import HELLO, Scripted

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
    router = Router(CATALOG, {"scripted": provider})
    request = Request(messages=(), model=model, fallback_models=fallbacks)
    assert router.legs(request) == [Leg(each, provider) for each in legs]
