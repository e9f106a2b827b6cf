"""The command line as a page, out of its own grammar.

`python -m tests.cli_page > docs/reference/cli.md` writes it anew.
"""

import argparse
from collections.abc import Iterator

from gateway.commands.grammar import parser

_HEAD = """\
# The command line

`python run.py COMMAND …` in the folder of the gateway, or `python -m gateway COMMAND …`. `make`
links the same as `gateway` into `.venv/bin`: it is there once the environment is active. For
everywhere else:

```text
sudo ln -s "$PWD/gateway/launcher" /usr/local/bin/gateway
```

(`pip install .` cannot do it: the project has a `setup.cfg` alone, and pip asks for a
`pyproject.toml` or a `setup.py`.)

Results go to standard output, everything else to standard error. What is no terminal gets neither
colours nor bars, and `NO_COLOR` is respected. `--json` prints the result for programs.

| exit code | means |
|---|---|
| 0 | done |
| 1 | could not be done, or not all of it; the message says what to do |
| 2 | wrongly typed |
| 130 | stopped by Ctrl-C |

| variable | for commands that talk to a gateway |
|---|---|
| `GATEWAY_URL` | where it is; `--url` beats it |
| `APP_CODE` | the code of an app; `--app-code` beats it, and can be seen by others on the machine |
| `GATEWAY_CONF` | for commands that read the configuration: its folder; `--conf` beats it |

On the gateway's own machine, what operators may do needs no code.
"""


def page() -> str:
    """The page: a part for each command, in the order of the help."""
    return "\n".join([_HEAD, *_parts(parser("gateway"))])


def _parts(command: argparse.ArgumentParser) -> Iterator[str]:
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                if any(isinstance(each, argparse._SubParsersAction) for each in inner._actions):
                    yield from _parts(inner)
                else:
                    yield _part(inner)


def _part(command: argparse.ArgumentParser) -> str:
    shown = [each for each in command._actions if "--help" not in each.option_strings]
    words = [_name(each) for each in shown if not each.option_strings]
    lines = [f"## {' '.join([command.prog, *words])}", "", command.description or "", ""]
    epilog = (command.epilog or "").partition("environment:")[0].strip()
    if epilog:
        lines += ["```text", epilog, "```", ""] if "  " in epilog else [epilog, ""]
    if shown:
        lines += ["| what is typed | what it means |", "|---|---|", *map(_row, shown), ""]
    return "\n".join(lines)


def _row(action: argparse.Action) -> str:
    said = (action.help or "") % {"default": action.default}
    cells = (each.replace("|", "\\|") for each in (f"`{_name(action)}`", said))
    return f"| {' | '.join(cells)} |"


def _name(action: argparse.Action) -> str:
    value = action.metavar or (
        "|".join(map(str, action.choices)) if action.choices else action.dest.upper()
    )
    if not action.option_strings:
        return f"[{value}]" if action.nargs == "?" else str(value)
    name = action.option_strings[-1]
    return name if action.nargs == 0 else f"{name} {value}"


if __name__ == "__main__":
    print(page(), end="")
