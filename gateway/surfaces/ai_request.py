"""The job queue's door: ask, poll, cancel.

`POST /ai_request`, `POST /ai_request/batch`, `GET /get_request/{id}`, `POST /cancel_request/{id}`.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from gateway.engine.core import Ask, Principal, Status, over
from gateway.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    Gone,
    InvalidRequest,
    JobNotFound,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UnsupportedRequestType,
)
from gateway.events import Failed, Usage
from gateway.jobs import Callback, Job, Lane, OnFailure, State
from gateway.messages import Message, Request
from gateway.surfaces.answers import Answers, key_of
from gateway.surfaces.door import (
    Access,
    Desk,
    Door,
    Route,
    answer,
    decode,
    has_credential,
    text_field,
)
from gateway.surfaces.idempotency import Repeat, repeat_of
from gateway.tenants import RequestType, Tenant

FORM = "ai_request"

# The document's own figures, where neither app nor request type says otherwise.
_TEMPERATURE = 0.7
_MAX_TOKENS = 1000
_BATCH_MOST = 100
_WAIT = re.compile(r"\d{1,2}(\.\d{1,3})?", re.ASCII)
_WAIT_MOST_S = 60

# Raises InvalidRequest where a tenant's callbacks may not go.
CheckUrl = Callable[[str, Tenant], object]


class Asked(msgspec.Struct, frozen=True):
    """The body of `/ai_request`, and each entry of a batch."""

    app_code: str | None = None
    request_type: str | None = None
    request: str | None = None
    callback_url: str | None = None
    model: str | None = None
    priority: int | None = None


class Batch(msgspec.Struct, frozen=True):
    """The body of `/ai_request/batch`. Its entries are read one by one."""

    app_code: str | None = None
    requests: list[msgspec.Raw] | None = None


class JobQueue:
    """The routes, over the one engine."""

    def __init__(
        self,
        desk: Desk,
        *,
        default_model: str,
        fallback_models: tuple[str, ...],
        poll_needs_app_code: bool,
        check_url: CheckUrl,
        now: Callable[[], float],
    ) -> None:
        self._desk = desk
        self._core = desk.core
        self._default_model = default_model
        self._fallback_models = fallback_models
        self._poll_needs_app_code = poll_needs_app_code
        self._check_url = check_url
        self._answers = Answers(desk.core, now)
        desk.core.forms[FORM] = callback_body
        self.door = Door(
            FORM,
            shape,
            [
                Route("POST", "/ai_request", self.submit, Access.MAKE),
                Route("POST", "/ai_request/batch", self.submit_batch, Access.MAKE),
                Route("GET", "/get_request/{id}", self.poll, Access.READ),
                Route("POST", "/cancel_request/{id}", self.cancel, Access.CANCEL),
            ],
        )

    async def submit(self, request: web.Request) -> web.Response:
        """Queue one request."""
        body = await self._desk.body(request)
        asked = decode(body, Asked)
        principal = self._desk.principal(request, asked.app_code)
        repeat = repeat_of(request, principal, FORM, body)
        job = await self._submit(principal, asked, Lane.LIVE, repeat)
        return answer(_queued(job), request_id=job.id)

    async def submit_batch(self, request: web.Request) -> web.Response:
        """Queue up to a hundred requests; each is accepted or refused for itself."""
        body = await self._desk.body(request)
        batch = decode(body, Batch)
        principal = self._desk.principal(request, batch.app_code)
        if not batch.requests or len(batch.requests) > _BATCH_MOST:
            raise InvalidRequest(
                f"requests must hold 1 to {_BATCH_MOST} requests.", field="requests"
            )
        repeat = repeat_of(request, principal, f"{FORM}/batch", body)
        results = [
            await self._submit_entry(principal, entry, repeat.entry(index))
            for index, entry in enumerate(batch.requests)
        ]
        return answer({"status": "success", "results": results})

    async def _submit_entry(
        self, principal: Principal, entry: msgspec.Raw, repeat: Repeat
    ) -> dict[str, Any]:
        try:
            asked = decode(bytes(entry), Asked)
            return _queued(await self._submit(principal, asked, Lane.BACKGROUND, repeat))
        except Conflict:
            # The key belongs to another batch.
            raise
        except GatewayError as error:
            return shape(error)

    async def _submit(self, principal: Principal, asked: Asked, lane: Lane, repeat: Repeat) -> Job:
        tenant = principal.tenant
        kind_name = _required("request_type", asked.request_type)
        text = text_field("request", _required("request", asked.request))
        kind = tenant.request_type(kind_name)
        if kind is None:
            raise UnsupportedRequestType(field="request_type")
        if asked.priority is not None and not 0 <= asked.priority <= 9:
            raise InvalidRequest("priority must be from 0 to 9.", field="priority")
        if asked.callback_url is not None:
            self._check_url(asked.callback_url, tenant)
        ask = Ask(
            request=self._request(tenant, kind, text, asked.model),
            door=FORM,
            priority=asked.priority,
            lane=lane,
            on_failure=OnFailure.RESTART,
            callback=_callback(asked.callback_url),
            idempotency_key=repeat.key,
            fingerprint=repeat.fingerprint,
        )
        if kind.cache and ask.callback is None and repeat.key is None:
            return await self._submit_or_find(principal, kind, ask)
        return await self._core.submit(principal, ask)

    async def _submit_or_find(self, principal: Principal, kind: RequestType, ask: Ask) -> Job:
        """The job that answered the same request lately, or else a new one."""
        key = key_of(principal.owner(), kind.name, ask.request)
        job = await self._answers.find(key, kind.cache)
        if job is None:
            job = await self._core.submit(principal, ask)
            self._answers.add(key, job)
        return job

    def _request(self, tenant: Tenant, kind: RequestType, text: str, model: str | None) -> Request:
        name = model or kind.model or self._default_model
        takes = self._core.catalog.resolve(name).parameters
        temperature = _TEMPERATURE if kind.temperature is None else kind.temperature
        messages = [Message(role="user", content=text)]
        if kind.system_prompt is not None:
            messages.insert(0, Message(role="system", content=kind.system_prompt))
        return Request(
            messages=tuple(messages),
            model=name,
            fallback_models=kind.fallback_models or self._fallback_models,
            max_tokens=kind.max_tokens or tenant.max_tokens or _MAX_TOKENS,
            parameters={"temperature": temperature} if "temperature" in takes else {},
        )

    async def poll(self, request: web.Request) -> web.Response:
        """How a job stands. The id alone opens jobs made at this door, unless set otherwise.

        With `wait`, a number of seconds, the answer waits so long for the job to be over.
        """
        wait_s = _wait_s(request.query.get("wait"))
        job = await self._job(request, request.match_info["id"])
        self._core.seen(job)
        if wait_s and not job.state.final:
            job = await self._later(job, wait_s)
        return answer(polled(self._core.status(job)), request_id=job.id)

    async def _later(self, job: Job, wait_s: float) -> Job:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s), self._core.channel(job) as channel:
                await over(channel)
        return await self._core.job(job.id) or job

    async def _job(self, request: web.Request, job_id: str) -> Job:
        by_id = not self._poll_needs_app_code and not has_credential(request)
        job = await self._core.job(job_id)
        if by_id and job is not None and job.door == FORM:
            return job
        try:
            return await self._own(self._desk.principal(request), job_id)
        except Unauthenticated:
            if by_id:
                raise JobNotFound from None
            raise

    async def _own(self, principal: Principal, job_id: str) -> Job:
        try:
            return await self._core.own(principal, job_id)
        except Gone:
            # With the id alone nobody could be told more; the document knows one answer.
            raise JobNotFound from None

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop a job of the caller's; one that is over stays as it is."""
        principal = self._desk.principal(request)
        before = await self._own(principal, request.match_info["id"])
        after = await self._core.cancel(before)
        if before.state.final or after.state is not State.CANCELLED:
            message = f"Request is already over: {after.state}"
        else:
            message = "Request cancelled"
        return answer(
            {"status": "success", "request_id": after.id, "message": message},
            request_id=after.id,
        )


