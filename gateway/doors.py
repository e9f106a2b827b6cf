"""The doors: every surface, set as the configuration says, and set anew when that changes."""

import os
import random
import time
from collections.abc import Callable, Collection
from functools import partial
from ipaddress import ip_network
from math import inf
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import web

from gateway.config import Config, Settings
from gateway.conversations import Conversations
from gateway.destinations import Policy, check_url
from gateway.engine.core import Core
from gateway.jobs import OnDisconnect
from gateway.origins import is_loopback
from gateway.outbox import Outbox
from gateway.surfaces import cors
from gateway.surfaces.admin import Admin, Snapshot
from gateway.surfaces.admin_jobs import AdminJobs
from gateway.surfaces.admin_usage import AdminUsage
from gateway.surfaces.admin_webhooks import AdminWebhooks
from gateway.surfaces.ai_request import CheckUrl, JobQueue
from gateway.surfaces.ask import AskDoor
from gateway.surfaces.assistant import Assistant
from gateway.surfaces.budget import warn
from gateway.surfaces.chat import Chat
from gateway.surfaces.conversations import Archive
from gateway.surfaces.direct import Direct
from gateway.surfaces.door import Desk, Door
from gateway.surfaces.history import History
from gateway.surfaces.metrics import MetricsDoor, Render
from gateway.surfaces.openai import Completions
from gateway.surfaces.openapi import ApiDocument
from gateway.surfaces.origin import Origins
from gateway.surfaces.overview import Overviews, Sources
from gateway.surfaces.pages import Pages
from gateway.surfaces.responses import Responses
from gateway.surfaces.route import Access, Handler, Route
from gateway.surfaces.status import Health
from gateway.surfaces.strays import Strays
from gateway.surfaces.stream import N8n
from gateway.surfaces.streams import StreamBounds, Streams
from gateway.surfaces.visit import VISIT
from gateway.surfaces.websocket import WebSockets
from gateway.uuids import uuids

# What fails within this is answered with a status of its own, at OpenAI's doors.
_HOLD_S = 10.0
_STATIC = Path(__file__).parent / "static"


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


class Backstage(NamedTuple):
    """What the doors for operators show, beside the engine.

    Attributes:
        snapshot: None where there is no database to copy.
        wake: called when a callback is to be sent again.
        render: writes down what is counted and measured.
    """

    outbox: Outbox
    sources: Sources
    snapshot: Snapshot | None
    wake: Callable[[], None]
    render: Render


