"""What may be typed: commands, options, their words; and nothing of what they do."""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from gateway import __version__
from gateway.commands import words
from gateway.commands.spelling import Parser

Run = Callable[[argparse.Namespace, dict[str, str]], int]

DEFAULT_URL = "http://127.0.0.1:5000"
DEFAULT_TYPE = "chat"
STATES = ("queued", "processing", "completed", "error", "cancelled", "expired")
DELIVERY_STATES = ("waiting", "pending", "delivered", "delivered_unconfirmed", "dead")
SUMS = ("app", "user", "model", "day")
SHELLS = ("bash", "zsh", "fish")

_DEFAULT = "(default: %(default)s)"
_WHEN = "such as 2026-11-20, 2026-11-20T22:44, or 90m, 12h, 7d ago"
_CODES = """\
exit codes:
  0    done
  1    could not be done, or not all of it; the message says what to do
  2    wrongly typed
  130  stopped by Ctrl-C

Results go to standard output, everything else to standard error. NO_COLOR is respected.
"""
_REMOTE = """\
environment:
  GATEWAY_URL  where the gateway is, as --url
  APP_CODE     the code of an app, as --app-code; the environment is the better place for it
"""


def parser(prog: str) -> argparse.ArgumentParser:
    """The whole command line."""
    whole = Parser(
        prog=prog,
        description="Run a model request once; let its owner read the answer whole.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    _add_servers(commands)
    _add_configuration(commands)
    _add_apps(commands)
    _add_asking(commands)
    _add_looking(commands)
    _add_completion(commands)
    return whole


def _add_servers(commands: Any) -> None:
    serve = _command(commands, "serve", "servers:serve", "run the gateway until it is told to stop")
    _add_conf(serve)
    serve.add_argument(
        "--host", type=words.host, help="address to listen on (HOST; default: 127.0.0.1)"
    )
    serve.add_argument("--port", type=words.port, help="port (SERVER_PORT; default: 5000)")
    serve.add_argument(
        "--reload",
        action="store_true",
        help="while developing: start again when its code or its configuration changes",
    )
    demo = _command(
        commands, "demo", "servers:demo", "run it with a simulated model, and say what to try"
    )
    demo.add_argument("--port", type=words.port, default=0, help="port (default: a free one)")

    simulate = _command(
        commands,
        "simulate",
        "servers:simulate",
        "run a simulated provider, OpenAI's or Anthropic's",
    )
    simulate.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"
    )
    simulate.add_argument("--port", type=words.port, default=0, help="port (default: a free one)")


def _add_configuration(commands: Any) -> None:
    check = _command(
        commands,
        "check-config",
        "configuration:check",
        "say everything that is wrong with the configuration, or that it is good",
    )
    _add_conf(check)
    _add_json(check)

    verbs = _noun(commands, "config", "the configuration as the gateway sees it")
    show = _command(
        verbs,
        "show",
        "configuration:show",
        "every setting, its value, and where that comes from; secrets are hidden",
    )
    _add_conf(show)
    show.add_argument("--changed", action="store_true", help="only what is not at its default")
    _add_json(show)

    doctor = _command(
        commands,
        "doctor",
        "doctor:run",
        "examine keys, providers, disk, clock, limits, and the way to the gateway",
        "Each line says ok, warning or error; the last two say what to do. Streaming through\n"
        "PUBLIC_URL (else --url) needs APP_CODE: it asks the built-in simulator, which costs\n"
        "nothing. The exit code is 1 where something is an error.\n\n" + _REMOTE,
    )
    _add_conf(doctor)
    _add_remote(doctor)


def _add_apps(commands: Any) -> None:
    verbs = _noun(commands, "app", "apps that may come in")
    add = _command(verbs, "add", "apps:add", "add an app to apps.json and show its code, once")
    _add_app_name(add)
    add.add_argument(
        "--type", action="append", type=words.line, dest="types", metavar="TYPE",
        help=f"request type it may use at /ai_request; repeatable (default: {DEFAULT_TYPE})",
    )  # fmt: skip
    _add_value(add, "--rate-limit", words.rate, "RATE", "requests in a time", "100/hour")
    _add_value(add, "--max-tokens", words.tokens, "N", "of one answer", 1000)
    _add_value(add, "--priority", words.priority, "N", "0 is first, 9 is last", 5)
    add.add_argument("--admin", action="store_true", help="it may use the doors for operators")

    listing = _command(verbs, "list", "apps:show", "the apps of apps.json, without their codes")
    _add_conf(listing)
    _add_json(listing)
    rotate = _command(
        verbs, "rotate", "apps:rotate", "give an app a new code and show it, once; the old one ends"
    )
    _add_app_name(rotate)
    remove = _command(verbs, "remove", "apps:remove", "take an app out of apps.json")
    _add_app_name(remove)

    token = _command(commands, "token", "tokens:make", "make a user token, signed with JWT_SECRET")
    _add_conf(token)
    token.add_argument("--app", type=words.name, required=True, help="name of the app it is for")
    token.add_argument("--user", type=words.line, required=True, help="id of the user it names")
    token.add_argument("--hours", type=words.hours, default=24.0, help="life (default: 24)")
    _add_json(token)


