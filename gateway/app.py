"""The roof: settings into stores, providers, engine and doors, and those into one application.

The only file that names concrete classes.
"""

import random
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from ipaddress import ip_network
from math import inf
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog
from aiohttp import web

from gateway import __version__, origins, webhooks
from gateway.catalog import PROVIDERS
from gateway.config import Config, Settings
from gateway.conversations import Conversations
from gateway.destinations import Policy, check_url
from gateway.engine.auth import Auth, new_stream_secret
from gateway.engine.bounds import Bounds, Timeouts
from gateway.engine.checkup import Checkup
from gateway.engine.clock import WallClock
from gateway.engine.core import Core
from gateway.engine.dialer import HttpDialer
from gateway.engine.limits import Limits
from gateway.engine.notifier import Notifier
from gateway.jobs import OnDisconnect
from gateway.providers import Provider
from gateway.providers.anthropic import Anthropic
from gateway.providers.openai import OpenAI
from gateway.providers.simulator import Simulator
from gateway.providers.together import Together
from gateway.stores import Store
from gateway.stores.conversations import MemoryConversations
from gateway.stores.database import Database
from gateway.stores.memory import MemoryStore
from gateway.stores.sqlite import SqliteStore
from gateway.stores.sqlite_conversations import SqliteConversations
from gateway.surfaces import cors
from gateway.surfaces.ai_request import CheckUrl, JobQueue
from gateway.surfaces.ask import AskDoor
from gateway.surfaces.assistant import Assistant
from gateway.surfaces.chat import Chat
from gateway.surfaces.conversations import Archive
from gateway.surfaces.direct import Direct, carry_headers
from gateway.surfaces.door import Desk, Door
from gateway.surfaces.openai import Completions
from gateway.surfaces.openapi import ApiDocument
from gateway.surfaces.responses import Responses
from gateway.surfaces.status import Health
from gateway.surfaces.strays import strays
from gateway.surfaces.stream import N8n
from gateway.surfaces.streams import Streams
from gateway.surfaces.websocket import WebSockets

log = structlog.get_logger(__name__)

CORE = web.AppKey("core", Core)


class Patience(NamedTuple):
    """How long the doors wait for callers, in seconds; no setting.

    Attributes:
        body_s: for a body to be whole.
        stall_s: for a reader that takes nothing.
        tick_s: between two looks at the open streams.
    """

    body_s: float = 10.0
    stall_s: float = 30.0
    tick_s: float = 1.0


# What fails within this is answered with a status of its own, at OpenAI's doors.
_HOLD_S = 10.0
# For callbacks that would be lost with the process.
_FLUSH_S = 5.0


def build(config: Config, patience: Patience = Patience()) -> web.Application:  # noqa: B008
    """The whole gateway as an application that starts and stops with its server."""
    settings = config.settings
    store, conversations = _stores(settings)
    providers = _providers(settings)
    checkup = Checkup(providers, PROVIDERS)
    policy_of = _policies(config)
    notifier = Notifier(
        store=store,
        dialer=HttpDialer(__version__, timeout_s=settings.callback_timeout),
        # A stored callback may be of an app that has left the configuration.
        policy_of=lambda name: policy_of.get(name) or _policy(settings),
        rewrites=settings.callback_origin_rewrites,
        keys=webhooks.parse_secrets(" ".join(settings.callback_secret)),
        clock=WallClock(),
        rng=random.Random(),
        log=log,
    )
    core = Core(
        store=store,
        providers=providers,
        catalog=config.catalog,
        auth=_auth(config),
        limits=Limits(time.monotonic),
        bounds=_bounds(settings),
        now=time.time,
        new_uuid=uuid.uuid4,
        rng=random.Random(),
        on_callback=notifier.wake,
    )
    app = web.Application(client_max_size=settings.max_body_bytes)
    app[CORE] = core
    desk = _desk(core, settings, patience)
    doors = _doors(desk, config, patience, checkup, policy_of, conversations)
    doors.append(ApiDocument(doors, public_url=settings.public_url).door)
    app.middlewares.append(strays(doors))
    routes = [
        app.router.add_route(route.method, route.path, desk.guarded(door, route))
        for door in doors
        for route in door.routes
    ]
    cors.install(app, routes, _pages(config), local=settings.dev_mode)
    app.on_response_prepare.append(carry_headers)
    app.cleanup_ctx.append(_life(store, providers, checkup, notifier, core))
    app.on_shutdown.append(_farewell(store, notifier, core))
    return app


def _stores(settings: Settings) -> tuple[Store, Conversations]:
    """In the folder that is configured, or else in memory."""
    if not settings.data_dir:
        return MemoryStore(), MemoryConversations()
    database = Database(Path(settings.data_dir))
    return SqliteStore(database), SqliteConversations(database)


def _pages(config: Config) -> set[str]:
    """The origins of all pages that may call."""
    listed = (tenant.allowed_origins or () for tenant in config.tenants)
    return {*config.settings.allowed_origins}.union(*listed)


def _desk(core: Core, settings: Settings, patience: Patience) -> Desk:
    return Desk(
        core,
        public_url=settings.public_url,
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=patience.body_s,
        trusted_proxies=tuple(ip_network(each) for each in settings.trusted_proxies),
    )


