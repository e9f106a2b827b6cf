"""The ask door: one question, its history, one answer.

`POST /v1/ask`, `GET /v1/health`, and both below `/api`. Answers are OpenAI's chat completions in
the few fields that the door's document shows.
"""

from typing import Annotated, Literal, TypedDict

import msgspec
from aiohttp import web

from gateway.errors import GatewayError, InvalidRequest, UnknownModel
from gateway.jobs import Job
from gateway.messages import Message, Request
from gateway.surfaces.behalf import OnBehalf
from gateway.surfaces.body import decode, text_field
from gateway.surfaces.chat_completion import (
    ChunkDelta,
    ChunkFramer,
    TokenCount,
    completion_id,
    usage,
)
from gateway.surfaces.direct import REFUSES, Direct
from gateway.surfaces.door import Desk, answer
from gateway.surfaces.format import Format
from gateway.surfaces.idempotency import PARAMETER, repeat_of
from gateway.surfaces.openai_error import OpenAIDoor, OpenAIError, shape
from gateway.surfaces.route import MESSAGE, PRIORITY, Access, Body, Events, Reply, Route
from gateway.surfaces.status import ALIVE, Standing

FORM = "ask"


class Turn(msgspec.Struct, frozen=True):
    """One turn of the history."""

    role: Literal["user", "assistant", "system"]
    content: str


class AskRequest(OnBehalf, frozen=True):
    """The body of `/v1/ask`. `client_id` and `user_id` are names, no secrets."""

    question: str | None = None
    history: list[Turn] | None = None
    client_id: str | None = None
    stream: bool | None = None
    model: str | None = None
    priority: Annotated[int, PRIORITY] | None = None
    on_disconnect: Literal["cancel", "continue"] | None = None

    def messages(self) -> tuple[Message, ...]:
        """The conversation, the question last.

        Raises:
            InvalidRequest: there is no question.
        """
        if self.question is None:
            raise InvalidRequest("question is required.", field="question")
        question = Message(role="user", content=text_field("question", self.question))
        turns = [Message(role=turn.role, content=turn.content) for turn in self.history or ()]
        return (*turns, question)


class Said(TypedDict):
    role: Literal["assistant"]
    content: str


class AnswerChoice(TypedDict):
    message: Said
    finish_reason: str
    index: int


class AskAnswer(TypedDict):
    """A chat completion in few fields."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    usage: TokenCount
    choices: list[AnswerChoice]


class AnswerPiece(TypedDict):
    """The one choice, as far as a chunk tells it."""

    delta: ChunkDelta
    index: int
    finish_reason: str | None


class AskChunk(TypedDict):
    """A piece of it; the last has a `finish_reason`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[AnswerPiece]


_EXAMPLE = {
    "question": "What is the weather like today?",
    "history": [
        {"role": "user", "content": "hello."},
        {"role": "assistant", "content": "Hi."},
    ],
    "client_id": "1234",
    "user_id": "1234",
    "stream": False,
}
_CHUNK = 'data: {"id":"chatcmpl-…","object":"chat.completion.chunk","created":1679722042,'
_EXAMPLE_EVENTS = "".join(
    f'{_CHUNK}"model":"gpt-4","choices":[{{"delta":{delta},"index":0,"finish_reason":{finish}}}]}}\n\n'
    for delta, finish in (
        ('{"role":"assistant"}', "null"),
        ('{"content":"I do not know."}', "null"),
        ("{}", '"stop"'),
    )
)
_EVENTS = Events(_EXAMPLE_EVENTS, ((MESSAGE, AskChunk), (MESSAGE, OpenAIError)))
_BODY = Body(AskRequest, _EXAMPLE, needs=("question",))
_REPLY = Reply(200, "The answer, whole or as it is written.", (AskAnswer,), _EVENTS, job=True)


class _Door(OpenAIDoor):
    """OpenAI's errors with the statuses of the gateway: its clients do not ask here."""

    def status(self, kind: type[GatewayError]) -> int:
        """The HTTP status of such an error."""
        return kind.status


class AskDoor:
    """The routes, over the one engine."""

    def __init__(self, desk: Desk, direct: Direct) -> None:
        self._desk = desk
        self._direct = direct
        self.door = _Door(
            FORM,
            shape,
            [
                self._asked("/v1/ask"),
                self._asked("/api/v1/ask"),
                Route("GET", "/v1/health", self.health, Access.OPEN, (ALIVE,)),
                Route("GET", "/api/v1/health", self.health, Access.OPEN, (ALIVE,)),
            ],
        )

    def _asked(self, path: str) -> Route:
        refuses = (*REFUSES, UnknownModel)
        return Route("POST", path, self.ask, Access.MAKE, (_REPLY,), _BODY, (PARAMETER,), refuses)

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """Answer a question, whole or as it is written."""
        body = await self._desk.body(request)
        asked = decode(body, AskRequest)
        principal = self._desk.principal(request, asked.app_code)
        repeat = repeat_of(request, principal, FORM, body)
        wanted = Request(
            messages=asked.messages(),
            model=asked.model or self._desk.default_model,
            fallback_models=self._desk.fallback_models,
        )
        ask = self._direct.ask(asked, wanted, door=FORM, repeat=repeat)
        if asked.stream:
            return await self._direct.stream(request, principal, ask, _format)
        return answer(_whole(await self._direct.whole(request, principal, ask)))

    async def health(self, request: web.Request) -> web.Response:
        """The service answers."""
        told: Standing = {"status": "ok"}
        return answer(told)


# Answers ---------------------------------------------------------------------------------------


def _whole(job: Job) -> AskAnswer:
    outcome = job.outcome
    if outcome is None:
        raise AssertionError("an answer is written for a job that is complete")
    message: Said = {"role": "assistant", "content": outcome.answer}
    finish = getattr(outcome.terminal, "finish_reason", "stop")
    return {
        "id": completion_id(job),
        "object": "chat.completion",
        "created": int(job.created_at),
        "model": outcome.model or job.request.model,
        "usage": usage(outcome.usage),
        "choices": [{"message": message, "finish_reason": finish, "index": 0}],
    }


class AskFramer(ChunkFramer):
    """Chunks in the document's few fields; the finish is the end."""

    _before = ',"choices":['
    _refusal = b'{"content":%b}'
    _choice = b'{"delta":%b,"index":0,"finish_reason":%b}'
    _done = b""

    def _speaker(self, content: bytes) -> bytes:
        return b'{"role":"assistant"}'


def _format(job: Job) -> Format:
    return Format("ask", lambda: AskFramer(job), exact=True, hello=b"", resumable=False)
