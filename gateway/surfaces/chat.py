"""The chat's door: a question in, its answer streamed on the same connection, and remembered.

`POST /api/chat/stream`, and `GET /api/chat/stream/{id}` to read an answer again, or on from the
last event seen.
"""

import sys
from collections.abc import Callable
from typing import Any, Literal, NotRequired, TypedDict

import msgspec
from aiohttp import web

from gateway import sse
from gateway.catalog import Model
from gateway.conversations import Conversation, cost, recall
from gateway.engine.core import Ask, Principal
from gateway.errors import Conflict, NotFound
from gateway.events import Completed, Delta, Event, Failed, Restarted, Usage, as_failed
from gateway.jobs import Job, OnDisconnect
from gateway.log import START, Cursor
from gateway.messages import Message, Request
from gateway.surfaces.behalf import OnBehalf
from gateway.surfaces.body import clean, decode, text_field
from gateway.surfaces.conversations import Archive, ChatFault, shape
from gateway.surfaces.door import Desk, Door
from gateway.surfaces.format import Format
from gateway.surfaces.idempotency import PARAMETER, repeat_of
from gateway.surfaces.polled import TokenUsage, token_usage
from gateway.surfaces.route import MESSAGE, Access, Body, Events, Reply, Route
from gateway.surfaces.streams import CAUGHT_UP, PARAMETERS, REFUSES, Streams, cursor_of
from gateway.tenants import Tenant

FORM = "chat"

# Room in the context window for an answer whose length nobody bounds; at most a quarter of it.
_ANSWER_TOKENS = 4096


class ChatRequest(OnBehalf, frozen=True):
    """The body of `/api/chat/stream`."""

    user_prompt: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    hyperparameters: dict[str, Any] | None = None
    save_conversation: bool | None = None
    conversation_id: str | None = None
    on_disconnect: Literal["continue", "cancel"] | None = None


class ChatBegun(TypedDict):
    """The first event: where the answer belongs, and who is asked."""

    conversation_id: str | None
    model: str


class ChatPiece(TypedDict):
    """More of the answer, its end, or, where it is `restarted`, its beginning anew."""

    content: str
    finished: bool
    restarted: NotRequired[bool]
    usage: NotRequired[TokenUsage]


class ChatBroken(TypedDict):
    """There is no more of the answer."""

    error: ChatFault
    finished: Literal[True]


_EXAMPLE = {
    "user_prompt": "Explain quantum computing",
    "system_prompt": "You are a helpful AI assistant.",
    "hyperparameters": {"temperature": 0.7, "top_p": 0.9, "max_tokens": 2048, "stop": ["END"]},
    "save_conversation": True,
    "conversation_id": None,
}
_EXAMPLE_EVENTS = """\
id: 0-0
data: {"conversation_id":"abc-123","model":"llama-3.1-8b-instant"}

id: 1-3
data: {"content":"Quantum","finished":false}

id: 1-4
data: {"content":" computing","finished":false}

id: 1-6
data: {"content":"","finished":true}

"""
_EVENTS = Events(
    _EXAMPLE_EVENTS, ((MESSAGE, ChatBegun), (MESSAGE, ChatPiece), (MESSAGE, ChatBroken))
)
_REPLY = Reply(200, "The answer as it is written.", events=_EVENTS, job=True)


class Chat:
    """The routes, over the one engine."""

    def __init__(
        self,
        desk: Desk,
        streams: Streams,
        archive: Archive,
        *,
        on_disconnect: OnDisconnect,
        now: Callable[[], float],
        new_uuid: Callable[[], str],
    ) -> None:
        """Serve chats.

        Args:
            on_disconnect: what happens to an answer whose only reader leaves, where the body
                does not say.
        """
        self._desk = desk
        self._core = desk.core
        self._streams = streams
        self._archive = archive
        self._on_disconnect = on_disconnect
        self._now = now
        self._new_uuid = new_uuid
        desk.core.endings[FORM] = self._ended
        self.door = Door(
            FORM,
            shape,
            [
                Route(
                    "POST",
                    "/api/chat/stream",
                    self.ask,
                    Access.MAKE,
                    (_REPLY,),
                    Body(ChatRequest, _EXAMPLE, needs=("user_prompt",)),
                    (PARAMETER,),
                    (NotFound, Conflict),
                ),
                Route(
                    "GET",
                    "/api/chat/stream/{id}",
                    self.resume,
                    Access.READ,
                    (_REPLY, CAUGHT_UP),
                    parameters=PARAMETERS,
                    refuses=REFUSES,
                ),
            ],
        )

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """Put a question, and answer with the stream of what the model says."""
        body = await self._desk.body(request)
        asked = decode(body, ChatRequest)
        principal = self._desk.principal(request, asked.app_code)
        repeat = repeat_of(request, principal, FORM, body)
        earlier = await self._earlier(principal, asked)
        begun = None if earlier else self._begun(principal, asked)
        kept = begun or earlier
        ask = Ask(
            request=self._request(principal.tenant, asked, earlier),
            door=FORM,
            user=asked.named(),
            on_disconnect=OnDisconnect(asked.on_disconnect or self._on_disconnect),
            idempotency_key=repeat.key,
            fingerprint=repeat.fingerprint,
            context={"conversation_id": kept.id, "saved": _saved(asked)} if kept else {},
        )
        return await self._streams.begin(
            request, principal, lambda: self._submit(principal, ask, begun), frames
        )

    def _request(self, tenant: Tenant, asked: ChatRequest, earlier: Conversation | None) -> Request:
        question = text_field("user_prompt", asked.user_prompt or "")
        name = asked.model or self._desk.default_model
        model = self._core.catalog.resolve(name)
        parameters = _given(asked.hyperparameters)
        self._core.catalog.check(model, parameters)
        max_tokens = parameters.pop("max_tokens", None)
        room = _room(model, tenant, max_tokens)
        return Request(
            messages=_messages(_system(asked), earlier, question, room),
            model=name,
            fallback_models=self._desk.fallback_models,
            max_tokens=max_tokens,
            parameters=parameters,
        )

    async def _earlier(self, principal: Principal, asked: ChatRequest) -> Conversation | None:
        if not asked.conversation_id:
            return None
        return await self._archive.own(principal, asked.conversation_id, asked.named())

    def _begun(self, principal: Principal, asked: ChatRequest) -> Conversation | None:
        """The conversation that this question begins; None if it is not to be kept."""
        if not _saved(asked):
            return None
        now = self._now()
        return Conversation(
            id=self._new_uuid(),
            owner=principal.owner(asked.named()),
            created_at=now,
            updated_at=now,
        )

    async def _submit(self, principal: Principal, ask: Ask, begun: Conversation | None) -> Job:
        """The accepted job; a conversation that begins with it is there before its answer."""
        if begun is None:
            return await self._core.submit(principal, ask)
        # Whoever leaves meanwhile, and comes again with the same key, finds both or neither.
        return await self._core.through(self._submit_first(principal, ask, begun))

    async def _submit_first(self, principal: Principal, ask: Ask, begun: Conversation) -> Job:
        await self._archive.begin(begun)
        job = None
        try:
            job = await self._core.submit(principal, ask)
        finally:
            # Refused, or the repeat of a request that began its own.
            if job is None or job.context["conversation_id"] != begun.id:
                await self._archive.undo(begun)
        return job

    async def resume(self, request: web.Request) -> web.StreamResponse:
        """The answer to an earlier question, from the reader's last event on."""
        principal = self._desk.principal(request)
        job = await self._core.own(principal, request.match_info["id"])
        return await self._streams.serve(request, principal, job, frames(job), cursor_of(request))

    async def _ended(self, job: Job) -> None:
        if job.context.get("saved"):
            await self._archive.keep(job, job.context["conversation_id"])


