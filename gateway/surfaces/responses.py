"""OpenAI's responses: answers that are made in the background, read again, and cancelled.

`POST /v1/responses`, `GET /v1/responses/{id}`, `POST /v1/responses/{id}/cancel`.
https://platform.openai.com/docs/guides/background
"""

import re
from typing import Annotated, Any, Literal

from aiohttp import web
from msgspec.structs import replace

from gateway.engine.core import Principal
from gateway.errors import BadCursor, Gone, InvalidRequest, JobNotFound, UnknownModel
from gateway.jobs import Job, Lane, OnDisconnect, State
from gateway.messages import Message, Request
from gateway.surfaces import response_input
from gateway.surfaces.behalf import OnUsersBehalf
from gateway.surfaces.body import decode
from gateway.surfaces.chat_completion import tool_call
from gateway.surfaces.direct import REFUSES, Direct
from gateway.surfaces.door import Desk, answer
from gateway.surfaces.format import Format
from gateway.surfaces.idempotency import PARAMETER, repeat_of
from gateway.surfaces.openai_error import OpenAIDoor, shape
from gateway.surfaces.openai_request import (
    conversation,
    most_tokens,
    portable,
    sampling,
)
from gateway.surfaces.response_events import EVENTS, ResponseFramer, opening, place_after
from gateway.surfaces.response_object import ECHOED, ResponseObject, whole
from gateway.surfaces.route import PRIORITY, Access, Body, Events, Parameter, Reply, Route
from gateway.surfaces.streams import CAUGHT_UP
from gateway.surfaces.streams import REFUSES as UNREADABLE

FORM = "responses"

_NUMBER = re.compile(r"\d{1,10}", re.ASCII)


class ResponseRequest(OnUsersBehalf, frozen=True):
    """The body of `/v1/responses`."""

    model: str | None = None
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    background: bool | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
    priority: Annotated[int, PRIORITY] | None = None
    on_disconnect: Literal["cancel", "continue"] | None = None


_EXAMPLE = {
    "instructions": "You are a helpful assistant.",
    "input": "Write a very long novel about otters in space.",
    "background": True,
}
_EXAMPLE_EVENTS = """\
event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":5,"item_id":"msg_…","output_index":0,\
"content_index":0,"delta":"Otters","logprobs":[]}

"""
_EVENTS = Events(_EXAMPLE_EVENTS, tuple(EVENTS.items()))
_REPLY = Reply(200, "The response.", (ResponseObject,), _EVENTS, job=True)
_ID = Parameter("id", "path", "The id of a response, or of the request that made it.")


