"""Modes: what a file says of each, what a wrong one says is wrong, and what is shipped."""

from pathlib import Path
from typing import Any

import pytest

from gateway import rules
from gateway.config import parse as parse_config
from gateway.modes import PLAIN, Action, Mode, Modes, parse
from gateway.problems import ConfigError, Problem, Report

SHIPPED = (Path(__file__).parents[1] / "conf/modes.toml").read_text("utf-8")
FILE = """
[modes.chat]
[modes.edit]
system_prompt = "Change what is there."
model = "claude-x"
fallback_models = ["gpt-4o", "simulator/echo"]
temperature = 0.5
max_tokens = 500
rate_limit = "20 per minute"
[modes.edit.actions.replace_text]
description = "Replace a piece of text."
parameters = { type = "object", properties = { old = { type = "string" } }, required = ["old"] }
[modes.edit.actions.undo]
"""


def read(text: str | None) -> tuple[Modes, list[Problem]]:
    found: list[Problem] = []
    return parse(text, Report("modes.toml", found)), found


def test_a_file_is_read_whole() -> None:
    """Each mode with its own settings, in the order of the file."""
    schema = {"type": "object", "properties": {"old": {"type": "string"}}, "required": ["old"]}
    edit = Mode(
        name="edit",
        system_prompt="Change what is there.",
        model="claude-x",
        fallback_models=("gpt-4o", "simulator/echo"),
        temperature=0.5,
        max_tokens=500,
        rate_limit="20/minute",
        actions=(
            Action(name="replace_text", description="Replace a piece of text.", parameters=schema),
            Action(name="undo"),
        ),
    )
    modes, found = read(FILE)
    assert found == []
    assert list(modes.items()) == [("chat", Mode(name="chat")), ("edit", edit)]


def test_an_action_is_a_tool_in_openais_form() -> None:
    """With its schema as it is; without one it takes nothing."""
    modes, _ = read(FILE)
    replace_text, undo = modes["edit"].actions
    assert replace_text.tool == {
        "type": "function",
        "function": {
            "name": "replace_text",
            "description": "Replace a piece of text.",
            "parameters": dict(replace_text.parameters),
        },
    }
    assert undo.tool == {
        "type": "function",
        "function": {"name": "undo", "parameters": {"type": "object", "properties": {}}},
    }


def test_without_a_file_there_are_three_plain_modes() -> None:
    """Those the assistant's callers know, which add nothing."""
    assert read(None) == (PLAIN, [])
    assert {name: Mode(name=name) for name in ("generate", "edit", "chat")} == PLAIN


def test_the_shipped_modes_are_sound() -> None:
    """The same three, each with a prompt, and actions where they edit."""
    modes, found = read(SHIPPED)
    assert found == []
    assert set(modes) == set(PLAIN)
    assert all(mode.system_prompt for mode in modes.values())
    assert {name: len(mode.actions) for name, mode in modes.items() if mode.actions} == {"edit": 1}


@pytest.mark.parametrize("struct", [Mode, Action])
def test_every_key_is_explained(struct: type) -> None:
    """Nothing can be set that the file's comments do not tell."""
    comments = [line for line in SHIPPED.splitlines() if line.startswith("#")]
    for key in rules.rules_of(struct):
        assert any(line.startswith(f"#   {key} ") for line in comments), key


