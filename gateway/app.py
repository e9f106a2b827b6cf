"""The roof: settings into stores, providers, engine and doors, and those into one application.

The only file that names concrete classes.
"""

import asyncio
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog
from aiohttp import web

from gateway import __version__, webhooks
from gateway.catalog import PROVIDERS
from gateway.config import Config, Settings
from gateway.conversations import Conversations
from gateway.doors import Backstage, Doors, Patience
from gateway.engine.auth import Auth, new_stream_secret
from gateway.engine.bounds import Bounds, Timeouts
from gateway.engine.checkup import Checkup
from gateway.engine.clock import SteadyClock
from gateway.engine.core import Core
from gateway.engine.dialer import HttpDialer
from gateway.engine.journal import Journal
from gateway.engine.limits import Limits
from gateway.engine.notifier import Notifier
from gateway.engine.observer import Observers
from gateway.engine.retention import ConversationRetention
from gateway.farewell import Farewell
from gateway.lag import Lag
from gateway.metrics import Metrics
from gateway.problems import ConfigError, Problem
from gateway.providers import Provider
from gateway.providers.anthropic import Anthropic
from gateway.providers.openai import OpenAI
from gateway.providers.simulator import Simulator
from gateway.providers.together import Together
from gateway.reloading import Reloading
from gateway.stores import StoreAndOutbox, secret
from gateway.stores.database import Database
from gateway.stores.memory import MemoryStore
from gateway.stores.memory_conversations import MemoryConversations
from gateway.stores.sqlite import SqliteStore
from gateway.stores.sqlite_conversations import SqliteConversations
from gateway.surfaces.overview import Sources
from gateway.uuids import uuids

if TYPE_CHECKING:
    from gateway.tracer import Tracer

log = structlog.get_logger(__name__)

CORE = web.AppKey("core", Core)
RELOADING = web.AppKey("reloading", Reloading)
FAREWELL = web.AppKey("farewell", Farewell)


def build(config: Config, patience: Patience = Patience()) -> web.Application:  # noqa: B008
    """The whole gateway as an application that starts and stops with its server."""
    settings = config.settings
    folder = Path(settings.data_dir) if settings.data_dir and settings.keep_texts else None
    database = Database(folder) if folder else None
    store, conversations = _stores(database)
    providers = providers_of(settings)
    checkup = Checkup(providers, PROVIDERS)
    tracer = _tracer(settings)
    metrics = _metrics(lambda: core)
    clock = SteadyClock()
    observer = Observers(Journal(), metrics, *tracer)
    notifier = Notifier(
        store=store,
        dialer=HttpDialer(__version__, timeout_s=settings.callback_timeout),
        policy_of=lambda name: doors.policy(name),
        rewrites=settings.callback_origin_rewrites,
        keys=webhooks.parse_secrets(settings.callback_secret),
        clock=clock,
        rng=random.Random(),
        log=log,
        observer=observer,
        withheld=lambda job_id: job_id in core.records.forgetting,
    )
    core = Core(
        store=store,
        providers=providers,
        catalog=config.catalog,
        auth=_auth(config, clock),
        limits=Limits(time.monotonic),
        bounds=_bounds(settings),
        now=clock.now,
        new_uuid=uuids(os.urandom).__next__,
        rng=random.Random(),
        on_callback=notifier.wake,
        observer=observer,
    )
    backstage = Backstage(
        outbox=store,
        sources=Sources(
            providers=checkup.statuses,
            backlog=store.backlog,
            delivered=lambda: notifier.delivered,
            conversations=conversations.count,
            low=lambda: database is not None and database.ballast.low,
            durable=store.durable,
            workers=settings.workers,
            capacity=settings.queue_max_size,
        ),
        snapshot=database.snapshot if database else None,
        wake=notifier.wake,
        render=metrics.render,
    )
    doors = Doors(
        core,
        config,
        patience,
        conversations=conversations,
        backstage=backstage,
        now=clock.now,
    )
    app = web.Application(client_max_size=settings.max_body_bytes)
    app[CORE] = core
    app[RELOADING] = Reloading(config, core, doors)
    doors.install(app)
    lag = Lag(metrics.lagged)
    parts: list[Part] = [*tracer, lag, store, *providers.values(), notifier, checkup, core]
    parts.append(ConversationRetention(conversations, settings.conversation_retention, clock.now))
    if folder is not None and settings.jwt_secret is None:
        # When the database is open: it sees that no other process has the folder.
        parts.insert(parts.index(store) + 1, StreamSecret(core.auth, folder))
    app.cleanup_ctx.append(_life(parts))
    app[FAREWELL] = Farewell(
        core, notifier, clock, drain_s=settings.drain_timeout, post_s=settings.callback_timeout
    )
    app.on_shutdown.append(app[FAREWELL].close)
    return app


