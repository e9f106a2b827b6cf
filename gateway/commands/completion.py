"""`completion`: a script that teaches a shell the commands, their options and their words."""

import argparse
from pathlib import Path

import shtab

from gateway.commands.grammar import parser


def run(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print the script."""
    whole = parser(typed.program)
    _complete_paths(whole)
    print(shtab.complete(whole, typed.shell))
    return 0


def _complete_paths(command: argparse.ArgumentParser) -> None:
    """Say which words are paths, for this command and those under it."""
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _complete_paths(inner)
        elif action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar == "DIR":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
