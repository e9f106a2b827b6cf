"""`serve`, `demo` and `simulate`: what runs until it is told to stop."""

import argparse
import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from gateway.commands import CommandError, conf
from gateway.config import Config, Settings

T = TypeVar("T")


def serve(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Run the gateway."""
    if typed.reload:
        from gateway.commands import restarting

        return restarting.run(typed, conf.folder(typed, environ), environ)
    from gateway import serving

    def read() -> Config:
        return conf.read(typed, environ).config()

    def reread() -> Config:
        try:
            return read()
        except CommandError as error:
            # The folder is gone. Who serves knows no commands.
            raise OSError(str(error)) from None

    config = read()
    with _logging(config.settings):
        return _run(serving.serve(config, reread, environ))


def demo(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Run it with a simulated model."""
    from gateway import demo as demonstration

    return _run(demonstration.run(typed.port))


def simulate(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Run a simulated provider."""
    from gateway import simulate as simulator

    try:
        _run(simulator.serve(typed.host, typed.port))
    except KeyboardInterrupt:
        # It has no other end.
        return 0
    return 0


@contextmanager
def _logging(settings: Settings) -> Iterator[None]:
    """Within the block the process logs; what is said after it comes after the log's last line."""
    from gateway import logs

    lines = logs.configure(
        secrets=logs.secrets_of(settings), level=settings.log_level, form=settings.log_format
    )
    try:
        yield
    finally:
        lines.close()


def _run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, on uvloop where it is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
