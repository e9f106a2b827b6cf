"""The observer that writes the log: what became of each request, a fact a line.

Never a prompt, an answer or an address: only what an operator needs to follow one job.
"""

import logging

import structlog

from gateway.catalog import Model
from gateway.errors import GatewayError, ProviderError
from gateway.events import Cancelled, Failed
from gateway.jobs import Job
from gateway.messages import Request
from gateway.webhooks import Delivery

log = structlog.get_logger(__name__)


class Journal:
    """Logs what it is told."""

    def __init__(self) -> None:
        """Log as much as the process does now."""
        # Nearly always not; then three lines of each job need not even be put together.
        self._details = log.is_enabled_for(logging.DEBUG)

    def submitted(self, job: Job) -> None:
        log.info("job_submitted", job_id=job.id, app=job.owner.tenant, door=job.door)

    def claimed(self, job: Job) -> None:
        if self._details:
            log.debug("job_started", job_id=job.id, attempt=job.attempt)

    def asked(self, job: Job, model: Model, request: Request, now: float) -> None:
        if self._details:
            log.debug("model_asked", job_id=job.id, model=model.name, provider=model.provider)

    def answered(self, job: Job, model: Model) -> None:
        if self._details:
            log.debug("first_token", job_id=job.id, model=model.name, provider=model.provider)

    def failed(self, job: Job, model: Model | None, error: ProviderError, *, shown: bool) -> None:
        log.warning(
            "provider_failed",
            job_id=job.id,
            model=model.name if model else None,
            code=error.code,
            retryable=error.retryable,
            shown=shown,
        )

    def ended(self, job: Job) -> None:
        outcome = job.outcome
        usage = outcome.usage if outcome else None
        why = {}
        match outcome.terminal if outcome else None:
            case Failed(code=code):
                why = {"code": code}
            case Cancelled(reason=reason):
                why = {"reason": reason}
        log.info(
            "job_finished",
            job_id=job.id,
            app=job.owner.tenant,
            door=job.door,
            model=outcome.model if outcome else None,
            provider=outcome.provider if outcome else None,
            state=job.state.value,
            attempt=job.attempt,
            waited_s=_after(job, job.claimed_at),
            first_token_s=_after(job, outcome.first_token_at if outcome else None),
            took_s=_after(job, job.finished_at),
            tokens=usage.total_tokens if usage else 0,
            **why,
        )

    def called_back(self, delivery: Delivery, took_s: float | None) -> None:
        """The notifier logs its own."""

    def joined(self, form: str, job: Job, *, resumed: bool) -> None:
        log.info("stream_opened", job_id=job.id, form=form, resumed=resumed)

    def left(self, form: str, job: Job, lasted_s: float) -> None:
        log.info("stream_closed", job_id=job.id, form=form, lasted_s=round(lasted_s, 3))

    def refused(self, door: str, error: GatewayError) -> None:
        # Whoever sends rubbish must not fill the disk.
        log.debug("request_refused", door=door, code=error.code, field=error.field)


def _after(job: Job, at: float | None) -> float | None:
    """Seconds from the coming of a job to a moment of its life."""
    return None if at is None else round(at - job.created_at, 3)