# What is asked of the model --------------------------------------------------------------------


def _saved(asked: ChatRequest) -> bool:
    """The turn is to be kept: as the body says, else if it goes on with a conversation."""
    if asked.save_conversation is None:
        return bool(asked.conversation_id)
    return asked.save_conversation


def _given(hyperparameters: dict[str, Any] | None) -> dict[str, Any]:
    """Those that are there: null is absent."""
    every = hyperparameters or {}
    return {name: value for name, value in every.items() if value is not None}


def _system(asked: ChatRequest) -> str:
    text = clean(asked.system_prompt or "")
    return text if text.strip() else ""


def _messages(
    system: str, earlier: Conversation | None, question: str, room_tokens: int
) -> tuple[Message, ...]:
    """The system prompt, what was said earlier as far as there is room, and the question."""
    asked = Message(role="user", content=question)
    first = (Message(role="system", content=system),) if system else ()
    room_tokens -= cost(question) + (cost(system) if system else 0)
    turns = earlier.turns if earlier else ()
    return (*first, *recall(turns, room_tokens), asked)


def _room(model: Model, tenant: Tenant, max_tokens: int | None) -> int:
    """Tokens of the context window that the answer leaves to what is sent."""
    window = model.context_window
    if window is None:
        # Nobody knows how much it takes: it is sent everything.
        return sys.maxsize
    wanted = max_tokens or tenant.max_tokens or min(_ANSWER_TOKENS, window // 4)
    ceilings = (wanted, tenant.max_tokens, model.max_tokens)
    return window - min(each for each in ceilings if each is not None)


# What a reader sees ----------------------------------------------------------------------------

_json = msgspec.json.Encoder().encode


class ChatFramer:
    """The answer as pieces of `content`, then `finished`; a failure as an `error`, finished too.

    Each event of the log is at most one event of the wire.
    """

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._shown = False

    def __call__(self, cursor: Cursor, event: Event) -> bytes:
        match event:
            case Delta(text=text):
                self._shown = True
                # There are many of these.
                content = _json(text)
                return b'id: %d-%d\ndata: {"content":%b,"finished":false}\n\n' % (*cursor, content)
            case Usage():
                self._usage = event
            case Completed():
                return self._end(cursor)
            case Restarted():
                return self._restart(cursor)
        failed = as_failed(event)
        return _error(cursor, failed) if failed else b""

    def _end(self, cursor: Cursor) -> bytes:
        told: ChatPiece = {"content": "", "finished": True}
        if self._usage is not None:
            told["usage"] = token_usage(self._usage)
        return _frame(cursor, told)

    def _restart(self, cursor: Cursor) -> bytes:
        """What was shown is void: only readers who saw some of it need to know."""
        shown, self._shown, self._usage = self._shown, False, None
        told: ChatPiece = {"content": "", "finished": False, "restarted": True}
        return _frame(cursor, told) if shown else b""


CHAT = Format(FORM, ChatFramer)


def frames(job: Job) -> Format:
    """The frames of one job: the first says which conversation it belongs to, and its model."""
    told: ChatBegun = {
        "conversation_id": job.context.get("conversation_id"),
        "model": job.request.model,
    }
    return CHAT._replace(first=_frame(START, told))


def _frame(cursor: Cursor, told: ChatBegun | ChatPiece | ChatBroken) -> bytes:
    return sse.frame(_json(told), id=str(cursor))


def _error(cursor: Cursor, failed: Failed) -> bytes:
    fault: ChatFault = {"code": failed.code, "message": failed.message}
    return _frame(cursor, {"error": fault, "finished": True})
