"""`check-config` and `config show`: what the gateway is told, and whether it can be."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.commands import conf
from gateway.commands.terminal import say, show_json, show_table
from gateway.config import RULES, Config, Settings
from gateway.logs import REDACTED
from gateway.problems import ConfigError, Problem, shown
from gateway.sources import Sources
from gateway.stores import folder


def check(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Say everything that is wrong at once, or that nothing is."""
    try:
        sources = conf.read(typed, environ)
        config = sources.config()
        _check_folder(config, sources)
    except ConfigError as error:
        if not typed.json:
            raise
        show_json({"good": False, "problems": msgspec.to_builtins(error.problems)})
        return 1
    names = sorted(tenant.name for tenant in config.tenants)
    if typed.json:
        show_json({"good": True, "apps": names, "warnings": list(config.warnings)})
        return 0
    for warning in config.warnings:
        say(f"warning: {warning}")
    print(f"The configuration is good. Apps: {', '.join(names) or 'none'}.")
    return 0


def _check_folder(config: Config, sources: Sources) -> None:
    """See that a gateway would start with its folder, as far as whoever asks may.

    Raises:
        ConfigError: it would not.
    """
    path = config.settings.data_dir
    if path is None or not config.settings.keep_texts:
        return
    # One that nobody chose is done without where it cannot be made.
    needed = config.data_dir_chosen or os.path.exists(path)
    why = folder.objection(Path(path)) if needed else ""
    if why:
        file, _, key = sources.origins()["data_dir"].partition(": ")
        expected = "a folder that can be made, and written to"
        problem = Problem(
            file=file, key=key or "data_dir", expected=expected, got=shown(path), hint=why
        )
        raise ConfigError([problem])


def show(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Every setting with its value and where it comes from."""
    sources = conf.read(typed, environ)
    rows = settings(sources.config(), sources.origins(), changed=typed.changed)
    if typed.json:
        show_json(rows)
    else:
        lines = [(row["setting"], _typed(row["value"]), row["from"]) for row in rows]
        show_table(("setting", "value", "from"), lines)
    return 0


def settings(
    config: Config, origins: Mapping[str, str], *, changed: bool = False
) -> list[dict[str, Any]]:
    """A row for each setting, or for those that are not at their defaults."""
    untouched, held = Settings(), config.settings
    names = [
        name for name in RULES if not changed or getattr(held, name) != getattr(untouched, name)
    ]
    rows = [
        {"setting": name, "value": _shown(name, getattr(held, name)), "from": origins[name]}
        for name in names
    ]
    if held.debug_mode:
        for row in rows:
            if row["setting"] == "log_level":
                row["from"] = f"debug_mode, {origins['debug_mode']}"
    return rows


def _shown(name: str, value: Any) -> Any:
    return REDACTED if RULES[name].secret and value else msgspec.to_builtins(value)


def _typed(value: Any) -> str:
    """A value as it stands in the file, or as one would type it."""
    if isinstance(value, str):
        return value
    return '""' if value is None else msgspec.json.encode(value).decode()
