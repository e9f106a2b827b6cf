"""How the gateway is: for people, for supervisors, for load balancers."""

from collections.abc import Callable
from typing import Literal, TypedDict

from aiohttp import web

from gateway.engine.core import Core
from gateway.errors import GatewayError, StoreFull, Unavailable
from gateway.surfaces.door import Door, answer, whole_seconds
from gateway.surfaces.overview import Sources
from gateway.surfaces.polled import Refusal
from gateway.surfaces.route import Access, Reply, Route


class Report(TypedDict):
    """How the gateway is."""

    status: Literal["healthy", "draining"]
    queue_size: int
    active_workers: int
    uptime: str
    together_ai_status: str
    conversations_in_memory: int
    providers: dict[str, str]


class Standing(TypedDict):
    """Whether the gateway answers, or takes new requests."""

    status: Literal["ok", "draining", "full", "disk_full"]


ALIVE = Reply(200, "It answers.", (Standing,))


class Health:
    """`/health` for people, `/health/live` and `/health/ready` for supervisors."""

    def __init__(self, core: Core, sources: Sources, uptime_s: Callable[[], float]) -> None:
        self._core = core
        self._sources = sources
        self._uptime_s = uptime_s
        self.door = Door(
            "status",
            shape,
            [
                Route(
                    "GET",
                    "/health",
                    self.health,
                    Access.OPEN,
                    (Reply(200, "How the gateway is.", (Report,)),),
                ),
                Route("GET", "/health/live", self.live, Access.OPEN, (ALIVE,)),
                Route(
                    "GET",
                    "/health/ready",
                    self.ready,
                    Access.OPEN,
                    (
                        Reply(200, "It would.", (Standing,)),
                        Reply(503, "It would not; the status says why.", (Standing,)),
                    ),
                ),
            ],
        )

    async def health(self, request: web.Request) -> web.Response:
        """What a stranger may know."""
        report: Report = {
            "status": "draining" if self._core.draining else "healthy",
            "queue_size": self._core.queue_size,
            "active_workers": self._core.active_workers,
            "uptime": in_days(self._uptime_s()),
            "together_ai_status": self._sources.providers.get("together", "no key"),
            "conversations_in_memory": await self._sources.conversations(),
            "providers": dict(self._sources.providers),
        }
        return answer(report)

    async def live(self, request: web.Request) -> web.Response:
        """The process answers."""
        return answer({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """A new request would be accepted."""
        if not self._core.accepting:
            return _unready("draining" if self._core.draining else "full", Unavailable.again_s)
        if self._sources.low():
            return _unready("disk_full", StoreFull.again_s)
        return answer({"status": "ok"})


def _unready(why: str, again_s: float) -> web.Response:
    response = answer({"status": why}, status=503)
    response.headers["Retry-After"] = str(whole_seconds(again_s))
    return response


def shape(error: GatewayError) -> Refusal:
    """An error in the words of the job queue, which names it as the gateway does."""
    return {"status": "error", "error_code": error.code, "message": str(error)}


def in_days(seconds: float) -> str:
    """A length of time such as `2d 5h 30m`."""
    minutes = int(seconds // 60)
    return f"{minutes // 1440}d {minutes // 60 % 24}h {minutes % 60}m"