def _required(name: str, value: str | None) -> str:
    if not value:
        raise InvalidRequest(f"{name} is required.", field=name)
    return value


def _wait_s(text: str | None) -> float:
    if text is None:
        return 0.0
    if _WAIT.fullmatch(text) is None or float(text) > _WAIT_MOST_S:
        raise InvalidRequest(
            f"wait must be a number of seconds from 0 to {_WAIT_MOST_S}.", field="wait"
        )
    return float(text)


def _callback(url: str | None) -> Callback | None:
    return None if url is None else Callback(url=url, form=FORM)


def _queued(job: Job) -> dict[str, Any]:
    return {
        "status": "success",
        "request_id": job.id,
        "message": "Request queued successfully",
    }


# Errors ----------------------------------------------------------------------------------------

_CODES: tuple[tuple[type[GatewayError], str], ...] = (
    (Unauthenticated, "INVALID_APP_CODE"),
    (UnsupportedRequestType, "UNSUPPORTED_REQUEST_TYPE"),
    (JobNotFound, "REQUEST_NOT_FOUND"),
    (RateLimited, "RATE_LIMITED"),
    (Unavailable, "QUEUE_FULL"),
)
_OWN_CODES = (Forbidden, Conflict, NotFound)


def shape(error: GatewayError) -> dict[str, Any]:
    """An error as this door's document writes it."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), None)
    if code is None:
        own = isinstance(error, _OWN_CODES) or error.status in (405, 500)
        code = error.code if own else "INVALID_REQUEST"
    return {"status": "error", "error_code": code, "message": str(error)}


# Answers to a poll -----------------------------------------------------------------------------


def polled(status: Status) -> dict[str, Any]:
    """How a job stands, as the document writes it."""
    job = status.job
    match job.state:
        case State.QUEUED:
            return {
                "status": "queued",
                "position": status.position or 1,
                "estimated_wait_time": in_words(status.wait_s or 0.0),
                "message": "Request is in queue",
            }
        case State.PROCESSING:
            return {"status": "processing", "message": "Request is currently being processed"}
        case State.COMPLETED:
            return {"status": "completed", "response": _response(job)}
        case State.ERROR:
            return _error(job)
        case State.CANCELLED:
            return {"status": "cancelled", "message": "Request was cancelled"}
        case State.EXPIRED:
            return {
                "status": "expired",
                "message": "Request waited too long in the queue",
                "retry_possible": True,
            }


def _response(job: Job) -> dict[str, Any]:
    outcome = job.outcome
    if outcome is None or job.finished_at is None:
        raise AssertionError("a completed job has an outcome")
    usage = outcome.usage or Usage(prompt_tokens=0, completion_tokens=0)
    return {
        "ai_response": outcome.answer,
        "model_used": outcome.model or job.request.model,
        "completion_time": datetime.fromtimestamp(job.finished_at, UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
        "token_usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        },
    }


def _error(job: Job) -> dict[str, Any]:
    terminal = job.outcome.terminal if job.outcome else None
    if not isinstance(terminal, Failed):
        raise AssertionError("a failed job has a failure")
    known = terminal.code in ("TIMEOUT", "INVALID_REQUEST")
    return {
        "status": "error",
        "error_code": terminal.code if known else "AI_SERVICE_ERROR",
        "message": terminal.message,
        "retry_possible": terminal.retryable,
    }


def in_words(wait_s: float) -> str:
    """A time to wait, as a person would say it."""
    if wait_s < 10:
        return "a few seconds"
    if wait_s < 60:
        return "less than a minute"
    minutes = int(wait_s // 60)
    if minutes < 60:
        return f"{minutes}-{minutes + 1} minutes"
    hours = minutes // 60
    return f"{hours}-{hours + 1} hours"


_encode = msgspec.json.Encoder().encode


def callback_body(job: Job) -> bytes:
    """The JSON posted to `callback_url`: what a poll would answer, and which request it is."""
    return _encode({"request_id": job.id, **polled(Status(job=job))})
