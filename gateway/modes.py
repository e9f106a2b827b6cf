"""Modes: what the assistant is to its caller, and which actions it may ask of the caller's page.

A mode is a system prompt, a model and its limits under one name; an action is a tool of the
model's that the page carries out. `conf/modes.toml` lists them.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from gateway import rules
from gateway.problems import Report, shown

# What providers take as the name of a tool.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_A_NAME = "a name of at most 64 letters, digits, _ and -"


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Something the model may ask the caller's page to do.

    Attributes:
        description: what it does and when to ask for it, for the model.
        parameters: the JSON Schema of its arguments, an object's.
    """

    name: str
    description: Annotated[str | None, rules.prose()] = None
    parameters: Annotated[Mapping[str, Any], rules.table()] = msgspec.field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )

    @property
    def tool(self) -> dict[str, Any]:
        """The action as a tool in OpenAI's form.

        https://platform.openai.com/docs/api-reference/chat/create
        """
        function = {"name": self.name, "parameters": dict(self.parameters)}
        if self.description is not None:
            function["description"] = self.description
        return {"type": "function", "function": function}


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """One way to be of help. None leaves it to the gateway's own settings, or sets no limit.

    Attributes:
        rate_limit: requests of one user in this mode in a time, such as `20/minute`.
    """

    name: str
    system_prompt: Annotated[str | None, rules.prose()] = None
    model: Annotated[str | None, rules.text()] = None
    fallback_models: Annotated[tuple[str, ...], rules.listed(rules.text())] = ()
    temperature: Annotated[float | None, rules.number(0, 2)] = None
    max_tokens: Annotated[int | None, rules.whole(1, 100_000_000)] = None
    rate_limit: Annotated[str | None, rules.rate()] = None
    actions: tuple[Action, ...] = ()


Modes = Mapping[str, Mode]

# Where there is no file: the three that callers know, which add nothing to what they ask.
PLAIN: Modes = {name: Mode(name=name) for name in ("generate", "edit", "chat")}


def parse(text: str | None, report: Report) -> Modes:
    """The modes that `modes.toml` lists; what is wrong there goes into the report.

    Args:
        text: the file; None where there is none.
    """
    raw = None if text is None else rules.read_toml(text, report)
    if raw is None:
        return PLAIN
    listed = rules.read({"modes": rules.table()}, raw, report).get("modes", {})
    if raw.get("modes") in (None, {}):
        report.add("modes", "a table for each mode, such as [modes.chat]")
    found = [
        _mode(name, entry, report.under("modes").under(name)) for name, entry in listed.items()
    ]
    return {mode.name: mode for mode in found if mode is not None}


def _mode(name: str, entry: Any, report: Report) -> Mode | None:
    entry = _table(name, entry, report)
    if entry is None:
        return None
    actions = _actions(entry.pop("actions", {}), report)
    values = rules.read(rules.rules_of(Mode), entry, report, beside=("actions",))
    return Mode(name=name, actions=actions, **values)


def _actions(listed: Any, report: Report) -> tuple[Action, ...]:
    if not isinstance(listed, dict):
        report.add("actions", "a table for each action", shown(listed))
        return ()
    part = report.under("actions")
    found = [_action(name, entry, part.under(name)) for name, entry in listed.items()]
    return tuple(action for action in found if action is not None)


def _action(name: str, entry: Any, report: Report) -> Action | None:
    entry = _table(name, entry, report)
    if entry is None:
        return None
    values = rules.read(rules.rules_of(Action), entry, report)
    if "parameters" in values and not _is_schema(values["parameters"]):
        report.add("parameters", 'a JSON Schema with type = "object"', shown(entry["parameters"]))
    return Action(name=name, **values)


def _table(name: str, entry: Any, report: Report) -> dict[str, Any] | None:
    """A copy of the entry of that name; None where either is wrong."""
    if not _NAME.fullmatch(name):
        report.add("", _A_NAME)
        return None
    if not isinstance(entry, dict):
        report.add("", "a table", shown(entry))
        return None
    return dict(entry)


def _is_schema(parameters: Mapping[str, Any]) -> bool:
    try:
        # TOML also has dates, infinity and NaN, for which JSON has no words.
        json.dumps(parameters, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return parameters.get("type") == "object"
