"""The catalog: which model a name means, what it takes, and what a bad file says."""

import math
from typing import Any

import pytest

from gateway.catalog import (
    DEFAULT_MODEL,
    PARAMETERS,
    Catalog,
    Model,
    Range,
    Texts,
    fitted,
    parse,
)
from gateway.errors import InvalidRequest, UnknownModel
from gateway.messages import Request
from gateway.problems import Problem, Report
from gateway.sampling import refused

FILE = """
[providers.groq]
parameters = { temperature = [0, 2], max_tokens = [1, 32000], stop = 4 }
[providers.together]
parameters = { temperature = [0, 2], max_tokens = [1], top_k = [0] }

[models."openai/gpt-oss-120b"]
provider = "groq"
context_window = 131072
max_tokens = 65536
input_price = 0.15
[models.quick]
provider = "groq"
upstream = "llama-3.1-8b-instant"
parameters = { temperature = false, top_k = [0, 40] }
[models."meta/Big"]
provider = "together"
max_tokens = 500
"""


def read(text: str | None) -> tuple[Catalog, list[Problem]]:
    found: list[Problem] = []
    return parse(text, Report("models.toml", found)), found


CATALOG, PROBLEMS = read(FILE)


def test_a_file_is_read_whole() -> None:
    """A model takes what its provider's models take, but for what it says itself."""
    groq: dict[str, Any] = {
        "temperature": Range(0, 2),
        "max_tokens": Range(1, 32000, whole=True),
        "stop": Texts(4),
    }
    assert PROBLEMS == []
    assert CATALOG.models == (
        Model(
            name="openai/gpt-oss-120b",
            provider="groq",
            upstream="openai/gpt-oss-120b",
            context_window=131072,
            max_tokens=65536,
            parameters=groq,
            input_price=0.15,
        ),
        Model(
            name="quick",
            provider="groq",
            upstream="llama-3.1-8b-instant",
            parameters={
                "max_tokens": Range(1, 32000, whole=True),
                "stop": Texts(4),
                "top_k": Range(0, 40, whole=True),
            },
        ),
        Model(
            name="meta/Big",
            provider="together",
            upstream="meta/Big",
            max_tokens=500,
            parameters={
                "temperature": Range(0, 2),
                "max_tokens": Range(1, 500, whole=True),
                "top_k": Range(0, whole=True),
            },
        ),
    )


