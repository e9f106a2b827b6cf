"""For operators: the callbacks that are owed, were made, or were given up and can be sent again."""

from collections.abc import Callable
from typing import Literal, TypedDict
from urllib.parse import urlsplit, urlunsplit

import structlog
from aiohttp import web

from gateway.errors import Conflict, InvalidRequest, NotFound, UnsupportedMediaType
from gateway.jobs import is_job_id
from gateway.outbox import Outbox, place_of
from gateway.surfaces.door import Door, answer
from gateway.surfaces.query import PAGING, before_of, limit_of, text_of, word_of, written
from gateway.surfaces.record import shape
from gateway.surfaces.route import JOB_ID, Access, Parameter, Reply, Route
from gateway.webhooks import Delivery, DeliveryState

log = structlog.get_logger(__name__)

DeliveryStateName = Literal["waiting", "pending", "delivered", "delivered_unconfirmed", "dead"]


class DeliveryItem(TypedDict):
    """A callback. `url` is without its query; `note` says what the newest attempt met.

    Times are UTC, seconds since the epoch. `next_at` is null where no attempt is due.
    """

    request_id: str
    delivery_id: str
    app: str
    url: str
    state: DeliveryStateName
    attempts: int
    next_at: float | None
    last_status: int | None
    note: str
    created_at: float


class DeliveryItems(TypedDict):
    """A page, that of the newest job first. `next` goes into `before`; null on the last page."""

    deliveries: list[DeliveryItem]
    next: str | None


class AdminWebhooks:
    """`/admin/webhooks`."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        wake: Callable[[], None],
        lifetime_s: float,
        now: Callable[[], float],
    ) -> None:
        """Tell what is in `outbox`.

        Args:
            wake: called when a callback is to be sent again.
            lifetime_s: for how long it is then tried.
        """
        self._outbox = outbox
        self._wake = wake
        self._lifetime_s = lifetime_s
        self._now = now
        one = (Reply(200, "The callback.", (DeliveryItem,), job=True),)
        self.door = Door(
            "admin_webhooks",
            shape,
            [
                Route(
                    "GET",
                    "/admin/webhooks",
                    self.list,
                    Access.ADMIN,
                    (Reply(200, "One page.", (DeliveryItems,)),),
                    parameters=(
                        Parameter("app", "query", "Only this app's."),
                        Parameter("state", "query", "Only those in this state.", DeliveryStateName),
                        *PAGING,
                    ),
                    refuses=(InvalidRequest,),
                ),
                Route(
                    "GET",
                    "/admin/webhooks/{id}",
                    self.read,
                    Access.ADMIN,
                    one,
                    parameters=(JOB_ID,),
                    refuses=(NotFound,),
                ),
                Route(
                    "POST",
                    "/admin/webhooks/{id}/replay",
                    self.replay,
                    Access.ADMIN,
                    one,
                    parameters=(JOB_ID,),
                    refuses=(NotFound, Conflict, UnsupportedMediaType),
                ),
            ],
        )

    async def list(self, request: web.Request) -> web.Response:
        """Callbacks of all apps, that of the newest job first, a page at a time."""
        limit = limit_of(request)
        found = await self._outbox.deliveries(
            tenant=text_of(request, "app"),
            state=word_of(request, "state", DeliveryState),
            before=before_of(request),
            limit=limit + 1,
        )
        more = len(found) > limit
        page: DeliveryItems = {
            "deliveries": [delivery_item(each) for each in found[:limit]],
            "next": written(place_of(found[limit - 1])) if more else None,
        }
        return answer(page)

    async def read(self, request: web.Request) -> web.Response:
        """The callback of one job."""
        job_id = request.match_info["id"]
        found = await self._outbox.delivery(job_id) if is_job_id(job_id) else None
        if found is None:
            raise _unknown()
        return answer(delivery_item(found), request_id=found.job_id)

    async def replay(self, request: web.Request) -> web.Response:
        """Send a callback again that was given up, or of which nobody knows whether it arrived.

        Under its old id, by which its receiver tells repeats. One that is on its way or did
        arrive is refused: one more would resume whatever the workflow waits for by now.
        """
        job_id = request.match_info["id"]
        again = None
        if is_job_id(job_id):
            again = await self._outbox.replay(job_id, self._now(), self._lifetime_s)
        if again is None:
            raise _unknown()
        self._wake()
        log.info("callback_replayed", job_id=job_id, app=again.tenant)
        return answer(delivery_item(again), request_id=job_id)


def delivery_item(delivery: Delivery) -> DeliveryItem:
    """A callback as lists tell it: without what its address says beyond where it goes."""
    due = delivery.state is DeliveryState.PENDING
    return {
        "request_id": delivery.job_id,
        "delivery_id": delivery.id,
        "app": delivery.tenant,
        "url": _bare(delivery.url),
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "next_at": delivery.next_at if due else None,
        "last_status": delivery.last_status,
        "note": delivery.note,
        "created_at": delivery.created_at,
    }


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _unknown() -> NotFound:
    return NotFound("There is no such callback.")
