"""`app add`, `list`, `rotate`, `remove`: who may come in. A code is shown once, when it is made."""

import argparse
from pathlib import Path
from typing import Any

from gateway import enrolment
from gateway.commands import CommandError, conf
from gateway.commands.grammar import DEFAULT_TYPE
from gateway.commands.terminal import say, show_json, show_table
from gateway.enrolment import UnknownApp

_LAST = 4
# Four characters of a shorter code would give away too much of it.
_LONG = 16


def add(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Add an app and show its code."""
    code, file = enrolment.new_code(), _file(typed, environ)
    enrolment.add(file, code, _entry(typed))
    say(f"{typed.name} is in {file}. This is its app code; it is shown only this once:")
    _show_code(typed, code)
    return 0


def show(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """The apps, with no more of their codes than tells them apart."""
    apps = [
        {"name": entry["name"], "code": _end(key), **entry}
        for key, entry in enrolment.codes_of(_file(typed, environ)).items()
    ]
    if typed.json:
        show_json(apps)
        return 0
    columns = ("name", "code", "allowed_request_types", "rate_limit", "max_tokens", "priority")
    show_table(
        ("name", "code", "types", "rate limit", "max tokens", "priority"),
        [[_typed(app.get(column)) for column in columns] for app in apps],
    )
    if not apps:
        say("There is none yet: `app add NAME` adds one.")
    return 0


def rotate(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Give an app a new code and show it."""
    code, file = enrolment.new_code(), _file(typed, environ)
    try:
        enrolment.rotate(file, typed.name, code)
    except UnknownApp as error:
        raise CommandError(str(error)) from None
    say(
        f"{typed.name} has a new app code in {file}; it is shown only this once. The old one ends "
        "when the gateway reads the file, at SIGHUP or its next start:"
    )
    _show_code(typed, code)
    return 0


def remove(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Take an app out."""
    file = _file(typed, environ)
    try:
        enrolment.remove(file, typed.name)
    except UnknownApp as error:
        raise CommandError(str(error)) from None
    if typed.json:
        show_json({"name": typed.name, "removed": True})
    else:
        say(
            f"{typed.name} is no longer in {file}; it is out when the gateway reads the file, at "
            "SIGHUP or its next start."
        )
    return 0


def _file(typed: argparse.Namespace, environ: dict[str, str]) -> Path:
    return conf.folder(typed, environ) / "apps.json"


def _show_code(typed: argparse.Namespace, code: str) -> None:
    if typed.json:
        show_json({"name": typed.name, "app_code": code})
    else:
        print(code)


def _entry(typed: argparse.Namespace) -> dict[str, Any]:
    entry = {
        "name": typed.name,
        "allowed_request_types": typed.types or [DEFAULT_TYPE],
        "rate_limit": typed.rate_limit,
        "max_tokens": typed.max_tokens,
        "priority": typed.priority,
    }
    return {**entry, "admin": True} if typed.admin else entry


def _end(key: str) -> str:
    """The last characters of what the file keeps of a code: of its hash, or of itself."""
    kind = "sha256:" if key.lower().startswith("sha256:") else ""
    return f"{kind}…{key[-_LAST:] if len(key) >= _LONG else ''}"


def _typed(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return ", ".join(each["name"] if isinstance(each, dict) else each for each in value)