class Responses:
    """The routes, over the one engine."""

    def __init__(self, desk: Desk, direct: Direct) -> None:
        self._desk = desk
        self._core = desk.core
        self._direct = direct
        self.door = OpenAIDoor(
            FORM,
            shape,
            [
                Route(
                    "POST",
                    "/v1/responses",
                    self.create,
                    Access.MAKE,
                    (_REPLY,),
                    Body(ResponseRequest, _EXAMPLE, needs=("input",)),
                    (PARAMETER,),
                    (*REFUSES, UnknownModel, JobNotFound, Gone),
                ),
                Route(
                    "GET",
                    "/v1/responses/{id}",
                    self.retrieve,
                    Access.READ,
                    (_REPLY, CAUGHT_UP),
                    parameters=(
                        _ID,
                        Parameter("stream", "query", "Its events, where `true`."),
                        Parameter(
                            "starting_after",
                            "query",
                            "Only the events after this `sequence_number`.",
                        ),
                    ),
                    refuses=UNREADABLE,
                ),
                Route(
                    "POST",
                    "/v1/responses/{id}/cancel",
                    self.cancel,
                    Access.CANCEL,
                    (Reply(200, "It is over.", (ResponseObject,), job=True),),
                    parameters=(_ID,),
                    refuses=(JobNotFound, Gone),
                ),
            ],
        )

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Make a response: as a stream, at once and to be asked for later, or when it is done."""
        body = await self._desk.body(request)
        asked = decode(body, ResponseRequest)
        principal = self._desk.principal(request, asked.app_code)
        repeat = repeat_of(request, principal, FORM, body)
        fields = {k: v for k, v in decode(body, dict[str, Any]).items() if v is not None}
        wanted = await self._request(principal, asked, fields)
        ask = self._direct.ask(asked, wanted, door=FORM, repeat=repeat)
        echo = {name: fields[name] for name in ECHOED if name in fields}
        ask = replace(ask, context={"response": echo}, **_in_background(asked))
        if asked.stream:
            return await self._direct.streams.begin(
                request, principal, lambda: self._direct.submit(request, principal, ask), _format
            )
        if asked.background:
            return answer(whole(await self._direct.submit(request, principal, ask)))
        return answer(whole(await self._direct.whole(request, principal, ask)))

    async def _request(
        self, principal: Principal, asked: ResponseRequest, fields: dict[str, Any]
    ) -> Request:
        _refuse_unknown(fields)
        turns = await self._earlier(principal, asked.previous_response_id)
        turns += response_input.messages(asked.input)
        if asked.instructions:
            turns.insert(0, Message(role="system", content=asked.instructions))
        for name in ECHOED:
            portable(name, fields.get(name))
        return Request(
            messages=conversation(turns),
            model=asked.model or self._desk.default_model,
            fallback_models=self._desk.fallback_models,
            max_tokens=most_tokens(max_output_tokens=asked.max_output_tokens),
            parameters=sampling({k: v for k, v in fields.items() if k in ("temperature", "top_p")}),
            tools=response_input.tools(asked.tools),
            extra=_extra(asked),
        )

    async def _earlier(self, principal: Principal, name: str | None) -> list[Message]:
        """The conversation that a response ended with, without its instructions."""
        if name is None:
            return []
        job = await self._core.own(principal, _job_id(name))
        if job.state is not State.COMPLETED or job.outcome is None:
            raise InvalidRequest(
                "The previous response is not complete.", field="previous_response_id"
            )
        begin = 1 if job.context.get("response", {}).get("instructions") else 0
        calls = [tool_call(call) for call in job.outcome.tool_calls]
        said = Message(
            role="assistant", content=job.outcome.answer or None, tool_calls=calls or None
        )
        return [*job.request.messages[begin:], said]

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        """A response as it stands, or its events after a number."""
        principal = self._desk.principal(request)
        job = await self._core.own(principal, _job_id(request.match_info["id"]))
        if request.query.get("stream") not in ("true", "1"):
            return answer(whole(job), request_id=job.id)
        after = _starting_after(request)
        if after is None:
            return await self._direct.streams.serve(request, principal, job, _format(job), None)
        async with self._core.channel(job) as channel:
            log = channel.log
            cursor, rest = place_after(job, log.entries(0, len(log)), after)
            form = _format(job)._replace(hello=rest)
            return await self._direct.streams.serve(request, principal, job, form, cursor)

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop a response; one that is over stays as it is."""
        principal = self._desk.principal(request)
        job = await self._core.own(principal, _job_id(request.match_info["id"]))
        return answer(whole(await self._core.cancel(job)), request_id=job.id)


def _job_id(name: str) -> str:
    return name.removeprefix("resp_")


def _refuse_unknown(fields: dict[str, Any]) -> None:
    for name in ("conversation", "prompt"):
        if name in fields:
            raise InvalidRequest(f"{name} is not known here: send the input.", field=name)
    include = fields.get("include")
    likely = isinstance(include, list) and "message.output_text.logprobs" in include
    if likely or fields.get("top_logprobs"):
        name = "include" if likely else "top_logprobs"
        raise InvalidRequest("Only chat completions have logprobs here.", field=name)


def _starting_after(request: web.Request) -> int | None:
    text = request.query.get("starting_after")
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise BadCursor("starting_after must be a sequence number.", field="starting_after")
    return int(text)


def _in_background(asked: ResponseRequest) -> dict[str, Any]:
    """What of an ask is different where nobody waits for its answer."""
    if not asked.background:
        return {}
    return {
        "lane": Lane.LIVE if asked.stream else Lane.BACKGROUND,
        "on_disconnect": OnDisconnect(asked.on_disconnect or OnDisconnect.CONTINUE),
    }


def _extra(asked: ResponseRequest) -> dict[str, Any]:
    effort = (asked.reasoning or {}).get("effort")
    fields = {
        "tool_choice": response_input.choice(asked.tool_choice),
        "parallel_tool_calls": asked.parallel_tool_calls,
        "response_format": response_input.response_format(asked.text),
        "reasoning_effort": effort,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _format(job: Job) -> Format:
    return Format(
        "responses",
        lambda: ResponseFramer(job),
        exact=True,
        hello=b"".join(opening(job)),
        resumable=False,
    )
