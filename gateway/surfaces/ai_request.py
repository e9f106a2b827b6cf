"""The job queue's door: ask, poll, cancel.

`POST /ai_request`, `POST /ai_request/batch`, `GET /get_request/{id}`, `POST /cancel_request/{id}`.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from aiohttp import web

from gateway.engine.core import Ask, Principal, over
from gateway.errors import (
    Conflict,
    Draining,
    Forbidden,
    GatewayError,
    Gone,
    InvalidRequest,
    JobNotFound,
    MethodNotAllowed,
    NotFound,
    OverBudget,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UnsupportedRequestType,
)
from gateway.jobs import Callback, Job, Lane, OnFailure, State
from gateway.messages import Message, Request
from gateway.surfaces.answers import Answers, key_of
from gateway.surfaces.behalf import OnBehalf
from gateway.surfaces.body import decode, priority, required, text_field
from gateway.surfaces.door import Desk, Door, answer, whole_seconds
from gateway.surfaces.idempotency import PARAMETER, Repeat, repeat_of
from gateway.surfaces.polled import POLLED, Refusal, callback_body, polled
from gateway.surfaces.route import JOB_ID, PRIORITY, Access, Body, Parameter, Reply, Route
from gateway.tenants import RequestType, Tenant

FORM = "ai_request"

# The document's own figures, where neither app nor request type says otherwise.
_TEMPERATURE = 0.7
_MAX_TOKENS = 1000
_BATCH_MOST = 100
_WAIT = re.compile(r"\d{1,2}(\.\d{1,3})?", re.ASCII)
_WAIT_MOST_S = 60
_WAIT_S = Annotated[float, msgspec.Meta(ge=0, le=_WAIT_MOST_S)]
_WAIT_SAYS = f"Seconds, from 0 to {_WAIT_MOST_S}, to wait for the request to be over."

# What the API document says of parts that are read, or written, one by one.
_REQUEST = msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/AiRequest"})
_RESULT = msgspec.Meta(
    extra_json_schema={
        "oneOf": [
            {"$ref": "#/components/schemas/Accepted"},
            {"$ref": "#/components/schemas/Refusal"},
        ]
    }
)

# Raises InvalidRequest where a tenant's callbacks may not go.
CheckUrl = Callable[[str, Tenant], object]


class AiRequest(OnBehalf, frozen=True):
    """The body of `/ai_request`, and each entry of a batch."""

    request_type: str | None = None
    request: str | None = None
    callback_url: str | None = None
    model: str | None = None
    priority: Annotated[int, PRIORITY] | None = None


class AiRequestBatch(OnBehalf, frozen=True):
    """The body of `/ai_request/batch`. Its entries are read one by one; each may name its user."""

    requests: list[Annotated[msgspec.Raw, _REQUEST]] | None = None


class Caller(msgspec.Struct, frozen=True):
    """Who cancels: the body of `/cancel_request/{id}`, which need not be there."""

    app_code: str | None = None


class Accepted(TypedDict):
    """What the job queue took, or what it did with it."""

    status: Literal["success"]
    request_id: str
    message: str


class BatchAccepted(TypedDict):
    """One answer for each request, in their order."""

    status: Literal["success"]
    results: list[Annotated[dict[str, Any], _RESULT]]


# It names no app: who tries it out brings a credential of their own, or is let in without one.
_EXAMPLE = {"request_type": "chat", "request": "Why is the sky blue?"}


class JobQueue:
    """The routes, over the one engine."""

    def __init__(
        self,
        desk: Desk,
        *,
        poll_needs_app_code: bool,
        check_url: CheckUrl,
        now: Callable[[], float],
    ) -> None:
        self._desk = desk
        self._core = desk.core
        self._poll_needs_app_code = poll_needs_app_code
        self._check_url = check_url
        self._answers = Answers(desk.core, now)
        desk.core.forms[FORM] = callback_body
        self.door = Door(
            FORM,
            shape,
            [
                Route(
                    "POST",
                    "/ai_request",
                    self.submit,
                    Access.MAKE,
                    (Reply(200, "It is queued.", (Accepted,), job=True),),
                    Body(AiRequest, _EXAMPLE, needs=("request_type", "request")),
                    (PARAMETER,),
                    (UnsupportedRequestType, Conflict),
                ),
                Route(
                    "POST",
                    "/ai_request/batch",
                    self.submit_batch,
                    Access.MAKE,
                    (Reply(200, "What became of each.", (BatchAccepted,)),),
                    Body(AiRequestBatch, {"requests": [_EXAMPLE]}, needs=("requests",)),
                    (PARAMETER,),
                    (Conflict,),
                ),
                Route(
                    "GET",
                    "/get_request/{id}",
                    self.poll,
                    Access.READ,
                    (Reply(200, "How it stands.", POLLED, job=True),),
                    parameters=(JOB_ID, Parameter("wait", "query", _WAIT_SAYS, _WAIT_S)),
                    refuses=(InvalidRequest, JobNotFound),
                    bare=not poll_needs_app_code,
                ),
                Route(
                    "POST",
                    "/cancel_request/{id}",
                    self.cancel,
                    Access.CANCEL,
                    (Reply(200, "It is over.", (Accepted,), job=True),),
                    Body(Caller, {}, required=False),
                    (JOB_ID,),
                    (JobNotFound,),
                ),
            ],
        )

    async def submit(self, request: web.Request) -> web.Response:
        """Queue one request."""
        body = await self._desk.body(request)
        asked = decode(body, AiRequest)
        principal = self._desk.principal(request, asked.app_code)
        repeat = repeat_of(request, principal, FORM, body)
        job = await self._submit(principal, asked, asked.named(), Lane.LIVE, repeat)
        return answer(_queued(job), request_id=job.id)

    async def submit_batch(self, request: web.Request) -> web.Response:
        """Queue up to a hundred requests; each is accepted or refused for itself."""
        body = await self._desk.body(request)
        batch = decode(body, AiRequestBatch)
        principal = self._desk.principal(request, batch.app_code)
        if not batch.requests or len(batch.requests) > _BATCH_MOST:
            raise InvalidRequest(
                f"requests must hold 1 to {_BATCH_MOST} requests.", field="requests"
            )
        user = batch.named()
        repeat = repeat_of(request, principal, f"{FORM}/batch", body)
        await repeat.claim(self._core.records.held, _BATCH_MOST)
        return _batched(
            [
                await self._submit_entry(principal, entry, user, repeat.entry(index))
                for index, entry in enumerate(batch.requests)
            ]
        )

    async def _submit_entry(
        self, principal: Principal, entry: msgspec.Raw, user: str | None, repeat: Repeat
    ) -> Accepted | GatewayError:
        try:
            asked = decode(bytes(entry), AiRequest)
            user = asked.named() or user
            return _queued(await self._submit(principal, asked, user, Lane.BACKGROUND, repeat))
        except Conflict:
            # The key belongs to another batch, which came at the same time.
            raise
        except GatewayError as error:
            return error

    async def _submit(
        self, principal: Principal, asked: AiRequest, user: str | None, lane: Lane, repeat: Repeat
    ) -> Job:
        tenant = principal.tenant
        kind_name = required("request_type", asked.request_type)
        text = text_field("request", required("request", asked.request))
        kind = tenant.request_type(kind_name)
        if kind is None:
            raise UnsupportedRequestType(field="request_type")
        if asked.callback_url is not None:
            self._check_url(asked.callback_url, tenant)
        ask = Ask(
            request=self._request(tenant, kind, text, asked.model),
            door=FORM,
            user=user,
            priority=priority(asked.priority),
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
        key = key_of(principal.owner(ask.user), kind.name, ask.request)
        job = await self._answers.find(key, kind.cache)
        if job is None:
            job = await self._core.submit(principal, ask)
            self._answers.add(key, job)
        return job

    def _request(self, tenant: Tenant, kind: RequestType, text: str, model: str | None) -> Request:
        name = model or kind.model or self._desk.default_model
        takes = self._core.catalog.resolve(name).parameters
        temperature = _TEMPERATURE if kind.temperature is None else kind.temperature
        messages = [Message(role="user", content=text)]
        if kind.system_prompt is not None:
            messages.insert(0, Message(role="system", content=kind.system_prompt))
        return Request(
            messages=tuple(messages),
            model=name,
            fallback_models=kind.fallback_models or self._desk.fallback_models,
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
        by_id = not self._poll_needs_app_code and not self._desk.credentials.brought(request)
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
        principal = self._desk.principal(request, await self._code(request))
        before = await self._own(principal, request.match_info["id"])
        after = await self._core.cancel(before)
        if before.state.final or after.state is not State.CANCELLED:
            message = f"Request is already over: {after.state}"
        else:
            message = "Request cancelled"
        told: Accepted = {"status": "success", "request_id": after.id, "message": message}
        return answer(told, request_id=after.id)

    async def _code(self, request: web.Request) -> str | None:
        """The app code out of the body, which need not be there."""
        if not request.body_exists:
            return None
        return decode(await self._desk.body(request), Caller).app_code


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


def _queued(job: Job) -> Accepted:
    return {
        "status": "success",
        "request_id": job.id,
        "message": "Request queued successfully",
    }


def _batched(results: list[Accepted | GatewayError]) -> web.Response:
    """What became of each; where something stands in the way of some, when it may be gone.

    Raises:
        Draining: none was taken, and none will be.
    """
    refused = [each for each in results if isinstance(each, GatewayError)]
    draining = next((each for each in refused if isinstance(each, Draining)), None)
    if draining is not None and len(refused) == len(results):
        raise draining
    told: BatchAccepted = {
        "status": "success",
        "results": [{**(shape(e) if isinstance(e, GatewayError) else e)} for e in results],
    }
    response = answer(told)
    waits_s = [each.retry_after_s for each in refused if each.retry_after_s is not None]
    if waits_s:
        response.headers["Retry-After"] = str(whole_seconds(max(waits_s)))
    return response


# Errors ----------------------------------------------------------------------------------------

_OWN_CODES = (Forbidden, Conflict, NotFound, MethodNotAllowed, OverBudget, RateLimited)


def shape(error: GatewayError) -> Refusal:
    """An error as this door's document writes it."""
    return {"status": "error", "error_code": _code(error), "message": str(error)}


def _code(error: GatewayError) -> str:
    match error:
        case Unauthenticated():
            return "INVALID_APP_CODE"
        case Unavailable():
            return "QUEUE_FULL"
    own = isinstance(error, _OWN_CODES) or error.status == 500
    return error.code if own else "INVALID_REQUEST"
