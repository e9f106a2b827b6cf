"""A server for the application: its start, and an end that lets what runs come to its own."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import web
from msgspec.structs import replace

from gateway import __version__, descriptors
from gateway.app import FAREWELL, RELOADING, build
from gateway.config import Config, Settings
from gateway.connections import Connections
from gateway.problems import ConfigError
from gateway.reloading import Reloading
from gateway.stores import folder
from gateway.stores.database import StoreInUse, StoreUnusable
from gateway.supervisor import Supervisor, inherited

log = structlog.get_logger(__name__)

# For a head to be whole, from the connection's first moment or its last answer on: who is silent,
# or sends a byte now and then, must not hold a place for long. Proxies must close idle connections
# before (those in conf/ do), or a POST meets one that is being closed, and is a 502.
KEEPALIVE_S = 30.0
# What is still sent after a refusal is read for so long, and thrown away.
_LINGERING_S = 2.0
# After the logs are closed, handlers only say goodbye.
_SHUTDOWN_S = 5.0
_BACKLOG = 4096
_STDERR = 2
_REFUSED = "The last change of the configuration was refused; the log says why."
# For requests that are on their way on connections that have been accepted.
_HANDOVER_S = 0.25


def runner(app: web.Application, keepalive_s: float = KEEPALIVE_S) -> Connections:
    """What serves the application, set as its doors need it.

    Args:
        keepalive_s: a connection on which no head is whole by then is closed, without a word.
    """
    return Connections(
        app,
        access_log=None,
        # The doors undo the coding of a body, within its bounds; not the server, while it reads.
        auto_decompress=False,
        keepalive_timeout=keepalive_s,
        lingering_time=_LINGERING_S,
        shutdown_timeout=_SHUTDOWN_S,
    )


async def serve(
    config: Config,
    reread: Callable[[], Config] | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, then drain; 0 when all is done.

    A second signal ends the drain at once. SIGHUP reads the configuration again; a wrong one is
    refused whole.

    Args:
        reread: gives the configuration as it is now; None where it does not change.
        environ: where a supervisor says what it gives and wants; None where there is none.

    Raises:
        OSError: the address cannot be listened on.
    """
    _warn(config)
    descriptors.allow(descriptors.wanted(config.settings))
    environ = environ or {}
    supervisor = Supervisor.of(environ, os.getpid())
    sockets = inherited(environ, os.getpid())
    app, served = await _set_up(config)
    try:
        await _listen(served, config, sockets)
        signals = _signals()
        host, port = _place(served.addresses[0])
        _spare_collector()
        status = f"Serving on {host}, port {port}."
        async with _reloading(app[RELOADING], reread, supervisor, status, signals.release):
            log.info("gateway_started", host=host, port=port, version=__version__)
            supervisor.ready(status)
            supervisor.start()
            await signals.acquire()
        log.info("drain_started")
        supervisor.stopping()
        if sockets:
            await _hand_over(served)
        await _first(app[FAREWELL].drain(), signals.acquire())
    finally:
        await served.cleanup()
        supervisor.stop()
    log.info("gateway_stopped")
    return 0


def _warn(config: Config) -> None:
    for warning in config.warnings:
        log.warning("configuration_warning", text=warning)


async def _set_up(config: Config) -> tuple[web.Application, web.AppRunner]:
    """The application, started; without its folder where nobody chose that and it has none.

    Raises:
        OSError: the folder that was chosen cannot be used, or what it holds is damaged.
    """
    app = build(config)
    served = runner(app)
    try:
        await served.setup()
    except OSError as error:
        await served.cleanup()
        path = config.settings.data_dir
        if config.data_dir_chosen or path is None or not _can_do_without(error, path):
            raise _explained(error) from None
        log.warning("memory_only", why=str(error), advice="Set DATA_DIR to a folder of its own.")
        in_memory = replace(config.settings, data_dir=None)
        return await _set_up(replace(config, settings=in_memory))
    _warn_of_others(config.settings)
    return app, served