class Doors:
    """All doors of one gateway over one engine.

    They hold no state of their own beside the streams, so a changed configuration makes them
    anew: what is asked from then on enters the new ones, and who is inside stays.
    """

    def __init__(
        self,
        core: Core,
        config: Config,
        patience: Patience,
        *,
        conversations: Conversations,
        backstage: Backstage,
        now: Callable[[], float],
    ) -> None:
        """Make them; `install` opens them."""
        self._core = core
        self._patience = patience
        self._conversations = conversations
        self._backstage = backstage
        self._now = now
        self._started = time.monotonic()
        self._overviews = Overviews(
            core,
            backstage.sources,
            self._uptime_s,
            every_s=patience.tick_s,
            stall_s=patience.stall_s,
        )
        self._streams = Streams(
            core,
            _stream_bounds(config.settings),
            stall_s=patience.stall_s,
            tick_s=patience.tick_s,
            rng=random.Random(),
        )
        self._handlers: dict[tuple[str, str], Handler] = {}
        # The very set that answers about origins.
        self._pages: set[str] = set()
        self._open(self._made(config))

    def install(self, app: web.Application) -> None:
        """Let the application's requests in."""
        doors = self._doors
        strays = Strays(doors)
        routes: list[web.AbstractRoute] = []
        paths: dict[str, web.Resource] = {}
        for route in (route for door in doors for route in door.routes):
            handler = self._entrance(route)
            if route.path not in paths:
                # One for all methods: preflights are answered by the first of a path.
                paths[route.path] = app.router.add_resource(route.path)
            routes.append(paths[route.path].add_route(route.method, handler))
            if (route.method, route.access) == ("GET", Access.OPEN):
                # Load balancers and uptime checks ask without wanting the body.
                routes.append(paths[route.path].add_route("HEAD", handler))
        local = self._settings.dev_mode
        mark = cors.install(app, routes, self._pages, local=local, forbid=strays.forbid)
        strays.install(app)

        async def prepare(request: web.Request, response: web.StreamResponse) -> None:
            await mark(request, response)
            visit = request.get(VISIT)
            if visit is not None:
                if visit.headers:
                    response.headers.update(visit.headers)
                if visit.payer is not None:
                    warn(self._core, visit.payer, request, response)

        app.on_response_prepare.append(prepare)
        app.on_shutdown.append(self._close)

    async def _close(self, app: web.Application) -> None:
        self._overviews.close()

    def _uptime_s(self) -> float:
        return time.monotonic() - self._started

    def _entrance(self, route: Route) -> Handler:
        """The way to a route's handler as it is when a request comes."""
        handlers, place = self._handlers, (route.method, route.path)

        async def enter(request: web.Request) -> web.StreamResponse:
            return await handlers[place](request)

        return enter

    def change(self, config: Config) -> Callable[[], None]:
        """Make them anew by this configuration; what is returned lets whoever comes then in.

        Until that is called nothing has changed; it cannot fail.
        """
        return partial(self._open, self._made(config))

    def _open(self, made: "_Made") -> None:
        self._settings = made.settings
        self._streams.bounds = _stream_bounds(made.settings)
        self._pages.clear()
        self._pages.update(made.pages)
        self._policies = made.policies
        self._doors = made.doors
        self._handlers.update(made.handlers)

    def policy(self, app: str) -> Policy:
        """Where callbacks of the app of that name may go; it may have left the configuration."""
        return self._policies.get(app) or _policy(self._settings)

    # -- each of them -------------------------------------------------------------------------

    def _made(self, config: Config) -> "_Made":
        """All that a configuration changes."""
        desk = _desk(self._core, config, self._patience)
        doors = self._all_doors(desk, config)
        return _Made(
            settings=config.settings,
            pages=_pages(config),
            policies=_policies(config),
            doors=doors,
            handlers={
                (route.method, route.path): desk.guarded(door, route)
                for door in doors
                for route in door.routes
            },
        )

    def _all_doors(self, desk: Desk, config: Config) -> list[Door]:
        settings = config.settings
        archive = Archive(desk, self._conversations)
        doors = [
            JobQueue(
                desk,
                poll_needs_app_code=settings.poll_needs_app_code,
                check_url=self._may_call("callback_url"),
                now=self._now,
            ).door,
            N8n(
                desk,
                self._streams,
                start=settings.start,
                token_life_s=_token_life_s(settings),
                check_url=self._may_call("resumeUrl"),
            ).door,
            *self._assistant_doors(desk, config),
            *self._openai_doors(desk, settings),
            Chat(
                desk,
                self._streams,
                archive,
                on_disconnect=OnDisconnect(settings.on_disconnect),
                now=self._now,
                new_uuid=uuids(os.urandom).__next__,
            ).door,
            archive.door,
            History(desk, self._conversations).door,
            Health(self._core, self._backstage.sources, self._uptime_s).door,
            *self._admin_doors(desk, settings),
        ]
        document = ApiDocument(doors, public_url=settings.public_url)
        return [*doors, document.door, Pages(_STATIC).door]

    def _admin_doors(self, desk: Desk, settings: Settings) -> list[Door]:
        """The doors for operators."""
        behind = self._backstage
        webhooks = AdminWebhooks(
            behind.outbox,
            wake=behind.wake,
            lifetime_s=settings.callback_deadline,
            now=self._now,
        )
        return [
            Admin(
                desk,
                self._overviews,
                behind.snapshot,
                now=self._now,
                stall_s=self._patience.stall_s,
            ).door,
            AdminJobs(desk, behind.outbox).door,
            AdminUsage(self._core).door,
            MetricsDoor(self._overviews, behind.render).door,
            webhooks.door,
        ]

    def _may_call(self, field: str) -> CheckUrl:
        return lambda url, tenant: check_url(url, self.policy(tenant.name), field=field)

    def _assistant_doors(self, desk: Desk, config: Config) -> list[Door]:
        """The doors that tell a job's events by name."""
        settings = config.settings
        assistant = Assistant(
            desk,
            self._streams,
            modes=config.modes,
            user_max_active=settings.user_max_active,
            user_rate_limit=settings.user_rate_limit,
            token_life_s=_token_life_s(settings),
        )
        return [assistant.door, WebSockets(desk, self._streams).door]

    def _openai_doors(self, desk: Desk, settings: Settings) -> list[Door]:
        """The doors that speak OpenAI's wire; their callers wait for their answers."""
        # A stream's headers wait for its first word, but no longer than a heartbeat would.
        hold_s = min(settings.heartbeat or inf, _HOLD_S)
        direct = Direct(
            desk.core,
            self._streams,
            on_disconnect=OnDisconnect(settings.on_disconnect),
            hold_s=hold_s,
        )
        return [door(desk, direct).door for door in (AskDoor, Completions, Responses)]


class _Made(NamedTuple):
    """What goes by one configuration, whole before any of it is in force."""

    settings: Settings
    pages: set[str]
    policies: dict[str, Policy]
    doors: list[Door]
    handlers: dict[tuple[str, str], Handler]


def _stream_bounds(settings: Settings) -> StreamBounds:
    return StreamBounds(
        heartbeat_s=settings.heartbeat,
        max_age_s=settings.stream_max_age,
        most=settings.max_streams,
        most_per_tenant=settings.max_streams_per_app,
    )


def _desk(core: Core, config: Config, patience: Patience) -> Desk:
    settings = config.settings
    return Desk(
        core,
        default_model=settings.default_model,
        fallback_models=settings.fallback_models,
        public_url=settings.public_url,
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=patience.body_s,
        trusted_proxies=tuple(ip_network(each) for each in settings.trusted_proxies),
        traced=settings.otlp_endpoint is not None,
        local_admin=_trusts_this_machine(settings),
        origins=Origins(
            frozenset(settings.allowed_origins), _pages(config), local=settings.dev_mode
        ),
    )


def _trusts_this_machine(settings: Settings) -> bool:
    """What comes from this machine was not passed on by a proxy on it, as far as is known."""
    public = settings.public_url is not None and not is_loopback(
        urlsplit(settings.public_url).hostname or ""
    )
    return settings.local_admin and not settings.trusted_proxies and not public


def _pages(config: Config) -> set[str]:
    """The origins of all pages that may call."""
    listed = (tenant.allowed_origins or () for tenant in config.tenants)
    return {*config.settings.allowed_origins}.union(*listed)


def _token_life_s(settings: Settings) -> float:
    """How long the link to a stream may be good for, from its request on."""
    return settings.queue_timeout + settings.request_timeout + settings.retention


def _policies(config: Config) -> dict[str, Policy]:
    """Where the callbacks of each tenant may go: its own list, or else the gateway's."""
    settings = config.settings
    return {tenant.name: _policy(settings, tenant.callback_origins) for tenant in config.tenants}


def _policy(settings: Settings, origins: Collection[str] | None = None) -> Policy:
    allowed = origins or settings.callback_allowed_origins
    return Policy.of(allowed, dev_mode=settings.dev_mode)
