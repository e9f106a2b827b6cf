"""The command line: reads what was typed, calls what does it, says what went wrong.

Exit codes: 0 done, 1 could not be done (the message says what to do), 2 wrongly typed, 130
stopped by Ctrl-C. Results go to standard output, everything else to standard error.
"""

import errno
import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path

from gateway.commands import CommandError
from gateway.commands.grammar import parser
from gateway.commands.terminal import say
from gateway.problems import ConfigError

INTERRUPTED = 130
_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
# How asyncio says that it cannot listen.
_BOUND = re.compile(r"error while .* \('(?P<host>[^']*)', (?P<port>\d+)[^)]*\): (?P<why>.*)")


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command and return its exit code."""
    _open_what_is_closed()
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that lacks a letter shows its number; an answer is not broken off for it.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        typed = parser(_program()).parse_args(argv)
        code: int = typed.run(typed, dict(os.environ if environ is None else environ))
        sys.stdout.flush()
    except (CommandError, ConfigError) as error:
        say(str(error))
        return 1
    except BrokenPipeError:
        # Who read it has enough. What is left unsaid must not be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        say(_explained(error))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _open_what_is_closed() -> None:
    """Point the standard streams that are closed at nothing: the next file or socket would take the
    number of one, and what is said be written into it.
    """
    while (extra := os.open(os.devnull, os.O_RDWR)) < len(_STREAMS):
        pass
    os.close(extra)
    for number, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _program() -> str:
    """What was typed to run this."""
    name = Path(sys.argv[0]).name
    return "python -m gateway" if name == "__main__.py" else name


def _explained(error: OSError) -> str:
    """What an operating system's refusal means for the person who typed the command."""
    what = error.strerror or str(error)
    if bound := _BOUND.fullmatch(what):
        what = f"{bound['host']}, port {bound['port']}: {bound['why']}"
    if isinstance(error, socket.gaierror):
        return f"{what}: --host must be a name or an address of this machine."
    if error.errno == errno.EADDRINUSE:
        return f"{what}: stop what listens there, or choose another port with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{what}: --host must be an address of this machine."
    if error.errno in {errno.EACCES, errno.EPERM} and error.filename is None:
        return f"{what}: a port below 1024 needs more rights; choose another with --port."
    return f"{error.filename}: {what}" if error.filename else what
