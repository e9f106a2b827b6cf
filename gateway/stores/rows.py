"""Jobs, events and callbacks as columns, and back."""

from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.events import AnyEvent, Event, Usage
from gateway.jobs import Job, Outcome, State
from gateway.stores import Batch
from gateway.webhooks import Delivery, DeliveryState

Columns = tuple[Any, ...]

_encoder = msgspec.json.Encoder()
_jobs = msgspec.json.Decoder(Job)
_usages = msgspec.json.Decoder(Usage)
_outcomes = msgspec.json.Decoder(Outcome)
_events: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyEvent)
_deliveries = msgspec.json.Decoder(Delivery)

# A job: what may change, in columns of its own, and then what was asked.
JOB = "state, attempt, failures, lost, claimed_at, finished_at, outcome, requests.body"


def request_of(job: Job) -> bytes:
    """What of a job never changes."""
    asked = replace(
        job, state=State.QUEUED, attempt=0, failures=0, lost=None, claimed_at=None,
        finished_at=None, outcome=None,
    )  # fmt: skip
    return _encoder.encode(asked)


def progress_of(job: Job) -> Columns:
    """What of a job changes while it runs, in the order of `JOB`."""
    lost = None if job.lost is None else _encoder.encode(job.lost)
    outcome = None if job.outcome is None else _encoder.encode(job.outcome)
    return (
        job.state.value, job.attempt, job.failures, lost, job.claimed_at, job.finished_at, outcome,
    )  # fmt: skip


def job_from(row: Columns) -> Job:
    """The job of the columns `JOB`."""
    state, attempt, failures, lost, claimed_at, finished_at, outcome, asked = row
    return replace(
        _jobs.decode(asked),
        state=State(state),
        attempt=attempt,
        failures=failures,
        lost=None if lost is None else _usages.decode(lost),
        claimed_at=claimed_at,
        finished_at=finished_at,
        outcome=None if outcome is None else _outcomes.decode(outcome),
    )


def lines_of(batch: Batch) -> bytes:
    """The events of a batch, one a line."""
    return _encoder.encode_lines(batch.events)


def events_from(lines: bytes) -> list[Event]:
    """The events that `lines_of` wrote."""
    events: list[Event] = _events.decode_lines(lines)
    return events


# A callback: what is looked for, and its body, in columns of their own.
DELIVERY = "state, next_at, callback, body"


def delivery_columns(delivery: Delivery) -> Columns:
    """The columns `DELIVERY`."""
    rest = replace(delivery, state=DeliveryState.WAITING, next_at=0.0, body=None)
    return (delivery.state.value, delivery.next_at, delivery.body, _encoder.encode(rest))


def delivery_from(row: Columns) -> Delivery:
    """The callback of the columns `DELIVERY`."""
    state, next_at, body, rest = row
    return replace(_deliveries.decode(rest), state=DeliveryState(state), next_at=next_at, body=body)
