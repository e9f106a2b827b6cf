"""A parser that says which word may be meant where one is wrongly typed."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Takes options by their whole names alone: `--app` of a command that has none would else be
    its `--app-code`, and the name of an app be sent as its secret.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given, allow_abbrev=False)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """What was typed, and nothing that is unknown: that is refused here, where it is known
        which command it was meant for.
        """
        typed, rest = super().parse_known_args(args, namespace)
        if rest:
            option = next((each for each in rest if each.startswith("-")), "")
            hint = _nearest(option.partition("=")[0], self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
        return typed, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong; where a command is all that is missing, say which there are."""
        if self._subparsers is not None and message.startswith("the following arguments are"):
            self.print_help(sys.stderr)
            self.exit(2)
        super().error(message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End, when all that was printed is out: who read it may have had enough."""
        sys.stdout.flush()
        super().exit(status, message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            hint = _nearest(str(value), action.choices or ())
            raise argparse.ArgumentError(action, f"{error.message}{hint}") from None


def _nearest(word: str, known: Iterable[str]) -> str:
    # Seldom needed, and help comes at once without it.
    from gateway.problems import nearest

    hint = nearest(word, known)
    return f". {hint}" if hint else ""