def _add_app_name(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", type=words.name, metavar="NAME", help="of the app")
    _add_conf(command)
    _add_json(command)


def _add_asking(commands: Any) -> None:
    ask = _command(
        commands, "ask", "ask:run", "ask a model; the answer streams to the terminal",
        "Ctrl-C cancels it.\n\n" + _REMOTE,
    )  # fmt: skip
    ask.add_argument(
        "prompt",
        type=words.prompt,
        metavar="PROMPT",
        help="what to ask; - reads it from standard input",
    )
    ask.add_argument("--model", help="which model (default: the gateway's)")
    ask.add_argument("--system", metavar="TEXT", help="what the model is told beforehand")
    _add_value(ask, "--max-tokens", words.tokens, "N", "of the answer, at most")
    _add_value(ask, "--temperature", words.number, "T", "how freely it speaks")
    _add_remote(ask)

    watch = _command(
        commands, "watch", "watch:run", "follow what becomes of a request, also through cuts",
        "Text goes to standard output, all else to standard error.\n\n" + _REMOTE,
    )  # fmt: skip
    watch.add_argument(
        "request_id", type=words.request_id, metavar="ID", help="of a request made at any door"
    )
    says = "go on after this event, such as 1-57 (default: from the first)"
    _add_value(watch, "--after", words.cursor, "EVENT", says)
    _add_remote(watch, "one event a line, as JSON")

    batch = _command(
        commands, "batch", "batch:run", "ask every line of a file; it can be stopped and continued",
        "Each line of IN is a prompt as a JSON string; or an object with prompt or messages, and\n"
        "with id, model, system, max_tokens or any parameter of OpenAI's; or a line of OpenAI's\n"
        "batch files. Answers are added to OUT as they come. The same command again goes on where\n"
        "it was stopped, and tries once more what failed: that is in OUT's neighbour .failed.\n"
        "Nothing is asked twice within the gateway's RETENTION. Costs are by the prices\n"
        "of models.toml in the folder of the configuration here.\n\n" + _REMOTE,
    )  # fmt: skip
    batch.add_argument("source", metavar="IN", type=Path, help="a file of JSON lines")
    batch.add_argument("target", metavar="OUT", type=Path, help="the answers, by their ids")
    batch.add_argument("--model", help="where a line names none (default: the gateway's)")
    batch.add_argument("--system", metavar="TEXT", help="where a line has no system prompt")
    _add_value(batch, "--concurrency", words.count, "N", "asked at a time", 8)
    _add_value(batch, "--retries", words.whole, "N", "of a failed request", 2)
    _add_conf(batch)
    _add_remote(batch, "the summary as JSON")


def _add_looking(commands: Any) -> None:
    history = _command(
        commands, "history", "history:run", "requests that were made, newest first; or one, whole",
        _REMOTE,
    )  # fmt: skip
    history.add_argument(
        "request_id", type=words.request_id, metavar="ID", nargs="?",
        help="this one, with its answer",
    )  # fmt: skip
    history.add_argument("--all", action="store_true", help="of every app, for operators")
    history.add_argument("--app", metavar="NAME", help="of this app, for operators")
    history.add_argument("--user", metavar="ID", help="of this user")
    history.add_argument("--door", metavar="NAME", help="made at this door, such as openai")
    history.add_argument("--model", help="asked of this model")
    history.add_argument("--state", choices=STATES, help="that are in this state")
    history.add_argument("--search", metavar="TEXT", help="with this in their text")
    _add_value(history, "--since", words.moment, "TIME", f"made at or after, {_WHEN}")
    _add_value(history, "--until", words.moment, "TIME", "made before")
    _add_limit(history)
    _add_remote(history)

    usage = _command(
        commands, "usage", "usage:run", "what answers took and cost, summed, for operators",
        "Whole days, by UTC. Costs are by the prices of the gateway's catalog.\n\n" + _REMOTE,
    )  # fmt: skip
    usage.add_argument("--by", choices=SUMS, default="app", help=f"what is summed by {_DEFAULT}")
    _add_value(usage, "--since", words.moment, "TIME", f"from that day on, {_WHEN}")
    _add_value(usage, "--until", words.moment, "TIME", "before that day")
    _add_remote(usage)

    webhooks = _noun(commands, "webhooks", "callbacks: on their way, delivered, given up")
    listing = _command(webhooks, "list", "webhooks:show_all", "callbacks, newest first", _REMOTE)
    listing.add_argument("--state", choices=DELIVERY_STATES, help="only these")
    listing.add_argument("--app", metavar="NAME", help="of this app")
    _add_limit(listing)
    _add_remote(listing)
    for verb, what in (
        ("show", "one callback, with what its receiver last said"),
        ("replay", "send a callback again that was given up, or may not have arrived"),
    ):
        command = _command(webhooks, verb, f"webhooks:{verb}", what, _REMOTE)
        command.add_argument(
            "request_id", type=words.request_id, metavar="ID", help="of the request it is about"
        )
        _add_remote(command)

    backup = _command(
        commands, "backup", "backup:run", "copy the database of the running gateway into a file",
        "The copy is of one moment, and readable by its owner only. FILE is whole or not there.\n\n"
        + _REMOTE,
    )  # fmt: skip
    backup.add_argument("file", metavar="FILE", type=Path, help="where it goes")
    backup.add_argument("--force", action="store_true", help="replace FILE if it is there")
    _add_remote(backup)


def _add_completion(commands: Any) -> None:
    completion = _command(
        commands, "completion", "completion:run", "print what teaches a shell to complete these",
        'bash:  eval "$(gateway completion bash)"            in ~/.bashrc\n'
        'zsh:   eval "$(gateway completion zsh)"             in ~/.zshrc, after compinit\n'
        "fish:  gateway completion fish > ~/.config/fish/completions/gateway.fish\n",
    )  # fmt: skip
    completion.add_argument("shell", choices=SHELLS, help="which shell")
    completion.add_argument(
        "--for", type=words.program, dest="program", metavar="NAME", default="gateway",
        help=f"the word that is typed to run it {_DEFAULT}",
    )  # fmt: skip


# -- what they share --------------------------------------------------------------------------


def _command(
    commands: Any, name: str, run: str, what: str, more: str | None = None
) -> argparse.ArgumentParser:
    """A command that `run`, `module:function` of this package, does."""
    added: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.set_defaults(run=_lazily(*run.split(":")))
    return added


def _lazily(module: str, function: str) -> Run:
    def run(typed: argparse.Namespace, environ: dict[str, str]) -> int:
        command: Run = getattr(import_module(f"gateway.commands.{module}"), function)
        return command(typed, environ)

    return run


def _noun(commands: Any, name: str, what: str) -> Any:
    noun = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    return noun.add_subparsers(metavar="VERB", required=True)


def _add_conf(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--conf",
        metavar="DIR",
        help="folder of the configuration (GATEWAY_CONF; default: conf beside run.py)",
    )


def _add_remote(command: argparse.ArgumentParser, printed: str = "print JSON") -> None:
    command.add_argument(
        "--url", type=words.address, help=f"of the gateway (default: {DEFAULT_URL})"
    )
    command.add_argument("--app-code", metavar="CODE", help="who asks; better in APP_CODE")
    _add_json(command, printed)


def _add_json(command: argparse.ArgumentParser, printed: str = "print JSON") -> None:
    command.add_argument("--json", action="store_true", help=printed)


def _add_limit(command: argparse.ArgumentParser) -> None:
    _add_value(command, "--limit", words.count, "N", "at most so many", 20)


def _add_value(
    command: argparse.ArgumentParser,
    flag: str,
    kind: Callable[[str], Any],
    metavar: str,
    says: str,
    default: Any = None,
) -> None:
    """An option with a value; what it is where it is not typed is told, if it is anything."""
    told = says if default is None else f"{says} {_DEFAULT}"
    command.add_argument(flag, type=kind, metavar=metavar, default=default, help=told)
