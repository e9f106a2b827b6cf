"""Callbacks as values: what is owed to whom, how it is signed, when it is tried again."""

from enum import StrEnum

import msgspec


class DeliveryState(StrEnum):
    WAITING = "waiting"  # the job has not ended: there is no body yet
    PENDING = "pending"
    DELIVERED = "delivered"
    UNCONFIRMED = "delivered_unconfirmed"
    DEAD = "dead"


class Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One callback owed. Times are UTC, seconds since the epoch.

    Attributes:
        id: sent as `webhook-id`, the same over all attempts.
        url: verbatim as the caller gave it.
        body: JSON; None while WAITING.
        attempts: POSTs made so far.
        next_at: when the next one is due.
        deadline: after it, no further attempt is made.
        ambiguous: an attempt may have arrived although no 2xx was read.
        first_tried_at: when the first POST was made; None before it.
        last_status: the newest answer's HTTP status; None where there was no answer.
        note: what the newest attempt met, with a hint for the owner; never a body or a secret.
    """

    id: str
    job_id: str
    tenant: str
    url: str
    created_at: float
    deadline: float
    state: DeliveryState = DeliveryState.WAITING
    body: bytes | None = None
    next_at: float = 0.0
    attempts: int = 0
    ambiguous: bool = False
    first_tried_at: float | None = None
    last_status: int | None = None
    note: str = ""
