"""What a caller's own requests left, at whatever door they were made: listed, read, forgotten."""

from typing import Literal, TypedDict

from aiohttp import web

from gateway.conversations import Conversations
from gateway.engine.core import Principal
from gateway.errors import Forbidden, Gone, InvalidRequest, JobNotFound
from gateway.jobs import Owner
from gateway.surfaces.door import Desk, Door, answer
from gateway.surfaces.query import FILTERS, before_of, limit_of, text_of, wanted
from gateway.surfaces.record import Items, WholeItem, items, shape, whole_item
from gateway.surfaces.route import JOB_ID, Access, Parameter, Reply, Route

# Calls of one app, or of one of its users: a list is looked for at the cost of others.
_RATE = "300/minute"
_USER = Parameter("user", "query", "Whose; a user's own token needs none and may name no other.")


class JobForgotten(TypedDict):
    """It is not there any more."""

    request_id: str
    status: Literal["deleted"]


class UserForgotten(TypedDict):
    """How much of a user is not there any more."""

    user: str
    jobs: int
    conversations: int
    status: Literal["deleted"]


class History:
    """`/history`."""

    def __init__(self, desk: Desk, conversations: Conversations) -> None:
        self._desk = desk
        self._records = desk.core.records
        self._conversations = conversations
        self.door = Door(
            "history",
            shape,
            [
                Route(
                    "GET",
                    "/history",
                    self.list,
                    Access.OWN,
                    (Reply(200, "One page.", (Items,)),),
                    parameters=FILTERS,
                    refuses=(InvalidRequest,),
                ),
                Route(
                    "GET",
                    "/history/{id}",
                    self.read,
                    Access.OWN,
                    (Reply(200, "The job.", (WholeItem,), job=True),),
                    parameters=(JOB_ID,),
                    refuses=(JobNotFound, Gone),
                ),
                Route(
                    "DELETE",
                    "/history/{id}",
                    self.forget,
                    Access.OWN,
                    (Reply(200, "It is forgotten.", (JobForgotten,), job=True),),
                    parameters=(JOB_ID,),
                    refuses=(JobNotFound, Gone),
                ),
                Route(
                    "DELETE",
                    "/history",
                    self.forget_user,
                    Access.OWN,
                    (Reply(200, "They are forgotten.", (UserForgotten,)),),
                    parameters=(_USER,),
                    refuses=(InvalidRequest,),
                ),
            ],
        )

    def _principal(self, request: web.Request) -> Principal:
        """Who asks, within what they may ask."""
        principal = self._desk.principal(request)
        who = (principal.tenant.name, principal.user or "")
        self._desk.core.limits.spend(_RATE, "history", *who)
        return principal

    async def list(self, request: web.Request) -> web.Response:
        """The caller's own jobs, newest first, a page at a time.

        An app sees those of all its users, and may name one; a user only their own.
        """
        principal = self._principal(request)
        user = _user(request, principal)
        asked = wanted(request, tenant=principal.tenant.name, user=user)
        found = await self._records.page(asked, before_of(request), limit_of(request))
        return answer(items(found))

    async def read(self, request: web.Request) -> web.Response:
        """One job: what was asked, and what came of it."""
        principal = self._principal(request)
        job = await self._desk.core.own(principal, request.match_info["id"])
        return answer(whole_item(job), request_id=job.id)

    async def forget(self, request: web.Request) -> web.Response:
        """Forget a job: what was asked, what came of it, its events.

        One that waits or runs is cancelled first. A callback that has not arrived is given up.
        """
        principal = self._principal(request)
        job = await self._desk.core.own(principal, request.match_info["id"])
        if not await self._records.forget(job):
            raise JobNotFound
        told: JobForgotten = {"request_id": job.id, "status": "deleted"}
        return answer(told, request_id=job.id)

    async def forget_user(self, request: web.Request) -> web.Response:
        """Forget everything of a user: all jobs, as one is, and all conversations.

        Answers when that is done. An app says which user; a user is the one that the token names.
        """
        principal = self._principal(request)
        user = _user(request, principal)
        if user is None:
            raise InvalidRequest("user is needed: whose everything is to go.", field="user")
        owner = Owner(tenant=principal.tenant.name, user=user)
        jobs = await self._records.forget_all(owner)
        # Last: an answer that was under way finds no conversation to be kept in.
        conversations = await self._conversations.forget(owner)
        told: UserForgotten = {
            "user": user,
            "jobs": jobs,
            "conversations": conversations,
            "status": "deleted",
        }
        return answer(told)


def _user(request: web.Request, principal: Principal) -> str | None:
    """Whose jobs are meant; None where an app names nobody.

    Raises:
        Forbidden: a user names another.
    """
    named = text_of(request, "user")
    if not principal.proven:
        return named
    if principal.user is None:
        raise AssertionError("a user's token names its user")
    if named not in (None, principal.user):
        raise Forbidden("A user's token is for nobody else's history.")
    return principal.user
