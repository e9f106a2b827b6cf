"""A body as a value: what is wrong in it is named, as far as one can say where it is."""

from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.surfaces.body import decode


class Part(msgspec.Struct, frozen=True):
    free: dict[str, Any] | None = None


class Whole(msgspec.Struct, frozen=True):
    any: Any = None
    free: dict[str, Any] | None = None
    parts: list[Part] | None = None
    tools: list[dict[str, Any]] | None = None


NUMBERS = {
    '{"free": {"a": 1e999}}': "free.a",
    '{"free": {"a": 1, "b": {"c": [1, -1e999]}, "d": 1e999}}': "free.b.c[1]",
    '{"zz": 1e99, "tools": [{"a": 1}, {"b": {"c": 1e999}}]}': "tools[1].b.c",
    '{"parts": [{}, {"free": {"x": [{"y": 1e999}]}}]}': "parts[1].free.x[0].y",
    '{"any": [1, 1e999]}': "any[1]",
    '{"any": 1e999}': "any",
    '{"free": {"": 1e999}}': "free.",
    '{"free": {"a\\nb": 1e999}}': "free.a\nb",
    '{"free": {"%s": 1e999}}' % ("x" * 1000): f"free.{'x' * 40}",
    # Not known any more, where the rest cannot be read by others either.
    '{"free": {"a": 1e999}, "x": %s}' % ("9" * 5_000): "free",
    '{"free": {"a": 1e999}, "free": {}}': "free",
    '{"free": {"a": 1e999}': "free",
}


@pytest.mark.parametrize(("body", "field"), NUMBERS.items(), ids=NUMBERS.values())
def test_a_number_that_is_none_is_named(body: str, field: str) -> None:
    """By the keys that lead to it, also where any may stand."""
    with pytest.raises(InvalidRequest) as refused:
        decode(body.encode(), Whole)
    assert (refused.value.field, str(refused.value)) == (field, f"{field}: number out of range.")


def test_a_place_far_inside_is_named_in_short() -> None:
    """What a caller writes is not told back at length."""
    keys = [str(number) * 40 for number in range(10)]
    body = "".join(f'{{"{key}":' for key in keys) + "1e999" + "}" * len(keys)
    with pytest.raises(InvalidRequest) as refused:
        decode(body.encode(), dict[str, Any])
    assert refused.value.field == ".".join(keys)[:200]
