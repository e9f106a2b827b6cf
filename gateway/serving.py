"""A server for the application: its start, and an end that lets what runs come to its own."""

import asyncio
import gc
import signal
from collections.abc import Coroutine

import structlog
from aiohttp import web

from gateway import __version__
from gateway.app import CORE, build
from gateway.config import Config

log = structlog.get_logger(__name__)

_KEEPALIVE_S = 30.0
# What is still sent after a refusal is read for so long, and thrown away.
_LINGERING_S = 2.0
# After the logs are closed, handlers only say goodbye.
_SHUTDOWN_S = 5.0


def runner(app: web.Application) -> web.AppRunner:
    """What serves the application, set as its doors need it."""
    return web.AppRunner(
        app,
        access_log=None,
        # A handler that only waits is told when its caller leaves.
        handler_cancellation=True,
        keepalive_timeout=_KEEPALIVE_S,
        lingering_time=_LINGERING_S,
        shutdown_timeout=_SHUTDOWN_S,
    )


async def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT, then drain; 0 when all is done.

    A second signal ends the drain at once.

    Raises:
        OSError: the address cannot be listened on.
    """
    settings = config.settings
    for warning in config.warnings:
        log.warning("configuration_warning", text=warning)
    app = build(config)
    served = runner(app)
    await served.setup()
    try:
        site = web.TCPSite(served, settings.host, settings.server_port, backlog=4096)
        await site.start()
        signals = _signals()
        host, port = served.addresses[0][:2]
        _spare_collector()
        log.info("gateway_started", host=host, port=port, version=__version__)
        await signals.acquire()
        log.info("drain_started")
        await _first(app[CORE].drain(), signals.acquire())
    finally:
        await served.cleanup()
    log.info("gateway_stopped")
    return 0


def _spare_collector() -> None:
    """Let the garbage collector look seldom, and not at what was made before the first request.

    Values here hold no cycles: reference counts free nearly all of what a job leaves. A look takes
    half a microsecond an object and stops everything, so each is at few objects; all of them are
    looked at after millions of new ones.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 3, 250)


def _signals() -> asyncio.Semaphore:
    """Each SIGTERM or SIGINT from now on lets one `acquire` through, whenever it is called."""
    signals = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.release)
    return signals


async def _first(*works: Coroutine[None, None, object]) -> None:
    """Wait for whichever ends first, and cancel the rest."""
    tasks = [asyncio.create_task(work) for work in works]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.wait(tasks)
    for task in done:
        task.result()