def _warn_of_others(settings: Settings) -> None:
    path = settings.data_dir if settings.keep_texts else None
    if path is not None and folder.is_shared(Path(path)):
        text = f"DATA_DIR is open to others on this machine: `chmod 700 {path}` keeps it private."
        log.warning("configuration_warning", text=text)


def _can_do_without(error: OSError, path: str) -> bool:
    """Somebody else has the folder, or it cannot be made: nothing of this gateway is in it."""
    return isinstance(error, StoreInUse) or not Path(path).exists()


def _explained(error: OSError) -> OSError:
    """With the setting to change; what holds jobs already says what to do by itself."""
    if isinstance(error, StoreUnusable):
        return error
    told = f"{error.strerror}: DATA_DIR must be a folder that can be made, and written to"
    return OSError(error.errno, told, error.filename)


async def _listen(served: web.AppRunner, config: Config, sockets: list[socket.socket]) -> None:
    """On the sockets that a supervisor holds for the gateway, or else where the settings say."""
    settings = config.settings
    sites: list[web.BaseSite] = [
        web.SockSite(served, inherited, backlog=_BACKLOG) for inherited in sockets
    ]
    if not sites:
        port = settings.server_port
        sites = [web.TCPSite(served, settings.host, port, backlog=_BACKLOG)]
    for site in sites:
        await site.start()


def _place(address: str | tuple[str, int]) -> tuple[str, int]:
    """Host and port; of a socket in the file system, its path."""
    return (address, 0) if isinstance(address, str) else (address[0], address[1])


async def _hand_over(served: web.AppRunner) -> None:
    """Leave whoever connects from now on to the next process: they wait in the socket for it."""
    for site in tuple(served.sites):
        await site.stop()
    await asyncio.sleep(_HANDOVER_S)
    if served.server is not None:
        # Idle connections would otherwise go on to ask a gateway that only refuses.
        served.server.pre_shutdown()


@asynccontextmanager
async def _reloading(
    reloading: Reloading,
    reread: Callable[[], Config] | None,
    supervisor: Supervisor,
    status: str,
    end: Callable[[], None],
) -> AsyncIterator[None]:
    """Within the block SIGHUP reads the configuration again; or ends all, where it comes of the
    terminal's end.
    """
    if reread is None:
        yield
        return
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def obey() -> None:
        while True:
            await told.wait()
            told.clear()
            supervisor.reloading()
            taken = await _reload(reloading, reread)
            supervisor.ready(status if taken else f"{status} {_REFUSED}")

    at_terminal = os.isatty(_STDERR)

    def heed() -> None:
        (end if at_terminal and not os.isatty(_STDERR) else told.set)()

    obeying = asyncio.create_task(obey())
    loop.add_signal_handler(signal.SIGHUP, heed)
    try:
        yield
    finally:
        # The end has begun: another configuration changes nothing any more.
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        obeying.cancel()
        await asyncio.wait({obeying})


async def _reload(reloading: Reloading, reread: Callable[[], Config]) -> bool:
    """Go by the configuration as it is now; False if it was refused, and the log says why."""
    try:
        # Files may be slow; streams go on meanwhile.
        config = await asyncio.to_thread(reread)
        reloading.change(config)
        descriptors.allow(descriptors.wanted(config.settings))
        _warn(config)
    except (ConfigError, OSError, UnicodeError) as error:
        log.error("configuration_refused", problems=str(error).splitlines())
        return False
    except Exception:
        # A slip of ours; the next SIGHUP must be heard all the same.
        log.exception("configuration_refused", problems=["It could not be taken."])
        return False
    return True


def _spare_collector() -> None:
    """Let the garbage collector look seldom, and not at what was made before the first request.

    Values here hold no cycles: reference counts free nearly all of what a job leaves. A look takes
    half a microsecond an object and stops everything, so each is at few objects; all of them are
    looked at after millions of new ones.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 3, 250)


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
