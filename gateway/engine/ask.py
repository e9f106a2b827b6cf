"""What a surface wants done, and the job it becomes within its tenant's bounds."""

from typing import Any

import msgspec

from gateway.catalog import Catalog
from gateway.engine.auth import Principal
from gateway.errors import Conflict, Forbidden
from gateway.jobs import Callback, Job, Lane, OnDisconnect, OnFailure, Start
from gateway.messages import Request
from gateway.tenants import Tenant


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What a surface grants one user, beside what the app may.

    Attributes:
        active: how many of the user's jobs may be under way at a time.
        rates: how often the user may come; see `Limits.spend_each`.
    """

    active: int
    rates: tuple[tuple[str, ...], ...] = ()


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a surface wants done: the request, and everything about it that is not the model's.

    Attributes:
        priority: None for the tenant's own; a better one is lowered to it.
        idempotency_key: unique in the whole store; the surface puts the tenant into it.
        fingerprint: digest of what must be the same for a repeat.
        quota: what binds a new job of its user; a repeat asks for nothing.
    """

    request: Request
    door: str
    user: str | None = None
    priority: int | None = None
    lane: Lane = Lane.LIVE
    on_failure: OnFailure = OnFailure.ERROR
    on_disconnect: OnDisconnect = OnDisconnect.CONTINUE
    start: Start = Start.ON_INIT
    callback: Callback | None = None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    quota: Quota | None = None
    context: dict[str, Any] = {}

    def job(
        self, job_id: str, principal: Principal, catalog: Catalog, *, now: float, expires_at: float
    ) -> Job:
        """The job it becomes: nothing in it exceeds what its tenant and its model allow.

        Raises:
            Forbidden: the tenant may not use the model.
            UnknownModel: nobody serves it.
        """
        tenant = principal.tenant
        return Job(
            id=job_id,
            owner=principal.owner(self.user),
            door=self.door,
            request=_bounded(self.request, tenant, catalog),
            created_at=now,
            expires_at=expires_at,
            priority=max(tenant.priority, self.priority or 0),
            lane=self.lane,
            on_failure=self.on_failure,
            on_disconnect=self.on_disconnect,
            start=self.start,
            callback=self.callback,
            idempotency_key=self.idempotency_key,
            fingerprint=self.fingerprint,
            context=self.context,
            trace=principal.trace and principal.trace.of_job(job_id),
        )


def repeat(job: Job, earlier: Job) -> Job:
    """The job that holds the idempotency key of another one, if that asks for the same.

    Raises:
        Conflict: it does not.
    """
    if earlier.fingerprint != job.fingerprint:
        raise Conflict
    return earlier


def _bounded(request: Request, tenant: Tenant, catalog: Catalog) -> Request:
    model = catalog.resolve(request.model)
    fallbacks = request.fallback_models
    if tenant.allowed_models is not None:
        allowed = tenant.allowed_models
        if not catalog.permits(allowed, model):
            raise Forbidden(f"This app may not use the model {request.model}.", field="model")
        fallbacks = tuple(n for n in fallbacks if catalog.permits(allowed, catalog.resolve(n)))
    wanted = request.max_tokens or tenant.max_tokens
    ceilings = (wanted, tenant.max_tokens, model.max_tokens)
    return msgspec.structs.replace(
        request,
        fallback_models=fallbacks,
        max_tokens=wanted and min(each for each in ceilings if each is not None),
    )
