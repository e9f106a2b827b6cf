"""The conversations that chats leave: listed, read, deleted by whoever they belong to.

`GET /api/conversations`, `GET /api/conversations/{id}`, `DELETE /api/conversations/{id}`.
"""

from datetime import UTC, datetime
from typing import Literal, NotRequired, TypedDict

from aiohttp import web

from gateway.conversations import (
    Conversation,
    Conversations,
    Summary,
    Turn,
    is_conversation_id,
)
from gateway.engine.core import Principal
from gateway.errors import GatewayError, InvalidRequest, NotFound
from gateway.jobs import Job, State
from gateway.messages import Message
from gateway.surfaces.door import Desk, Door, answer
from gateway.surfaces.query import PAGING, before_of, limit_of, written
from gateway.surfaces.route import Access, Parameter, Reply, Route

_ID = Parameter("id", "path", "The id of a conversation.")
_PLACE = (
    *PAGING,
    Parameter("user_id", "query", "Only this user's; a user's own token beats it."),
)


class ConversationSummary(TypedDict):
    """A conversation without what was said. Times are UTC."""

    conversation_id: str
    created_at: str
    updated_at: str
    message_count: int


class ConversationList(TypedDict):
    """A page, the last changed first. `next` is null on the last one."""

    conversations: list[ConversationSummary]
    next: str | None


class ConversationRead(TypedDict):
    """All that was said, oldest first."""

    conversation_id: str
    messages: tuple[Message, ...]


class ConversationDeleted(TypedDict):
    """It is forgotten."""

    conversation_id: str
    status: Literal["deleted"]


class ChatFault(TypedDict):
    """What went wrong. `param` names what is at fault."""

    code: str
    message: str
    param: NotRequired[str]


class ChatError(TypedDict):
    """A refusal of the chat's."""

    error: ChatFault


class Archive:
    """The routes, and what the chat itself needs of its conversations."""

    def __init__(self, desk: Desk, conversations: Conversations) -> None:
        self._desk = desk
        self._conversations = conversations
        # To make, not to read: a stream token reads one job, and no conversation.
        self.door = Door(
            "conversations",
            shape,
            [
                Route(
                    "GET",
                    "/api/conversations",
                    self.list,
                    Access.MAKE,
                    (Reply(200, "One page.", (ConversationList,)),),
                    parameters=_PLACE,
                    refuses=(InvalidRequest,),
                ),
                Route(
                    "GET",
                    "/api/conversations/{id}",
                    self.read,
                    Access.MAKE,
                    (Reply(200, "What was said.", (ConversationRead,)),),
                    parameters=(_ID,),
                    refuses=(NotFound,),
                ),
                Route(
                    "DELETE",
                    "/api/conversations/{id}",
                    self.delete,
                    Access.MAKE,
                    (Reply(200, "It is forgotten.", (ConversationDeleted,)),),
                    parameters=(_ID,),
                    refuses=(NotFound,),
                ),
            ],
        )

    async def list(self, request: web.Request) -> web.Response:
        """The caller's own, the last changed first, a page at a time."""
        principal = self._desk.principal(request)
        limit, before = limit_of(request), before_of(request, is_conversation_id)
        user = principal.user if principal.proven else request.query.get("user_id") or None
        found = await self._conversations.recent(principal.tenant.name, user, before, limit + 1)
        more = len(found) > limit
        page: ConversationList = {
            "conversations": [_summarized(each) for each in found[:limit]],
            "next": written(found[limit - 1].place) if more else None,
        }
        return answer(page)

    async def read(self, request: web.Request) -> web.Response:
        """All that was said, oldest first."""
        principal = self._desk.principal(request)
        conversation = await self.own(principal, request.match_info["id"])
        told: ConversationRead = {
            "conversation_id": conversation.id,
            "messages": conversation.messages,
        }
        return answer(told)

    async def delete(self, request: web.Request) -> web.Response:
        """Forget a conversation. An answer that is still under way is not kept any more."""
        principal = self._desk.principal(request)
        conversation = await self.own(principal, request.match_info["id"])
        await self._conversations.delete(conversation.id)
        told: ConversationDeleted = {"conversation_id": conversation.id, "status": "deleted"}
        return answer(told)

    async def own(
        self, principal: Principal, conversation_id: str, user: str | None = None
    ) -> Conversation:
        """A conversation of the principal's.

        Args:
            user: for whom the tenant asks, where it says so; only theirs then.

        Raises:
            NotFound: unknown, or somebody else's.
        """
        known = is_conversation_id(conversation_id)
        found = await self._conversations.get(conversation_id) if known else None
        if found is None or not principal.may_read(found.id, found.owner):
            raise _unknown()
        if not principal.proven and user is not None and user != found.owner.user:
            raise _unknown()
        return found

    async def begin(self, conversation: Conversation) -> None:
        """Keep a new conversation, in which nothing has been said yet."""
        await self._conversations.create(conversation)

    async def undo(self, conversation: Conversation) -> None:
        """Forget a conversation that did not come to be."""
        await self._conversations.delete(conversation.id)

    async def keep(self, job: Job, conversation_id: str) -> None:
        """Add a job's question and answer to a conversation, if the answer is whole.

        Of one that failed or was stopped neither is kept. Twice is as once.
        """
        if job.state is not State.COMPLETED or job.outcome is None or job.finished_at is None:
            return
        turn = Turn(id=job.id, question=job.request.prompt, answer=job.outcome.answer)
        await self._conversations.append(conversation_id, turn, job.finished_at)


def shape(error: GatewayError) -> ChatError:
    """An error as the chat's doors write it."""
    said: ChatFault = {"code": error.code, "message": str(error)}
    if error.field:
        said["param"] = error.field
    return {"error": said}


def _unknown() -> NotFound:
    return NotFound("There is no such conversation.", field="conversation_id")


def _summarized(summary: Summary) -> ConversationSummary:
    return {
        "conversation_id": summary.id,
        "created_at": _time(summary.created_at),
        "updated_at": _time(summary.updated_at),
        "message_count": summary.message_count,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