WRONG: list[tuple[str, str, str, str | None]] = [
    ("", "modes", "a table for each mode, such as [modes.chat]", None),
    ("modes = {}", "modes", "a table for each mode, such as [modes.chat]", None),
    ("modes = 1", "modes", "a table", "1"),
    ("[modes]\nchat = 1", "modes.chat", "a table", "1"),
    ('[modes."a b"]', "modes.a b", "a name of at most 64 letters, digits, _ and -", None),
    ("[modes.chat]\ntemperature = 3", "modes.chat.temperature", "a number from 0 to 2", "3"),
    ("[modes.chat]\ntemperature = true", "modes.chat.temperature", "a number from 0 to 2", "true"),
    (
        "[modes.chat]\nrate_limit = 20",
        "modes.chat.rate_limit",
        "a rate such as 100/hour (second, minute, hour or day)",
        "20",
    ),
    ("[modes.chat]\nactions = []", "modes.chat.actions", "a table for each action", "[]"),
    ("[modes.chat.actions]\nundo = 1", "modes.chat.actions.undo", "a table", "1"),
    (
        '[modes.chat.actions."un do"]',
        "modes.chat.actions.un do",
        "a name of at most 64 letters, digits, _ and -",
        None,
    ),
    (
        "[modes.chat.actions.undo]\nparameters = {}",
        "modes.chat.actions.undo.parameters",
        'a JSON Schema with type = "object"',
        "{}",
    ),
    (
        '[modes.chat.actions.undo]\nparameters = { type = "object", minProperties = nan }',
        "modes.chat.actions.undo.parameters",
        'a JSON Schema with type = "object"',
        '{"type": "object", "minProperties": NaN}',
    ),
    (
        '[modes.chat.actions.undo]\nparameters = { type = "object", default = 2026-01-01 }',
        "modes.chat.actions.undo.parameters",
        'a JSON Schema with type = "object"',
        '{"type": "object", "default": "2026-01-01"}',
    ),
]


@pytest.mark.parametrize(("text", "key", "expected", "got"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_named(text: str, key: str, expected: str, got: str | None) -> None:
    """The key, what was expected, and what is there."""
    assert read(text)[1] == [Problem(file="modes.toml", key=key, expected=expected, got=got)]


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("[mode.chat]\n[modes.chat]", "mode", "Did you mean modes?"),
        ("[modes.chat]\nprompt = 'x'", "modes.chat.prompt", "Did you mean system_prompt?"),
        ("[modes.chat]\naction = {}", "modes.chat.action", "Did you mean actions?"),
        (
            "[modes.chat.actions.undo]\nparameter = {}",
            "modes.chat.actions.undo.parameter",
            "Did you mean parameters?",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(text: str, key: str, hint: str) -> None:
    """A slip of the pen is told as one."""
    assert read(text)[1] == [Problem(file="modes.toml", key=key, expected="a known key", hint=hint)]


def test_every_mistake_is_told_at_once() -> None:
    """Also behind the first one, and in the other files."""
    _, found = read("[modes.a]\nmax_tokens = 0\nx = 1\n[modes.b.actions.c]\nparameters = 1")
    assert {problem.key for problem in found} == {
        "modes.a.max_tokens",
        "modes.a.x",
        "modes.b.actions.c.parameters",
    }


def problems(modes: str, **app: Any) -> list[tuple[str, str]]:
    """The file and key of everything that is wrong with a configuration."""
    entry = {"name": "shop", **app}
    apps = str({"app_codes": {"code-of-the-shop-0123": entry}}).replace("'", '"')
    try:
        parse_config(toml=None, env={}, apps=apps, models=None, modes=modes, conf_dir="conf")
    except ConfigError as error:
        return [(problem.file, problem.key) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("mode", "key"),
    [
        ("model = 'nowhere'", "modes.chat.model"),
        ("fallback_models = ['nowhere']", "modes.chat.fallback_models"),
        ("model = 'gpt-4o'\ntemperature = 2", None),
        ("model = 'simulator/echo'\nfallback_models = ['gpt-4o']", None),
    ],
)
def test_a_modes_models_are_models(mode: str, key: str | None) -> None:
    """Listed, or of a provider that the name tells."""
    want = [("conf/modes.toml", key)] if key else []
    assert problems(f"[modes.chat]\n{mode}") == want


def test_an_apps_modes_are_modes() -> None:
    """A name that no mode has would shut the app out unseen."""
    assert problems("[modes.chat]", allowed_modes=["chat"]) == []
    assert problems("[modes.chat]", allowed_modes=["chats"]) == [
        ("conf/apps.json", "app_codes.shop.allowed_modes")
    ]
    # Behind a broken file nothing is known of its names.
    assert problems("[modes.chat", allowed_modes=["chats"]) == [("conf/modes.toml", "")]
