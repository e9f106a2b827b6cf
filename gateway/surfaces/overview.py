"""How the gateway is at this moment, for operators: asked for once, or watched."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Literal, NamedTuple, TypedDict

import msgspec
from aiohttp import web

from gateway import __version__, sse
from gateway.engine.core import Core
from gateway.errors import GatewayError, StoreUnavailable, Unavailable
from gateway.jobs import Job, State
from gateway.outbox import Backlog
from gateway.surfaces.sending import send
from gateway.surfaces.streams import HEADERS

# So many may watch at a time; one more is asked to come later.
_MOST_WATCHERS = 100


class AppLoad(TypedDict):
    """What of an app waits and runs."""

    app: str
    waiting: int
    running: int


class QueueLoad(TypedDict):
    """What waits. `oldest_wait_s` is null where nothing does."""

    size: int
    capacity: int
    oldest_wait_s: float | None
    apps: list[AppLoad]


class WorkerLoad(TypedDict):
    """How many there are, and how many have a job."""

    count: int
    busy: int


class ProviderStatus(TypedDict):
    """How a provider was at its last check."""

    name: str
    status: str


class BreakerState(TypedDict):
    """A model that fails: still asked, spared for a while, or asked by one call whether it is
    back."""

    model: str
    provider: str
    state: Literal["failing", "open", "probing"]


class CallbackLoad(TypedDict):
    """Callbacks that wait to be sent or were given up, and those delivered since the start."""

    pending: int
    dead: int
    delivered: int
    oldest_pending_s: float | None


class DiskState(TypedDict):
    """Whether jobs outlive the process, and whether there is too little room for new ones."""

    durable: bool
    low: bool


class Overview(TypedDict):
    """How the gateway is. Times are in seconds."""

    uptime_s: float
    draining: bool
    version: str
    queue: QueueLoad
    workers: WorkerLoad
    readers: int
    providers: list[ProviderStatus]
    breakers: list[BreakerState]
    callbacks: CallbackLoad
    conversations: int
    disk: DiskState


class Sources(NamedTuple):
    """Where what is told comes from, beside the engine.

    Attributes:
        providers: how each was at its last check; the caller keeps it fresh.
        delivered: callbacks that arrived since the start.
        conversations: how many are kept.
        low: there is too little room on the disk.
    """

    providers: Mapping[str, str]
    backlog: Callable[[], Awaitable[Backlog]]
    delivered: Callable[[], int]
    conversations: Callable[[], Awaitable[int]]
    low: Callable[[], bool]
    durable: bool
    workers: int
    capacity: int
    now: Callable[[], float] = time.time


class Overviews:
    """Looks at the gateway when somebody wants to know, and for all who watch at once."""

    def __init__(
        self,
        core: Core,
        sources: Sources,
        uptime_s: Callable[[], float],
        *,
        every_s: float,
        stall_s: float,
    ) -> None:
        """Look at `core`.

        Args:
            every_s: between two looks, for those who watch.
            stall_s: one who takes nothing for so long is cut.
        """
        self._core = core
        self._sources = sources
        self._uptime_s = uptime_s
        self._every_s = every_s
        self._stall_s = stall_s
        self._watchers = 0
        self._closed = asyncio.Event()
        self._frame = b""
        self._looked_at = -1.0
        self._looking = asyncio.Lock()

    def close(self) -> None:
        """Let all who watch go."""
        self._closed.set()

    async def look(self) -> Overview:
        """How it is now.

        Raises:
            StoreUnavailable: the store cannot be asked.
        """
        sources = self._sources
        now = sources.now()
        backlog = await sources.backlog()
        conversations = await sources.conversations()
        # From here on without a pause: what is told of the engine is of one moment.
        live = tuple(self._core.records.live)
        waiting = [job.created_at for job in live if job.state is State.QUEUED]
        oldest = backlog.oldest_at
        return {
            "uptime_s": round(self._uptime_s(), 3),
            "draining": self._core.draining,
            "version": __version__,
            "queue": {
                "size": self._core.queue_size,
                "capacity": sources.capacity,
                "oldest_wait_s": _age(now, min(waiting)) if waiting else None,
                "apps": _apps(live),
            },
            "workers": {"count": sources.workers, "busy": self._core.active_workers},
            "readers": self._core.readers,
            "providers": [
                {"name": name, "status": status} for name, status in sources.providers.items()
            ],
            "breakers": [
                {"model": model, "provider": provider, "state": state}
                for provider, model, state in self._core.sparing.states()
            ],
            "callbacks": {
                "pending": backlog.pending,
                "dead": backlog.dead,
                "delivered": sources.delivered(),
                "oldest_pending_s": None if oldest is None else _age(now, oldest),
            },
            "conversations": conversations,
            "disk": {"durable": sources.durable, "low": sources.low()},
        }

    async def watch(
        self, request: web.Request, admit: Callable[[web.Request], None]
    ) -> web.StreamResponse:
        """Answer with how it is now, and then again and again, until the caller leaves.

        Args:
            admit: raises a GatewayError where the caller may not watch any more.

        Raises:
            Unavailable: too many watch.
        """
        if self._watchers >= _MOST_WATCHERS:
            raise Unavailable("Too many watch.")
        self._watchers += 1
        try:
            frame = await self._newest()
            response = web.StreamResponse(headers=HEADERS)
            response.content_type = "text/event-stream"
            await response.prepare(request)
            await send(request, response, frame, self._stall_s)
            while not await self._over() and _is_welcome(request, admit):
                with suppress(StoreUnavailable):
                    frame = await self._newest()
                await send(request, response, frame, self._stall_s)
            return response
        finally:
            self._watchers -= 1

    async def _over(self) -> bool:
        """Wait for the next look; True if there is none any more."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), self._every_s)
        return self._closed.is_set()

    async def _newest(self) -> bytes:
        """The newest look as an event; one look serves all who come close to each other."""
        async with self._looking:
            if self._uptime_s() >= self._looked_at + self._every_s / 2:
                self._frame = sse.frame(msgspec.json.encode(await self.look()), event="overview")
                self._looked_at = self._uptime_s()
            return self._frame


def _is_welcome(request: web.Request, admit: Callable[[web.Request], None]) -> bool:
    try:
        admit(request)
    except GatewayError:
        return False
    return True


def _age(now: float, since: float) -> float:
    return round(max(0.0, now - since), 3)


def _apps(live: Iterable[Job]) -> list[AppLoad]:
    counted = Counter((job.owner.tenant, job.state is State.QUEUED) for job in live)
    names = sorted({name for name, _ in counted})
    return [
        {"app": name, "waiting": counted[name, True], "running": counted[name, False]}
        for name in names
    ]
