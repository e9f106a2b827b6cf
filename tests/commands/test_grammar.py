"""What may be typed: known words, plain refusals, and help without a wait."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any, get_args

import pytest

from gateway.commands import grammar
from gateway.jobs import State
from gateway.spending import By
from gateway.webhooks import DeliveryState
from tests.processes import ROOT

# What takes long to import, and is none of help's business.
SLOW = {"aiohttp", "asyncio", "dotenv", "gateway.config", "jwt", "rich", "shtab"}


def commands(
    parser: argparse.ArgumentParser, *words: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that can be run, by its words."""
    inner = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not inner:
        yield " ".join(words), parser
    for each in inner:
        for word, command in each.choices.items():
            yield from commands(command, *words, word)


ALL = dict(commands(grammar.parser("gateway")))


def test_words_are_those_of_the_gateway() -> None:
    """They are written down here, so that nothing has to be imported for them."""
    assert tuple(State) == grammar.STATES
    assert set(DeliveryState) == set(grammar.DELIVERY_STATES)
    assert get_args(By) == grammar.SUMS


@pytest.mark.parametrize("words", ALL)
def test_each_command_is_there_and_says_what_it_does(words: str) -> None:
    """What does it is imported when it is typed, and there is help for it."""
    command = ALL[words]
    assert command.description
    assert command.description.endswith(".")
    module, function = closed_over(command.get_default("run"))
    assert callable(getattr(import_module(f"gateway.commands.{module}"), function))


def closed_over(lazy: Any) -> tuple[str, str]:
    """The module and the function that a command is put off to."""
    held = {
        name: cell.cell_contents
        for name, cell in zip(lazy.__code__.co_freevars, lazy.__closure__, strict=True)
    }
    return held["module"], held["function"]


@pytest.mark.parametrize("words", [words for words in ALL if "demo" not in words])
def test_what_prints_data_prints_it_for_programs(words: str) -> None:
    """Servers and scripts for shells print none."""
    options = {option for action in ALL[words]._actions for option in action.option_strings}
    assert ("--json" in options) == (words not in {"serve", "simulate", "completion"})


def test_help_and_mistakes_import_nothing_slow() -> None:
    """The shell's prompt is back at once."""
    script = (
        "import sys, gateway.cli\n"
        "try: gateway.cli.main(['history', '--help'])\n"
        f"except SystemExit: print(sorted({SLOW!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"


@pytest.mark.parametrize(
    "typed",
    [
        "ask", "watch", "batch in", "ask x --url x.y", "ask x --url ftp://x",
        "ask x --max-tokens 0", "ask x --temperature nan", "ask x --temperature hot", "ask ",
        "watch 1-2", "history 1", "webhooks replay x", "history --limit 0", "completion --for . sh",
        "history --since soon", "usage --until 5y", "ask x --url http://a:65536",
        "ask x --url https://u:p@x", "batch a b --concurrency 0", "history --state done",
        "webhooks", "webhooks show", "backup", "completion ksh", "config", "app rotate",
    ],
)  # fmt: skip
def test_what_is_wrongly_typed_ends_with_2(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The usage is shown, and nothing is done."""
    with pytest.raises(SystemExit) as ended:
        grammar.parser("gateway").parse_args(typed.split(" "))
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage:")


@pytest.mark.parametrize(("typed", "told"), [((), "doctor"), (("app",), "rotate")])
def test_where_only_a_command_is_missing_all_are_told(
    typed: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with what it does."""
    with pytest.raises(SystemExit) as ended:
        grammar.parser("gateway").parse_args(typed)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert (out, any(line.startswith(f"    {told} ") for line in err.splitlines())) == ("", True)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("histroy", "Did you mean history?"),
        ("app ad", "Did you mean add?"),
        ("usage --sicne 1h", "unrecognized arguments: --sicne 1h. Did you mean --since?"),
        ("usage --app shop", "unrecognized arguments: --app shop. Did you mean --app-code?"),
        ("usage extra", "gateway usage: error: unrecognized arguments: extra"),
    ],
)
def test_a_slip_is_told_what_may_be_meant(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command it was meant for; and nothing is taken for what begins as it does."""
    with pytest.raises(SystemExit):
        grammar.parser("gateway").parse_args(typed.split())
    assert capsys.readouterr().err.splitlines()[-1].endswith(meant)