def _doors(
    desk: Desk,
    config: Config,
    patience: Patience,
    checkup: Checkup,
    policy_of: Mapping[str, Policy],
    conversations: Conversations,
) -> list[Door]:
    settings = config.settings
    streams = Streams(
        desk.core,
        heartbeat_s=settings.heartbeat,
        stall_s=patience.stall_s,
        tick_s=patience.tick_s,
        max_age_s=settings.stream_max_age,
        most=settings.max_streams,
        most_per_tenant=settings.max_streams_per_app,
        rng=random.Random(),
    )

    def may_call(field: str) -> CheckUrl:
        return lambda url, tenant: check_url(url, policy_of[tenant.name], field=field)

    archive = Archive(desk, conversations)
    started = time.monotonic()
    return [
        JobQueue(
            desk,
            default_model=settings.default_model,
            fallback_models=settings.fallback_models,
            poll_needs_app_code=settings.poll_needs_app_code,
            check_url=may_call("callback_url"),
            now=time.time,
        ).door,
        N8n(
            desk,
            streams,
            default_model=settings.default_model,
            fallback_models=settings.fallback_models,
            start=settings.start,
            token_life_s=_token_life_s(settings),
            check_url=may_call("resumeUrl"),
        ).door,
        *_assistant_doors(desk, streams, config),
        *_openai_doors(desk, streams, settings),
        Chat(
            desk,
            streams,
            archive,
            default_model=settings.default_model,
            fallback_models=settings.fallback_models,
            on_disconnect=OnDisconnect(settings.on_disconnect),
            now=time.time,
            new_uuid=uuid.uuid4,
        ).door,
        archive.door,
        Health(
            desk.core, checkup.statuses, conversations.count, lambda: time.monotonic() - started
        ).door,
    ]


def _token_life_s(settings: Settings) -> float:
    """How long the link to a stream may be good for, from its request on."""
    return settings.queue_timeout + settings.request_timeout + settings.retention


def _assistant_doors(desk: Desk, streams: Streams, config: Config) -> list[Door]:
    """The doors that tell a job's events by name."""
    settings, pages = config.settings, _pages(config)
    assistant = Assistant(
        desk,
        streams,
        modes=config.modes,
        default_model=settings.default_model,
        fallback_models=settings.fallback_models,
        user_max_active=settings.user_max_active,
        user_rate_limit=settings.user_rate_limit,
        token_life_s=_token_life_s(settings),
    )
    sockets = WebSockets(
        desk,
        streams,
        allowed=lambda page: page in pages or (settings.dev_mode and origins.is_local(page)),
    )
    return [assistant.door, sockets.door]


def _openai_doors(desk: Desk, streams: Streams, settings: Settings) -> list[Door]:
    """The doors that speak OpenAI's wire; their callers wait for their answers."""
    # A stream's headers wait for its first word, but no longer than a heartbeat would.
    direct = Direct(desk.core, streams, hold_s=min(settings.heartbeat or inf, _HOLD_S))
    return [
        door(
            desk,
            direct,
            default_model=settings.default_model,
            fallback_models=settings.fallback_models,
            on_disconnect=OnDisconnect(settings.on_disconnect),
        ).door
        for door in (AskDoor, Completions, Responses)
    ]


def _providers(settings: Settings) -> dict[str, Provider]:
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


def _policies(config: Config) -> dict[str, Policy]:
    """Where the callbacks of each tenant may go: its own list, or else the gateway's."""
    settings = config.settings
    return {tenant.name: _policy(settings, tenant.callback_origins) for tenant in config.tenants}


def _policy(settings: Settings, origins: Collection[str] | None = None) -> Policy:
    allowed = origins or settings.callback_allowed_origins
    return Policy.of(allowed, dev_mode=settings.dev_mode)


def _auth(config: Config) -> Auth:
    settings = config.settings
    return Auth(
        config.tenants,
        jwt_secret=settings.jwt_secret,
        stream_secret=settings.jwt_secret or new_stream_secret(secrets.token_bytes),
        anonymous_app=settings.anonymous_app,
        now=time.time,
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


class Part(Protocol):
    """What lives as long as the server."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


# Life ------------------------------------------------------------------------------------------


def _life(
    store: Store,
    providers: Mapping[str, Provider],
    checkup: Checkup,
    notifier: Notifier,
    core: Core,
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def life(app: web.Application) -> AsyncIterator[None]:
        parts: list[Part] = [store, *providers.values(), notifier, checkup, core]
        for part in parts:
            await part.start()
        yield
        for part in reversed(parts):
            await part.stop()

    return life


def _farewell(
    store: Store, notifier: Notifier, core: Core
) -> Callable[[web.Application], Coroutine[None, None, None]]:
    async def end_what_is_open(app: web.Application) -> None:
        # Before the server waits for its handlers: open streams end with their logs.
        await core.stop()
        if not store.durable:
            # What is not sent now never is, and its workflow waits for ever.
            await notifier.flush(_FLUSH_S)

    return end_what_is_open
