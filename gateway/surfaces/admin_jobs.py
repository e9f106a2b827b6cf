"""For operators: every app's jobs, listed, and one with all there is to know of it."""

from collections.abc import Iterator
from typing import Any, TypedDict

import msgspec
from aiohttp import web

from gateway.errors import InvalidRequest, JobNotFound
from gateway.log import EventLog
from gateway.outbox import Outbox
from gateway.surfaces.admin_webhooks import DeliveryItem, delivery_item
from gateway.surfaces.door import Desk, Door, answer
from gateway.surfaces.query import FILTERS, before_of, limit_of, text_of, wanted
from gateway.surfaces.record import Items, WholeItem, items, shape, whole_item
from gateway.surfaces.route import JOB_ID, Access, Parameter, Reply, Route


class LogEvent(TypedDict):
    """One event of a job's log. `id` is what a reader's cursor is, `event` which kind it is."""

    id: str
    event: str
    data: dict[str, Any]


class AdminJob(WholeItem):
    """A job with its callback and its whole log."""

    callback: DeliveryItem | None
    events: list[LogEvent]


class AdminJobs:
    """`/admin/jobs`."""

    def __init__(self, desk: Desk, outbox: Outbox) -> None:
        self._core = desk.core
        self._outbox = outbox
        self.door = Door(
            "admin_jobs",
            shape,
            [
                Route(
                    "GET",
                    "/admin/jobs",
                    self.list,
                    Access.ADMIN,
                    (Reply(200, "One page.", (Items,)),),
                    parameters=(Parameter("app", "query", "Only this app's."), *FILTERS),
                    refuses=(InvalidRequest,),
                ),
                Route(
                    "GET",
                    "/admin/jobs/{id}",
                    self.read,
                    Access.ADMIN,
                    (Reply(200, "The job.", (AdminJob,), job=True),),
                    parameters=(JOB_ID,),
                    refuses=(JobNotFound,),
                ),
            ],
        )

    async def list(self, request: web.Request) -> web.Response:
        """Jobs of all apps, newest first, a page at a time."""
        asked = wanted(request, tenant=text_of(request, "app"))
        found = await self._core.records.page(asked, before_of(request), limit_of(request))
        return answer(items(found))

    async def read(self, request: web.Request) -> web.Response:
        """One job: what was asked, what came of it, and its whole log."""
        job = await self._core.job(request.match_info["id"])
        log = None if job is None else await self._core.records.log(job)
        if job is None or log is None:
            raise JobNotFound
        callback = await self._outbox.delivery(job.id)
        told: AdminJob = {
            **whole_item(job),
            "callback": None if callback is None else delivery_item(callback),
            "events": list(_told(log)),
        }
        return answer(told, request_id=job.id)


def _told(log: EventLog) -> Iterator[LogEvent]:
    for at, event in enumerate(log.events, start=1):
        data: dict[str, Any] = msgspec.to_builtins(event)
        yield {"id": str(log.cursor(at)), "event": data.pop("type"), "data": data}
