"""The command line: reads what was typed, calls what does it, says what went wrong.

Exit codes: 0 done, 1 could not be done (the message says what to do), 2 wrongly typed.
Results go to standard output, everything else to standard error.
"""

import argparse
import asyncio
import errno
import os
import secrets
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gateway import __version__
from gateway.problems import ConfigError

if TYPE_CHECKING:
    from gateway.config import Config

DEFAULT_CONF = Path(__file__).parents[1] / "conf"
DEFAULT_TYPE = "chat"
# The gateway refuses a token that is good for longer.
MOST_HOURS = 366 * 24

_DEFAULT = "(default: %(default)s)"

T = TypeVar("T")


class CommandError(Exception):
    """A command cannot be done; the text says why and what to do."""


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command and return its exit code."""
    typed = _parser().parse_args(argv)
    try:
        code: int = typed.run(typed, dict(os.environ if environ is None else environ))
    except ConfigError as error:
        _say(str(error))
        return 1
    except CommandError as error:
        _say(f"{error}")
        return 1
    except OSError as error:
        _say(_explained(error))
        return 1
    except KeyboardInterrupt:
        return 0
    return code


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _explained(error: OSError) -> str:
    """What an operating system's refusal means for the person who typed the command."""
    what = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        return f"{what}: stop what listens there, or choose another port with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{what}: --host must be an address of this machine."
    if error.errno in {errno.EACCES, errno.EPERM} and error.filename is None:
        return f"{what}: a port below 1024 needs more rights; choose another with --port."
    return f"{error.filename}: {what}" if error.filename else what


# -- commands ---------------------------------------------------------------------------------


def _serve(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    from gateway import serving

    def reread() -> "Config":
        return _loaded(typed, environ)

    return _run(serving.serve(_configured(typed, environ), reread, environ))


def _demo(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    from gateway import demo

    return _run(demo.run(typed.port))


def _simulate(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    from gateway import simulate

    _run(simulate.serve(typed.host, typed.port))
    return 0


def _check_config(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    config = _loaded(typed, environ)
    for warning in config.warnings:
        _say(f"warning: {warning}")
    names = ", ".join(sorted(tenant.name for tenant in config.tenants)) or "none"
    print(f"The configuration is good. Apps: {names}.")
    return 0


def _token(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    import jwt

    config = _loaded(typed, environ)
    secret = config.settings.jwt_secret
    if secret is None:
        raise CommandError(
            "JWT_SECRET is not set. Set it to the gateway's, at least 32 bytes, "
            f"such as this new one:\n  export JWT_SECRET={secrets.token_urlsafe(32)}"
        )
    if typed.app not in {tenant.name for tenant in config.tenants}:
        _say(f"warning: no app is named {typed.app}; the gateway will refuse this token.")
    expires = int(time.time() + typed.hours * 3600)
    claims = {"app": typed.app, "sub": typed.user, "exp": expires}
    print(jwt.encode(claims, secret, algorithm="HS256"))
    return 0


def _app_add(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    from gateway import enrolment

    code = enrolment.new_code(secrets.token_urlsafe(enrolment.CODE_BYTES))
    file = (_conf_dir(typed, environ) or DEFAULT_CONF) / "apps.json"
    enrolment.add(file, code, _entry(typed))
    _say(f"{typed.name} is in {file}. This is its app code; it is shown only this once:")
    print(code)
    return 0


def _entry(typed: argparse.Namespace) -> dict[str, Any]:
    return {
        "name": typed.name,
        "allowed_request_types": typed.types or [DEFAULT_TYPE],
        "rate_limit": typed.rate_limit,
        "max_tokens": typed.max_tokens,
        "priority": typed.priority,
    }


# -- what they share --------------------------------------------------------------------------


def _configured(typed: argparse.Namespace, environ: dict[str, str]) -> "Config":
    """The configuration, in force for this process's log from here on."""
    from gateway import logs

    config = _loaded(typed, environ)
    settings = config.settings
    logs.configure(
        secrets=logs.secrets_of(settings), level=settings.log_level, form=settings.log_format
    )
    return config


def _loaded(typed: argparse.Namespace, environ: dict[str, str]) -> "Config":
    from gateway import sources

    options = {"HOST": getattr(typed, "host", None), "SERVER_PORT": getattr(typed, "port", None)}
    typed_in = {name: str(value) for name, value in options.items() if value is not None}
    return sources.load(_conf_dir(typed, environ), environ | typed_in)


def _conf_dir(typed: argparse.Namespace, environ: Mapping[str, str]) -> Path | None:
    """The folder of the configuration that was named; None where none was."""
    named: str | None = typed.conf or environ.get("GATEWAY_CONF")
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder: --conf names the one with gateway.toml.")
    return folder


def _run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, on uvloop where it is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


# -- what may be typed ------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Run a model request once; let its owner read the answer whole."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_servers(commands)
    check = _command(commands, "check-config", _check_config, "say what is wrong with it, or not")
    _add_conf(check)
    _add_token(commands)
    _add_app(commands)
    return parser


def _command(commands: Any, name: str, run: Any, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what)
    parser.set_defaults(run=run)
    return parser


def _add_conf(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--conf",
        metavar="DIR",
        help="folder of the configuration (GATEWAY_CONF; default: conf beside run.py)",
    )


def _add_servers(commands: Any) -> None:
    serve = _command(commands, "serve", _serve, "run the gateway until it is told to stop")
    _add_conf(serve)
    serve.add_argument("--host", help="address to listen on (HOST; default: 127.0.0.1)")
    serve.add_argument("--port", type=_port, help="port (SERVER_PORT; default: 5000)")

    demo = _command(commands, "demo", _demo, "run it with a simulated model, and say what to try")
    demo.add_argument("--port", type=_port, default=0, help="port (default: a free one)")

    simulate = _command(commands, "simulate", _simulate, "run a simulated provider, OpenAI's wire")
    simulate.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    simulate.add_argument("--port", type=_port, default=0, help="port (default: a free one)")


def _add_token(commands: Any) -> None:
    token = _command(commands, "token", _token, "make a user token, signed with JWT_SECRET")
    _add_conf(token)
    token.add_argument("--app", required=True, help="name of the app it is for")
    token.add_argument("--user", required=True, help="id of the user it names")
    token.add_argument("--hours", type=_hours, default=24.0, help="life (default: 24)")


def _add_app(commands: Any) -> None:
    apps = commands.add_parser("app", help="apps that may come in", description="apps")
    verbs = apps.add_subparsers(metavar="VERB", required=True)
    add = _command(verbs, "add", _app_add, "add an app to apps.json and show its code, once")
    _add_conf(add)
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "--type", action="append", dest="types", metavar="TYPE",
        help=f"request type it may use at /ai_request; repeatable (default: {DEFAULT_TYPE})",
    )  # fmt: skip
    add.add_argument("--rate-limit", metavar="RATE", default="100/hour", help=_DEFAULT)
    add.add_argument("--max-tokens", type=int, default=1000, help=f"of one answer {_DEFAULT}")
    add.add_argument("--priority", type=int, default=5, help=f"0 is first, 9 is last {_DEFAULT}")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("a port is a whole number from 0 to 65535")
    return int(text)


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = -1.0
    if not 0 < hours <= MOST_HOURS:
        raise argparse.ArgumentTypeError(f"hours are a number above 0, at most {MOST_HOURS}")
    return hours
