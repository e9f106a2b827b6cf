"""n8n's door: a workflow starts an answer, a browser reads it as text, a callback resumes it.

`POST /init-stream` and `GET /stream/{id}`. Every text arrives byte for byte, except that
server-sent events carry no carriage return.
"""

import asyncio
from collections.abc import Callable
from typing import TypedDict

import msgspec
from aiohttp import web

from gateway import sse
from gateway.destinations import target
from gateway.engine.core import Ask, Principal
from gateway.errors import Conflict, CursorConflict, GatewayError, InvalidRequest
from gateway.events import Completed, Delta, Event, Restarted, Usage, as_failed
from gateway.jobs import Callback, Job, OnFailure, Start
from gateway.log import Cursor
from gateway.messages import Message, Request
from gateway.surfaces.behalf import OnBehalf
from gateway.surfaces.body import decode, required, text_field
from gateway.surfaces.credentials import TOKEN_PARAMETER
from gateway.surfaces.door import Desk, Door, answer
from gateway.surfaces.format import Format
from gateway.surfaces.idempotency import PARAMETER, digest, repeat_of
from gateway.surfaces.route import MESSAGE, Access, Body, Events, Reply, Route
from gateway.surfaces.streams import CAUGHT_UP, PARAMETERS, REFUSES, Streams, cursor_of
from gateway.tenants import Tenant

FORM = "n8n"

# Raises InvalidRequest where a tenant's callbacks may not go.
CheckUrl = Callable[[str, Tenant], object]


class InitStream(OnBehalf, frozen=True):
    """The body of `/init-stream`. n8n sends null and "" for absent, and numbers as text."""

    n8nToken: str | None = None
    resumeUrl: str | None = None
    prompt: str | None = None
    chatId: str | None = None
    model: str | None = None
    max_tokens: int | str | None = None


class StreamBegun(TypedDict):
    """Where the answer can be read; the address is a credential."""

    ok: bool
    streamUrl: str


class StreamFault(TypedDict):
    """What went wrong."""

    code: str
    message: str


class StreamRefused(TypedDict):
    """Why a workflow, or its reader, is refused."""

    ok: bool
    error: StreamFault


# The document's own figure.
_MAX_TOKENS = 4096
_EXAMPLE = {
    "n8nToken": "JWT_TOKEN",
    "resumeUrl": "https://your-n8n/webhook/abc123",
    "prompt": "Your prompt",
    "userId": "user123",
    "chatId": "chat123",
    "model": "gpt-4",
    "max_tokens": 4096,
}
_EVENTS = Events(
    "id: 1-3\ndata: Hello\n\nid: 1-4\ndata:  world\n\nid: 1-6\ndata: [DONE]\n\n",
    ((MESSAGE, str), ("error", StreamFault)),
)


class N8n:
    """The two routes, over the one engine."""

    def __init__(
        self,
        desk: Desk,
        streams: Streams,
        *,
        start: Start,
        token_life_s: float,
        check_url: CheckUrl,
    ) -> None:
        self._desk = desk
        self._core = desk.core
        self._streams = streams
        self._start = start
        self._token_life_s = token_life_s
        self._check_url = check_url
        desk.core.forms[FORM] = callback_body
        self.door = Door(
            FORM,
            _shape,
            [
                Route(
                    "POST",
                    "/init-stream",
                    self.init,
                    Access.MAKE,
                    (Reply(200, "The answer begins.", (StreamBegun,), job=True),),
                    Body(InitStream, _EXAMPLE, needs=("prompt", "resumeUrl")),
                    (PARAMETER,),
                    (Conflict,),
                ),
                Route(
                    "GET",
                    "/stream/{id}",
                    self.stream,
                    Access.READ,
                    (
                        Reply(200, "The text, and then `[DONE]`.", events=_EVENTS, job=True),
                        CAUGHT_UP,
                    ),
                    parameters=PARAMETERS,
                    refuses=REFUSES,
                ),
            ],
        )

    async def init(self, request: web.Request) -> web.Response:
        """Accept a prompt; answer with the address of its stream. A repeat gets the same."""
        body = await self._desk.body(request)
        asked = decode(body, InitStream)
        principal = self._desk.principal(
            request, asked.app_code or None, token=asked.n8nToken or None
        )
        user = asked.named()
        repeat = repeat_of(request, principal, FORM, body)
        prompt, url = required("prompt", asked.prompt), required("resumeUrl", asked.resumeUrl)
        self._check_url(url, principal.tenant)
        base_url = self._desk.base_url(request)
        model = asked.model or self._desk.default_model
        job = await self._core.submit(
            principal,
            Ask(
                request=Request(
                    messages=(Message(role="user", content=text_field("prompt", prompt)),),
                    model=model,
                    fallback_models=self._desk.fallback_models,
                    max_tokens=_whole("max_tokens", asked.max_tokens) or _MAX_TOKENS,
                ),
                door=FORM,
                user=user,
                on_failure=OnFailure.RESTART,
                start=self._start,
                callback=Callback(
                    url=url,
                    form=FORM,
                    echo={
                        # What the workflow said comes back as it was said.
                        "userId": user or principal.owner().user,
                        "chatId": asked.chatId or None,
                        "prompt": prompt,
                    },
                ),
                # A workflow that sends no key waits at an address of its own.
                idempotency_key=repeat.key or f"resume:{digest(target(url))}",
                fingerprint=repeat.fingerprint or _fingerprint(principal, prompt),
            ),
        )
        # The model is asked before the caller is answered: its first word is what all wait for.
        await asyncio.sleep(0)
        token = self._core.auth.stream_token(job, self._token_life_s)
        stream_url = f"{base_url}/stream/{job.id}?{TOKEN_PARAMETER}={token}"
        told: StreamBegun = {"ok": True, "streamUrl": stream_url}
        return answer(told, request_id=job.id)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The text of an answer as it is written, from the reader's last event on."""
        principal = self._desk.principal(request)
        job = await self._core.own(principal, request.match_info["id"])
        return await self._streams.serve(request, principal, job, TEXT, cursor_of(request))


