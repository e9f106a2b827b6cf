"""Errors as data: the tree that the file draws is the tree that the code has."""

import re

import pytest

from gateway import errors
from gateway.errors import GatewayError, ProviderRateLimited, RateLimited, Unavailable

_LINE = re.compile(r"(?P<lines>[│├└─ ]*)(?P<name>\w+) +(?P<status>\d{3})  ?(?P<code>[A-Z_]+)")


def drawn() -> list[tuple[str, str, int, str]]:
    """Every error of the drawing: its name, its parent's, its status and its code."""
    found, path = [], {0: "GatewayError"}
    for match in map(_LINE.fullmatch, (errors.__doc__ or "").splitlines()):
        if match:
            depth = len(match["lines"]) // 4
            path[depth] = match["name"]
            found.append((match["name"], path[depth - 1], int(match["status"]), match["code"]))
    return found


def tree(kind: type[GatewayError] = GatewayError) -> list[tuple[str, str, int, str]]:
    """The same of the classes."""
    found = []
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            found += [(each.__name__, kind.__name__, each.status, each.code), *tree(each)]
    return found


def test_the_drawing_is_the_tree() -> None:
    """Whoever reads the top of the file knows every error, its status and its code."""
    assert drawn() == tree()


@pytest.mark.parametrize("name", [name for name, *_ in tree()])
def test_every_error_explains_itself(name: str) -> None:
    """An error raised without a text still has a sentence for the caller."""
    error = getattr(errors, name)()
    assert str(error) == error.default != GatewayError.default
    assert error.field is None


@pytest.mark.parametrize("name", [name for name, *_ in tree()])
def test_whoever_is_sent_away_for_now_hears_for_how_long(name: str) -> None:
    """What the gateway cannot do now is always worth another try, at a time that it says."""
    error = getattr(errors, name)()
    assert (error.retryable, error.retry_after_s) == (
        isinstance(error, Unavailable | RateLimited),
        error.again_s,
    )
    assert (error.again_s is not None) is isinstance(error, Unavailable)


def test_an_error_carries_what_the_caller_can_act_on() -> None:
    """The text, the field, when to come back, and of a limit what it is."""
    error = Unavailable("Slowly.", field="app_code", retryable=True, retry_after_s=3.5)
    assert str(error) == "Slowly."
    assert (error.field, error.retryable, error.retry_after_s) == ("app_code", True, 3.5)
    limited = RateLimited("Slowly.", limit=7, retry_after_s=3.5)
    assert (limited.limit, limited.retryable, limited.retry_after_s) == (7, True, 3.5)


def test_only_a_full_provider_is_rate_limited() -> None:
    """The mark that lets a retry wait for as long as the provider asks is on one error alone."""
    marked = [name for name, *_ in tree() if getattr(getattr(errors, name), "rate_limited", False)]
    assert marked == [ProviderRateLimited.__name__]