def _stores(database: Database | None) -> tuple[StoreAndOutbox, Conversations]:
    """In the database, or else in memory."""
    if database is None:
        return MemoryStore(), MemoryConversations()
    return SqliteStore(database), SqliteConversations(database)


def providers_of(settings: Settings) -> dict[str, Provider]:
    """Those there is a key for, and the simulator, which needs none."""
    providers: list[Provider] = [Simulator()]
    if key := settings.together_ai_api_key:
        providers.append(Together(key, settings.together_base_url))
    if key := settings.groq_api_key:
        providers.append(OpenAI(key, settings.groq_base_url, name="groq"))
    if key := settings.openai_api_key:
        providers.append(OpenAI(key, settings.openai_base_url))
    if key := settings.anthropic_api_key:
        providers.append(Anthropic(key, settings.anthropic_base_url))
    return {provider.name: provider for provider in providers}


def _metrics(core: Callable[[], Core]) -> Metrics:
    return Metrics(
        version=__version__,
        is_app=lambda name: core().auth.tenant(name) is not None,
        is_model=lambda name: name in core().catalog.by_name,
        budgets=lambda: core().budgets.shares(core().auth.tenants),
    )


def _tracer(settings: Settings) -> "list[Tracer]":
    """One, where traces are wanted.

    Raises:
        ConfigError: what sends them is not installed.
    """
    if settings.otlp_endpoint is None:
        return []
    try:
        from gateway.tracer import Tracer
    except ModuleNotFoundError as error:
        packages = "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
        raise ConfigError(
            [
                Problem(
                    file="gateway.toml",
                    key="otlp_endpoint",
                    expected="to find what sends traces",
                    hint=f"`pip install {packages}` brings it.",
                )
            ]
        ) from error
    return [Tracer(settings.otlp_endpoint, __version__, time.time)]


def _auth(config: Config, clock: SteadyClock) -> Auth:
    settings = config.settings
    return Auth(
        config.tenants,
        jwt_secret=settings.jwt_secret,
        stream_secret=settings.jwt_secret or new_stream_secret(secrets.token_bytes),
        anonymous_app=settings.anonymous_app,
        now=clock.wall,
        steady=clock.now,
    )


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        workers=settings.workers,
        queue_max_size=settings.queue_max_size,
        queue_timeout=settings.queue_timeout,
        connect_timeout=settings.connect_timeout,
        disconnect_grace=settings.disconnect_grace,
        abandon_after=settings.abandon_after,
        drain_timeout=settings.drain_timeout,
        retention=settings.retention,
        dead_letter_retention=settings.dead_letter_retention,
        callback_deadline=settings.callback_deadline,
        requests_per_minute={
            "together": settings.together_requests_per_minute,
            "groq": settings.groq_requests_per_minute,
            "openai": settings.openai_requests_per_minute,
            "anthropic": settings.anthropic_requests_per_minute,
        },
        timeouts=Timeouts(
            first_token_s=settings.first_token_timeout,
            token_s=settings.token_timeout,
            whole_s=settings.request_timeout,
        ),
    )


class StreamSecret:
    """Lets links to streams outlive the process: their secret is kept beside the database."""

    def __init__(self, auth: Auth, folder: Path) -> None:
        self._auth = auth
        self._file = folder / "stream-secret"

    async def start(self) -> None:
        """Sign with the secret that is kept.

        Raises:
            OSError: there is none, and none can be kept.
        """
        new = partial(new_stream_secret, secrets.token_bytes)
        self._auth.sign_streams_with(await asyncio.to_thread(secret.kept, self._file, new))

    async def stop(self) -> None:
        """There is nothing to close."""


class Part(Protocol):
    """What lives as long as the server."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


# Life ------------------------------------------------------------------------------------------


def _life(parts: list[Part]) -> Callable[[web.Application], AsyncIterator[None]]:
    async def life(app: web.Application) -> AsyncIterator[None]:
        for part in parts:
            await part.start()
        yield
        for part in reversed(parts):
            await part.stop()

    return life