@pytest.mark.parametrize(
    ("name", "canonical", "provider", "upstream"),
    [
        # Listed names win, whatever they look like.
        ("openai/gpt-oss-120b", "openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
        ("quick", "quick", "groq", "llama-3.1-8b-instant"),
        # A provider in front finds the listed model by either of its names.
        ("groq/openai/gpt-oss-120b", "openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
        ("groq/quick", "quick", "groq", "llama-3.1-8b-instant"),
        ("groq/llama-3.1-8b-instant", "quick", "groq", "llama-3.1-8b-instant"),
        # The same name at another provider is another model.
        ("together/openai/gpt-oss-120b", None, "together", "openai/gpt-oss-120b"),
        ("together/a/b-c", None, "together", "a/b-c"),
        ("groq/groq/compound", None, "groq", "groq/compound"),
        ("openai/gpt-4o", None, "openai", "gpt-4o"),
        ("anthropic/claude-x", None, "anthropic", "claude-x"),
        ("simulator/echo", None, "simulator", "echo"),
        ("simulator/lorem?tokens=9&gap=0.1", None, "simulator", "lorem?tokens=9&gap=0.1"),
        # The name alone tells.
        ("gpt-4o", None, "openai", "gpt-4o"),
        ("gpt-3.5-turbo-0301", None, "openai", "gpt-3.5-turbo-0301"),
        ("o1", None, "openai", "o1"),
        ("o4-mini", None, "openai", "o4-mini"),
        ("claude-3-5-sonnet-latest", None, "anthropic", "claude-3-5-sonnet-latest"),
    ],
)
def test_a_name_means_a_model(
    name: str, canonical: str | None, provider: str, upstream: str
) -> None:
    """By the list first, by a provider in front next, by its look last."""
    got = CATALOG.resolve(name)
    assert (got.name, got.provider, got.upstream) == (canonical or name, provider, upstream)


@pytest.mark.parametrize(
    "name",
    [
        *("", "gpt", "gpt-", "claude", "olive", "o", "GPT-4o", "groq/", "/x", "azure/gpt-4o"),
        *("meta/big", "gpt-4 o", "gpt-4\n", "gpt-é", "gpt-" + "x" * 200, "openai"),
    ],
)
def test_any_other_name_is_unknown(name: str) -> None:
    """A name that is nearly right is not guessed; the field at fault is `model`."""
    with pytest.raises(UnknownModel) as caught:
        CATALOG.resolve(name)
    assert caught.value.field == "model"


def test_an_unknown_name_hints_at_a_known_one() -> None:
    """The nearest listed name is told."""
    with pytest.raises(UnknownModel, match=r"^There is no model quik\. Did you mean quick\?$"):
        CATALOG.resolve("quik")


def test_an_unlisted_model_takes_what_its_provider_takes() -> None:
    """Where not even the provider is described, every parameter in its widest range."""
    assert CATALOG.resolve("groq/new").parameters == CATALOG.by_provider["groq"]
    assert CATALOG.resolve("gpt-9").parameters == PARAMETERS


def test_a_model_takes_nothing_that_its_name_says_is_refused() -> None:
    """Listed or not, under whatever name, and whatever its entry says: it would not be sent."""
    file = '[models.mine]\nprovider = "openai"\nupstream = "o3"\n[models.warm]\n'
    file += 'provider = "openai"\nupstream = "o3"\nparameters = { temperature = [0, 1] }\n'
    catalog, problems = read(file)
    rest = PARAMETERS.keys() - {*refused("openai", "o3")}
    takes = [{*catalog.resolve(name).parameters} for name in ("o3", "mine", "warm")]
    assert takes == [rest, rest, rest]
    assert problems == []


def test_anthropic_takes_no_stop_that_is_only_white_space() -> None:
    """From no model: it would refuse it when the answer should begin."""
    claude = Catalog().resolve("claude-sonnet-4-5")
    Catalog().check(claude, {"stop": ["\n\nHuman:", "END"]})
    for stop in ("\n\n", ["END", " "]):
        with pytest.raises(InvalidRequest) as caught:
            Catalog().check(claude, {"stop": stop})
        assert (str(caught.value), caught.value.field) == (
            "stop must be at most 4 texts, none of them only white space, "
            "for the model claude-sonnet-4-5.",
            "stop",
        )


def test_without_a_file_the_default_model_is_known() -> None:
    """Nothing has to be configured for the default to be found."""
    catalog, problems = read(None)
    assert (catalog.resolve(DEFAULT_MODEL).provider, problems) == ("together", [])


@pytest.mark.parametrize(
    ("allowed", "name", "permitted"),
    [
        (["quick"], "quick", True),
        (["quick"], "groq/llama-3.1-8b-instant", True),
        (["openai/gpt-4o"], "gpt-4o", True),
        (["gpt-4o"], "openai/gpt-4o", True),
        (["gpt-4o"], "gpt-4o-mini", False),
        (["openai/gpt-oss-120b"], "together/openai/gpt-oss-120b", False),
        ([], "quick", False),
    ],
)
def test_a_permitted_model_is_permitted_under_any_name(
    allowed: list[str], name: str, permitted: bool
) -> None:
    """What counts is the provider and its own name of the model."""
    assert CATALOG.permits(allowed, CATALOG.resolve(name)) is permitted


FULL = Model(name="m", provider="together", upstream="m")


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"temperature": 0, "top_p": 1, "max_tokens": 1, "top_k": 0},
        {"temperature": 2.0, "frequency_penalty": -2, "presence_penalty": 2},
        {"repetition_penalty": 1.1, "top_k": 10**9},
        {"stop": "END"},
        {"stop": ["a", "b", "c", "d"]},
        {"stop": []},
        {"temperature": None, "unheard_of": None},
    ],
)
def test_what_a_model_takes_passes(parameters: dict[str, Any]) -> None:
    """Both ends of a range belong to it; null is absent, whatever its name."""
    Catalog().check(FULL, parameters)


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("temperature", 2.1, "a number from 0 to 2"),
        ("temperature", -0.01, "a number from 0 to 2"),
        ("temperature", "1", "a number from 0 to 2"),
        ("temperature", True, "a number from 0 to 2"),
        ("temperature", math.nan, "a number from 0 to 2"),
        ("temperature", [1], "a number from 0 to 2"),
        ("top_p", 1.5, "a number from 0 to 1"),
        ("max_tokens", 0, "a whole number, at least 1"),
        ("max_tokens", 1.0, "a whole number, at least 1"),
        ("max_tokens", True, "a whole number, at least 1"),
        ("top_k", -1, "a whole number, at least 0"),
        ("top_k", math.inf, "a whole number, at least 0"),
        ("repetition_penalty", 2.5, "a number from 0 to 2"),
        ("frequency_penalty", -2.5, "a number from -2 to 2"),
        ("presence_penalty", 3, "a number from -2 to 2"),
        ("stop", ["a"] * 5, "at most 4 texts"),
        ("stop", ["a", 1], "at most 4 texts"),
        ("stop", [""], "at most 4 texts"),
        ("stop", 7, "at most 4 texts"),
        ("stop", {"a": 1}, "at most 4 texts"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_range(name: str, value: Any, limit: str) -> None:
    """The refusal says which parameter, which model and what would be right."""
    with pytest.raises(InvalidRequest) as caught:
        Catalog().check(FULL, {"temperature": 1, name: value})
    assert (str(caught.value), caught.value.field) == (
        f"{name} must be {limit} for the model m.",
        name,
    )


def test_a_parameter_that_the_model_does_not_take_is_refused() -> None:
    """The refusal lists what it does take."""
    with pytest.raises(InvalidRequest) as caught:
        CATALOG.check(CATALOG.resolve("quick"), {"temperature": 1})
    assert (str(caught.value), caught.value.field) == (
        "The model quick does not take 'temperature'. It takes: max_tokens, stop, top_k.",
        "temperature",
    )


@pytest.mark.parametrize(
    ("text", "key", "expected", "got", "hint"),
    [
        ("[models\n", "", "valid TOML", None, "at line 1"),
        ("model = {}", "model", "a known key", None, "Did you mean models?"),
        ("models = 1", "models", "a table", "1", ""),
        ("models.m = 1", "models.m", "a table", "1", ""),
        ("models.m = {}", "models.m.provider", "one of together, ", None, ""),
        ('models.m = {provider="grok"}', "models.m.provider", "one of", '"grok"', ""),
        (
            'models.m = {provider="groq", contxt_window=1}',
            "models.m.contxt_window",
            "a known key",
            None,
            "Did you mean context_window?",
        ),
        (
            'models.m = {provider="groq", max_tokens="1"}',
            "models.m.max_tokens",
            "a whole number from 1",
            '"1"',
            "",
        ),
        ('models."a b" = {provider="groq"}', "models.a b", "a name of at most 200", None, ""),
        ("providers.grok = {}", "providers.grok", "a known key", None, "Did you mean groq?"),
        ("providers.groq = 1", "providers.groq", "a table", "1", ""),
        (
            "providers.groq.parameters.temprature = [0, 1]",
            "providers.groq.parameters.temprature",
            "a known key",
            None,
            "Did you mean temperature?",
        ),
        (
            "providers.groq.parameters.temperature = [1, 0]",
            "providers.groq.parameters.temperature",
            "[lowest, highest]",
            "[1, 0]",
            "",
        ),
        (
            "providers.groq.parameters.top_k = [0.5]",
            "providers.groq.parameters.top_k",
            "[lowest, highest]",
            "[0.5]",
            "",
        ),
        (
            f"providers.groq.parameters.top_k = [0, 0x{1 << 1024:x}]",
            "providers.groq.parameters.top_k",
            "[lowest, highest]",
            f"{[0, 1 << 1024]}"[:79] + "…",
            "",
        ),
        (
            "providers.groq.parameters.top_k = [0, 1, 2]",
            "providers.groq.parameters.top_k",
            "[lowest, highest]",
            "[0, 1, 2]",
            "",
        ),
        (
            "providers.groq.parameters.top_p = [nan]",
            "providers.groq.parameters.top_p",
            "[lowest, highest]",
            "[NaN]",
            "",
        ),
        (
            'models.m = {provider="groq", parameters={stop=[4]}}',
            "models.m.parameters.stop",
            "how many texts",
            "[4]",
            "",
        ),
    ],
)
def test_a_bad_file_says_where_and_what(
    text: str, key: str, expected: str, got: str | None, hint: str
) -> None:
    """One problem, with the key's whole path."""
    problem, *others = read(text)[1]
    assert others == []
    assert (problem.file, problem.key, problem.got) == ("models.toml", key, got)
    assert problem.expected.startswith(expected)
    assert hint in problem.hint


TAKES = Model(
    name="m",
    provider="anthropic",
    upstream="m",
    max_tokens=100,
    parameters={"temperature": Range(0, 1), "top_k": Range(1, whole=True), "stop": Texts(2)},
)


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({}, {}),
        ({"temperature": 0.5, "stop": "x"}, {"temperature": 0.5, "stop": "x"}),
        ({"temperature": 1.7, "top_k": 0}, {"temperature": 1, "top_k": 1}),
        ({"temperature": -1}, {"temperature": 0}),
        ({"stop": ["a", "b", "c"]}, {"stop": ["a", "b"]}),
        ({"frequency_penalty": 1, "repetition_penalty": 1.1}, {}),
        ({"seed": 7}, {"seed": 7}),
        ({"temperature": "hot", "stop": 5}, {"temperature": "hot", "stop": 5}),
        ({"temperature": None}, {"temperature": None}),
    ],
)
def test_a_request_is_fitted_to_another_model(asked: dict[str, Any], fits: dict[str, Any]) -> None:
    """What it does not take is left out, what is out of range comes as near as it may; what the
    catalog does not know, and what is no value at all, is the provider's to judge."""
    request = Request(messages=(), model="other", parameters=asked)
    assert fitted(request, TAKES) == Request(messages=(), model="other", parameters=fits)


@pytest.mark.parametrize(("asked", "fits"), [("\n", []), (["\n", "a"], ["a"]), ("a", "a")])
def test_blank_texts_are_not_asked_of_who_takes_none(asked: Any, fits: Any) -> None:
    """A fallback of Anthropic's answers, be it without that stop."""
    claude = Catalog().resolve("claude-sonnet-4-5")
    request = Request(messages=(), model="other", parameters={"stop": asked})
    assert fitted(request, claude).parameters == {"stop": fits}


@pytest.mark.parametrize(("asked", "fits"), [(None, None), (7, 7), (5000, 100)])
def test_a_ceiling_is_fitted_to_another_model(asked: int | None, fits: int | None) -> None:
    """No model is asked for more than it writes."""
    assert fitted(Request(messages=(), model="o", max_tokens=asked), TAKES).max_tokens == fits
