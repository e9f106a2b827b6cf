"""OpenAI's own door: whatever speaks to OpenAI speaks to the gateway by its base URL alone.

`POST /v1/chat/completions`, `GET /v1/models`, `GET /v1/models/{id}`.
https://platform.openai.com/docs/api-reference/chat
"""

from functools import partial
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from aiohttp import web

from gateway.catalog import PARAMETERS, Catalog, Model
from gateway.engine.core import Principal
from gateway.errors import InvalidRequest, UnknownModel
from gateway.jobs import Job
from gateway.messages import Request
from gateway.surfaces.behalf import OnUsersBehalf
from gateway.surfaces.body import decode
from gateway.surfaces.chat_completion import ChatCompletion, ChatCompletionChunk, ChunkFramer, whole
from gateway.surfaces.direct import REFUSES, Direct
from gateway.surfaces.door import Desk, answer
from gateway.surfaces.format import Format
from gateway.surfaces.idempotency import PARAMETER, repeat_of
from gateway.surfaces.openai_error import OpenAIDoor, OpenAIError, shape
from gateway.surfaces.openai_request import (
    CompletionMessage,
    conversation,
    most_tokens,
    portable,
    refuse_unmakeable,
    sampling,
    turns,
)
from gateway.surfaces.route import MESSAGE, PRIORITY, Access, Body, Events, Parameter, Reply, Route

FORM = "openai"


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class CompletionRequest(OnUsersBehalf, frozen=True):
    """What the gateway itself reads of a body; all else is for the provider."""

    model: str | None = None
    messages: list[CompletionMessage] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None
    priority: Annotated[int, PRIORITY] | None = None
    on_disconnect: Literal["cancel", "continue"] | None = None

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)


# What other doors know as credentials: nobody else must get them, though they mean nothing here.
_CREDENTIALS = ("n8nToken", "access_token")
# The provider is told `user` too: it counts abuse by it.
_OWN = frozenset({*CompletionRequest.__struct_fields__, *PARAMETERS, *_CREDENTIALS}) - {"user"}


class ModelObject(TypedDict):
    """One model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(TypedDict):
    """The models that the caller may ask."""

    object: Literal["list"]
    data: list[ModelObject]


_EXAMPLE = {
    "messages": [
        {"role": "developer", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Hello!"},
    ],
    "stream": True,
    "stream_options": {"include_usage": True},
}
_CHUNK = 'data: {"id":"chatcmpl-…","object":"chat.completion.chunk","created":1694268190,'
_EVENTS = Events(
    f'{_CHUNK}"model":"gpt-4o","system_fingerprint":null,"choices":[{{"index":0,"delta":{{"content":"Hello"}},'
    '"logprobs":null,"finish_reason":null}]}\n\ndata: [DONE]\n\n',
    ((MESSAGE, ChatCompletionChunk), (MESSAGE, OpenAIError), (MESSAGE, Literal["[DONE]"])),
)
_NAME = Parameter("id", "path", "The name of a model; it may have slashes.")


class Completions:
    """The routes, over the one engine."""

    def __init__(self, desk: Desk, direct: Direct) -> None:
        self._desk = desk
        self._direct = direct
        self.door = OpenAIDoor(
            FORM,
            shape,
            [
                Route(
                    "POST",
                    "/v1/chat/completions",
                    self.complete,
                    Access.MAKE,
                    (Reply(200, "The answer.", (ChatCompletion,), _EVENTS, job=True),),
                    Body(CompletionRequest, _EXAMPLE, needs=("messages",)),
                    (PARAMETER,),
                    (*REFUSES, UnknownModel),
                ),
                Route(
                    "GET",
                    "/v1/models",
                    self.models,
                    Access.MAKE,
                    (Reply(200, "All of them.", (ModelList,)),),
                ),
                Route(
                    "GET",
                    "/v1/models/{id:.+}",
                    self.model,
                    Access.MAKE,
                    (Reply(200, "There is such a model.", (ModelObject,)),),
                    parameters=(_NAME,),
                    refuses=(UnknownModel,),
                ),
            ],
        )

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Go on with a conversation, whole or as it is written."""
        body = await self._desk.body(request)
        asked = decode(body, CompletionRequest)
        principal = self._desk.principal(request, asked.app_code)
        repeat = repeat_of(request, principal, FORM, body)
        wanted = self._request(asked, decode(body, dict[str, Any]))
        ask = self._direct.ask(asked, wanted, door=FORM, repeat=repeat)
        if asked.stream:
            form = partial(_format, include_usage=asked.include_usage)
            return await self._direct.stream(request, principal, ask, form)
        return answer(whole(await self._direct.whole(request, principal, ask)))

    def _request(self, asked: CompletionRequest, fields: dict[str, Any]) -> Request:
        if asked.stream_options is not None and not asked.stream:
            raise InvalidRequest(
                "stream_options is only allowed where stream is true.", field="stream_options"
            )
        present = {name: value for name, value in fields.items() if value is not None}
        refuse_unmakeable(present)
        return Request(
            messages=conversation(turns(asked.messages, present.get("messages", []))),
            model=asked.model or self._desk.default_model,
            fallback_models=self._desk.fallback_models,
            max_tokens=most_tokens(
                max_completion_tokens=asked.max_completion_tokens, max_tokens=asked.max_tokens
            ),
            parameters=sampling(present),
            tools=tuple(portable("tools", asked.tools or ())),
            extra={
                name: portable(name[:40], value)
                for name, value in present.items()
                if name not in _OWN
            },
        )

    async def models(self, request: web.Request) -> web.Response:
        """The models that the caller may ask, in the catalog's order."""
        principal = self._desk.principal(request)
        known = [each for each in self._catalog.models if self._permits(principal, each)]
        told: ModelList = {"object": "list", "data": [_model(each) for each in known]}
        return answer(told)

    async def model(self, request: web.Request) -> web.Response:
        """One model, listed or told by its name."""
        principal = self._desk.principal(request)
        name = request.match_info["id"]
        model = self._catalog.resolve(name)
        if not self._permits(principal, model):
            raise UnknownModel(f"There is no model {name}.", field="model")
        return answer(_model(model))

    @property
    def _catalog(self) -> Catalog:
        return self._desk.core.catalog

    def _permits(self, principal: Principal, model: Model) -> bool:
        allowed = principal.tenant.allowed_models
        return allowed is None or self._catalog.permits(allowed, model)


def _model(model: Model) -> ModelObject:
    # When a model was made is not known here, and the clients want a number.
    return {"id": model.name, "object": "model", "created": 0, "owned_by": model.provider}


def _format(job: Job, *, include_usage: bool) -> Format:
    return Format(
        "openai with usage" if include_usage else "openai",
        lambda: ChunkFramer(job, include_usage=include_usage),
        exact=True,
        hello=b"",
        resumable=False,
    )