def _fingerprint(principal: Principal, prompt: str) -> str:
    """Of what must be the same where an address is waited at again, the user of a token too."""
    user = (principal.user or "",) if principal.proven else ()
    return digest(principal.tenant.name, prompt, *user)


def _shape(error: GatewayError) -> StreamRefused:
    return {"ok": False, "error": {"code": error.code, "message": str(error)}}


def _whole(name: str, value: int | str | None) -> int | None:
    """A whole number, also as the text that n8n's field editor makes of it."""
    if value is None or value == "":
        return None
    text = str(value)
    if not (text.isascii() and text.isdecimal() and 0 < len(text) <= 9 and int(text) > 0):
        raise InvalidRequest(f"{name} must be a whole number of at least 1.", field=name)
    return int(text)


# What a reader sees ----------------------------------------------------------------------------


class TextFramer:
    """The answer's text as default events, then `[DONE]`; a failure as an `error` event.

    Each event of the log is at most one event of the wire, so that a reader who is cut off
    anywhere comes back with nothing lost and nothing twice.
    """

    def __init__(self) -> None:
        # The end of a chunk that waits for what follows: a carriage return, which a line feed
        # may follow, or the last character of a text that is not to be taken for the end.
        self._held = ""

    def __call__(self, cursor: Cursor, event: Event) -> bytes:
        match event:
            case Delta(text=text):
                return self._text(cursor, text)
            case Completed():
                return self._rest() + sse.frame(b"[DONE]", id=str(cursor))
            case Usage():
                # It follows the last text.
                return self._rest(str(cursor))
            case Restarted():
                self._held = ""
        failed = as_failed(event)
        return self._rest() + _error(failed.code, failed.message, cursor) if failed else b""

    def _text(self, cursor: Cursor, text: str) -> bytes:
        if self._held:
            text, self._held = self._held + text, ""
        if text[-1] == "\r":
            text, self._held = text[:-1], "\r"
        if text == "[DONE]":
            text, self._held = "[DONE", "]" + self._held
        if "\n" in text or "\r" in text or not text:
            return sse.frame(text, id=str(cursor)) if text else b""
        # Nearly every chunk is one line, and there are many.
        return b"id: %d-%d\ndata: %b\n\n" % (*cursor, text.encode())

    def _rest(self, id: str | None = None) -> bytes:
        held, self._held = self._held, ""
        return sse.frame(held, id=id) if held else b""


_json = msgspec.json.Encoder().encode


def _error(code: str, message: str, cursor: Cursor | None = None) -> bytes:
    told: StreamFault = {"code": code, "message": message}
    return sse.frame(_json(told), event="error", id=cursor and str(cursor))


# A reader whose text is given up hears at once what its return would be answered.
_VOID = _error(CursorConflict.code, str(CursorConflict()))
TEXT = Format("text", TextFramer, exact=True, void=_VOID)


# What the workflow gets ------------------------------------------------------------------------


def callback_body(job: Job) -> bytes:
    """The JSON posted to `resumeUrl` when the job has ended, well or not."""
    if job.outcome is None or job.callback is None:
        raise AssertionError("a callback is written for a job that has ended")
    usage = job.outcome.usage or Usage(prompt_tokens=0, completion_tokens=0)
    body = {
        **job.callback.echo,
        "answer": job.outcome.answer,
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "ok": isinstance(job.outcome.terminal, Completed),
        "status": job.state,
        "deliveryId": f"msg_{job.id}",
    }
    failed = as_failed(job.outcome.terminal)
    if failed is None:
        return _json(body)
    error = {"code": failed.code, "message": failed.message, "retryable": failed.retryable}
    return _json({**body, "error": error})
