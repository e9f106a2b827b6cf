"""The configuration as shipped: safe, complete, and nothing but the defaults."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.catalog import DEFAULT_MODEL, PARAMETERS, PROVIDERS
from gateway.config import ALIASES, RULES, Config, Settings, parse
from gateway.errors import InvalidRequest

ROOT = Path(__file__).parents[1]
TOML = (ROOT / "conf/gateway.toml").read_text("utf-8")
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")


@pytest.fixture(scope="module")
def shipped() -> Config:
    """What a newcomer starts with."""
    conf = ROOT / "conf"
    return parse(
        toml=TOML,
        env={},
        apps=(conf / "apps.json").read_text("utf-8"),
        models=(conf / "models.toml").read_text("utf-8"),
    )


def test_the_file_is_the_defaults(shipped: Config) -> None:
    """Starting with the shipped files is starting with none."""
    assert shipped.settings == Settings()


def test_no_app_is_shipped(shipped: Config) -> None:
    """A code that everybody knows would open every gateway."""
    assert shipped.tenants == ()


def test_the_file_has_every_setting_in_order() -> None:
    """Nothing can be set that is not described, and nothing is described that cannot be set."""
    assert list(tomllib.loads(TOML)) == list(RULES)


@pytest.mark.parametrize("name", RULES)
def test_every_setting_is_explained(name: str) -> None:
    """Comments stand above it: what it is, its default, and the unit of a time or size."""
    paragraph = next(each for each in TOML.split("\n\n") if re.search(rf"^{name} = ", each, re.M))
    comment = " ".join(line for line in paragraph.splitlines() if line.startswith("#"))
    assert re.search(r"[Dd]efault", comment)
    if "seconds" in RULES[name].expected:
        assert "seconds" in comment
    if name.endswith("bytes"):
        assert "bytes" in comment


def test_the_example_environment_is_the_secrets() -> None:
    """Each secret has its line, unfilled, and nothing else has one."""
    lines = [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")]
    secrets = [f"{name.upper()}=" for name, rule in RULES.items() if rule.secret]
    assert sorted(lines) == sorted(secrets)


def test_other_names_of_settings_are_told() -> None:
    """A variable that is understood under a second name says so where it is described."""
    assert [name for name in ALIASES if name not in TOML] == []


def test_the_catalog_names_every_provider(shipped: Config) -> None:
    """Each provider has models, and says what others of its models take."""
    assert {model.provider for model in shipped.catalog.models} == set(PROVIDERS)
    assert set(shipped.catalog.by_provider) == set(PROVIDERS)


def test_the_default_model_is_togethers(shipped: Config) -> None:
    """And it takes every parameter there is."""
    model = shipped.catalog.resolve(DEFAULT_MODEL)
    assert (model.provider, set(model.parameters)) == ("together", set(PARAMETERS))


def test_answers_fit_into_their_windows(shipped: Config) -> None:
    """No model promises more tokens of answer than its whole context holds."""
    for model in shipped.catalog.models:
        assert model.context_window is not None, model.name
        assert (model.max_tokens or 1) <= model.context_window, model.name


GROQ = ["llama-3.1-8b-instant", "openai/gpt-oss-120b", "qwen/qwen3-32b", "groq/compound"]


@pytest.mark.parametrize("name", GROQ)
@pytest.mark.parametrize(
    ("parameter", "taken", "refused"),
    [
        ("temperature", [0, 2.0], [-0.1, 2.1]),
        ("top_p", [0, 1], [1.1]),
        ("max_tokens", [1, 32000], [0, 32001]),
        ("stop", [["a", "b", "c", "d"]], [["a"] * 5]),
        ("frequency_penalty", [-2, 2], [-2.1, 2.1]),
        ("presence_penalty", [-2, 2], [-2.1, 2.1]),
        ("top_k", [], [1]),
        ("repetition_penalty", [], [1]),
    ],
)
def test_groqs_models_take_what_the_document_says(
    shipped: Config, name: str, parameter: str, taken: list[Any], refused: list[Any]
) -> None:
    """The document's four models, with the document's ranges; two parameters Groq has not."""
    catalog = shipped.catalog
    model = catalog.resolve(name)
    assert model.provider == "groq"
    for value in taken:
        catalog.check(model, {parameter: value})
    for value in refused:
        with pytest.raises(InvalidRequest, match=f"{parameter}.*") as caught:
            catalog.check(model, {parameter: value})
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        (DEFAULT_MODEL, "top_k", -1),
        (DEFAULT_MODEL, "repetition_penalty", 2.1),
        ("gpt-4o", "top_k", 1),
        ("gpt-5", "temperature", 1),
        ("gpt-4o", "max_tokens", 16385),
        ("claude-sonnet-4-5", "temperature", 1.1),
        ("claude-sonnet-4-5", "frequency_penalty", 0),
        ("claude-not-listed-here", "temperature", 1.1),
    ],
)
def test_other_models_have_ranges_of_their_own(
    shipped: Config, name: str, parameter: str, value: float
) -> None:
    """What one provider takes another may not."""
    with pytest.raises(InvalidRequest, match=parameter):
        shipped.catalog.check(shipped.catalog.resolve(name), {parameter: value})
