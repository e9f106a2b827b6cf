"""The configuration that a command was told of: its folder, and what it says."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from gateway import sources
from gateway.commands import CommandError
from gateway.sources import SHIPPED, Sources


def folder(typed: argparse.Namespace, environ: Mapping[str, str]) -> Path:
    """The folder of the configuration; the one that comes with the gateway where none is named.

    Raises:
        CommandError: one is named, and is none.
    """
    if typed.conf == "":
        raise CommandError("--conf is empty: it names the folder with gateway.toml.")
    named: str | None = typed.conf or environ.get("GATEWAY_CONF")
    if not named:
        return SHIPPED
    if not Path(named).is_dir():
        raise CommandError(f"{named} is no folder: --conf names the one with gateway.toml.")
    return Path(named)


def read(typed: argparse.Namespace, environ: Mapping[str, str]) -> Sources:
    """The texts of the configuration; what was typed is part of the environment.

    Raises:
        CommandError, OSError: they cannot be read.
    """
    options = {"HOST": getattr(typed, "host", None), "SERVER_PORT": getattr(typed, "port", None)}
    typed_in = {name: str(value) for name, value in options.items() if value is not None}
    return sources.read(folder(typed, environ), {**environ, **typed_in})
