"""Callbacks as values: what is owed to whom, how it is signed, when it is tried again.

Signed as Standard Webhooks describes, so that any of its verifiers accepts a callback:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

`classify` is the only place that says what an answer means. Its table is n8n's behaviour at a
`resumeUrl` (a 2xx resumes the workflow, and a second POST would resume its next Wait node),
which is safe for any other receiver too.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import accumulate
from math import inf
from random import Random

import msgspec
from msgspec.structs import replace

from gateway.errors import Conflict
from gateway.jobs import Job
from gateway.retries import retry_after_s
from gateway.trace import Trace

# Seconds from one attempt to the next; the first attempt is made at once, and the last step
# repeats until the deadline.
STEPS_S = (
    *(0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 5.0, 10.0, 20.0, 30.0),
    *(60.0 * minutes for minutes in (1, 2, 5, 10, 30, 60, 120, 300, 600)),
)
JITTER = 0.2

# A receiver that has not reached its Wait node yet: no later than this, for so long.
_RACE_STEP_S = 5.0
_RACE_S = 300.0
# What is unknown to the receiver may still appear: its execution is being stored, or the name
# service is being changed.
_PATIENCE_S = 60.0
# The last attempt is due so long before the deadline: a timer that is late must not miss it.
_LAST_MARGIN_S = 1.0
# When attempt n (from 0) is made at the earliest, in seconds after the first; a hair less, for
# what times lose to rounding.
_EARLIEST_S = tuple(accumulate((0.99 * (1 - JITTER) * step for step in STEPS_S), initial=0.0))

# What is said where a receiver is not there: nothing, or a proxy's word. Any other status is the
# receiver's own, also a 500, and speaks of that one callback.
_ABSENT = frozenset({None, 502, 503, 504})

_PREFIX = "whsec_"
_LEAST_KEY_BYTES = 16
_TOLERANCE_S = 300


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
        lifetime_s: from the first attempt to the deadline; None leaves the deadline as it is.
        deadline: after it, no further attempt is made. The first is made whenever it can be.
        ambiguous: an attempt may have arrived although no 2xx was read.
        begun: an attempt was begun, and what came of it is not recorded.
        first_tried_at: when the first POST was made; None before it.
        last_status: the newest answer's HTTP status; None where there was no answer.
        note: what the newest attempt met, with a hint for the owner; never a body or a secret.
        trace: the job's span; None where nothing is traced.
    """

    id: str
    job_id: str
    tenant: str
    url: str
    created_at: float
    deadline: float
    lifetime_s: float | None = None
    state: DeliveryState = DeliveryState.WAITING
    body: bytes | None = None
    next_at: float = 0.0
    attempts: int = 0
    ambiguous: bool = False
    begun: bool = False
    first_tried_at: float | None = None
    last_status: int | None = None
    note: str = ""
    trace: Trace | None = None

    @property
    def attempt_trace(self) -> Trace | None:
        """The span of the newest attempt."""
        return None if self.trace is None else self.trace.child(f"callback {self.attempts}")

    @property
    def unheard(self) -> bool:
        """It was tried, and the receiver itself said nothing to the newest attempt."""
        return self.first_tried_at is not None and self.last_status in _ABSENT


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver said. `body` is its beginning; it may be cut anywhere."""

    status: int
    content_type: str = ""
    retry_after: str | None = None
    body: bytes = b""


class Silence(StrEnum):
    """Why there is no answer. The value is the note that the owner reads."""

    UNREACHABLE = "No connection: the receiver is down, or its name or certificate is wrong."
    NOT_PUBLIC = (
        "The receiver's name leads to an address that is not public: list its origin in "
        "CALLBACK_ALLOWED_ORIGINS if that is right."
    )
    TIMED_OUT = "The receiver took too long to answer."
    CUT = "The connection broke before the receiver answered."


def owed(job: Job, lifetime_s: float) -> Delivery | None:
    """The callback that a new job will owe; None if nobody wants one."""
    if job.callback is None:
        return None
    return Delivery(
        id=f"msg_{job.id}",
        job_id=job.id,
        tenant=job.owner.tenant,
        url=job.callback.url,
        created_at=job.created_at,
        deadline=job.created_at + lifetime_s,
        lifetime_s=lifetime_s,
        trace=job.trace,
    )


def parse_secrets(words: Sequence[str]) -> tuple[bytes, ...]:
    """The signing keys of `whsec_<base64>`, or of two such words while one replaces the other.

    Raises:
        ValueError: another form; the sentence does not repeat the words.
    """
    if len(words) > 2:
        raise ValueError("at most two secrets")
    return tuple(map(_parse_secret, words))


def _parse_secret(word: str) -> bytes:
    encoded = word.removeprefix(_PREFIX)
    try:
        # Some write it without its padding.
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if not word.startswith(_PREFIX) or len(key) < _LEAST_KEY_BYTES:
        raise ValueError(f"a secret is {_PREFIX} and at least {_LEAST_KEY_BYTES} bytes in base64")
    return key


def sign(delivery_id: str, body: bytes, keys: Sequence[bytes], now: float) -> dict[str, str]:
    """The Standard Webhooks headers of one attempt; unsigned where there is no key."""
    timestamp = str(int(now))
    headers = {"webhook-id": delivery_id, "webhook-timestamp": timestamp}
    if keys:
        signatures = (_signature(delivery_id, timestamp, body, key) for key in keys)
        headers["webhook-signature"] = " ".join(signatures)
    return headers


def verify(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float) -> bool:
    """One of the signatures is by one of the keys, and at most five minutes old or early.

    Args:
        headers: with lower-case names, or any mapping that ignores case.
    """
    timestamp = headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        return False
    if abs(now - int(timestamp)) > _TOLERANCE_S:
        return False
    given = _raw(headers.get("webhook-signature", "")).split()
    delivery_id = headers.get("webhook-id", "")
    wanted = [_raw(_signature(delivery_id, timestamp, body, key)) for key in keys]
    return any(hmac.compare_digest(one, other) for one in given for other in wanted)


def _raw(text: str) -> bytes:
    # Header values hold the bytes that are not UTF-8 as lone surrogates.
    return text.encode("utf-8", "surrogateescape")


def _signature(delivery_id: str, timestamp: str, body: bytes, key: bytes) -> str:
    digest = hmac.digest(key, _raw(f"{delivery_id}.{timestamp}.") + body, "sha256")
    return f"v1,{b64encode(digest).decode()}"


def begin(delivery: Delivery, now: float) -> Delivery:
    """The delivery while an attempt is on its way, to be stored before a byte is sent.

    Ambiguous: should this process die now, nobody knows whether the POST arrived.
    """
    begun = replace(delivery, attempts=delivery.attempts + 1, ambiguous=True, begun=True)
    if begun.first_tried_at is not None:
        return begun
    # However late it comes: a job may take longer than a deadline, or the gateway be down past it.
    lasts_s = begun.lifetime_s
    deadline = begun.deadline if lasts_s is None else now + lasts_s
    return replace(begun, first_tried_at=now, deadline=deadline)


def classify(
    delivery: Delivery, answer: Answer | Silence, now: float, rng: Random, *, started_at: float
) -> Delivery:
    """The delivery after an attempt: settled, or due again.

    Args:
        delivery: as it was before `begin`.
        now: when the answer came, or was given up.
        started_at: when the attempt began.
    """
    tried = replace(
        begin(delivery, started_at),
        begun=False,
        ambiguous=delivery.ambiguous or _may_have_arrived(answer),
        last_status=answer.status if isinstance(answer, Answer) else None,
    )
    if isinstance(answer, Silence):
        if answer is Silence.NOT_PUBLIC:
            return _again_for_a_minute(tried, answer.value, now, rng)
        return _again(tried, answer.value, now, rng)
    if 200 <= answer.status < 300:
        return _settled(tried, DeliveryState.DELIVERED, "")
    if answer.status == 409:
        return _after_conflict(tried, answer, now, rng)
    if answer.status == 404 and _is_json(answer):
        note = "404: unknown to the receiver: the execution is not kept, or not a POST webhook."
        return _again_for_a_minute(tried, note, now, rng)
    if answer.status in (404, 408, 425, 429) or answer.status >= 500:
        return _again(
            tried,
            f"{answer.status}: the receiver could not take it.",
            now,
            rng,
            at_least_s=retry_after_s(answer.retry_after, now) or 0.0,
        )
    return _once_more(delivery, tried, now, rng)


def _may_have_arrived(answer: Answer | Silence) -> bool:
    if isinstance(answer, Answer):
        return answer.status >= 500
    return answer in (Silence.TIMED_OUT, Silence.CUT)


def _is_json(answer: Answer) -> bool:
    # A server that is only starting says 404 in HTML; one that knows better, in JSON.
    return "json" in answer.content_type or answer.body.lstrip().startswith(b"{")


def _after_conflict(delivery: Delivery, answer: Answer, now: float, rng: Random) -> Delivery:
    if b"finished" not in answer.body and b"with error" not in answer.body:
        racing = now - _first_tried_at(delivery, now) < _RACE_S
        at_most_s = _RACE_STEP_S if racing else inf
        note = "409: the workflow has not reached its Wait node yet."
        return _again(delivery, note, now, rng, at_most_s=at_most_s)
    if delivery.ambiguous:
        note = "409: the workflow is over; an earlier attempt probably resumed it."
        return _settled(delivery, DeliveryState.UNCONFIRMED, note)
    note = "409: the workflow was over before its answer came: raise the Wait node's limit."
    return _settled(delivery, DeliveryState.DEAD, note)


_HINTS = {
    401: "the signature in the URL was refused.",
    403: "the receiver wants a credential, or ignores bots.",
    410: "the receiver is gone for good.",
    422: "the receiver does not accept this body.",
}


def _once_more(before: Delivery, tried: Delivery, now: float, rng: Random) -> Delivery:
    status = tried.last_status or 0
    hint = _HINTS.get(status, "the receiver refused it.")
    if 300 <= status < 400:
        hint = "redirects are not followed: give the final URL."
    note = f"{status}: {hint}"
    if before.last_status is not None and _refuses(before.last_status):
        return _settled(tried, DeliveryState.DEAD, note)
    return _again(tried, note, now, rng)


def _refuses(status: int) -> bool:
    return 300 <= status < 500 and status not in (404, 408, 409, 425, 429)


def _settled(delivery: Delivery, state: DeliveryState, note: str) -> Delivery:
    return replace(delivery, state=state, note=note)


def _again_for_a_minute(delivery: Delivery, note: str, now: float, rng: Random) -> Delivery:
    until = _first_tried_at(delivery, now) + _PATIENCE_S
    if delivery.note != note:
        # The attempt before met something else: this may be a moment's state.
        until = max(until, now + _RACE_STEP_S)
    return _again(delivery, note, now, rng, until=until)


def _again(
    delivery: Delivery,
    note: str,
    now: float,
    rng: Random,
    *,
    at_least_s: float = 0.0,
    at_most_s: float = inf,
    until: float = inf,
) -> Delivery:
    last_at = min(until, delivery.deadline - _LAST_MARGIN_S)
    if now >= last_at:
        return _settled(delivery, DeliveryState.DEAD, f"{note} Given up.")
    pause_s = max(at_least_s, min(at_most_s, step_s(delivery, now, rng)))
    return replace(delivery, next_at=min(now + pause_s, last_at), note=note)


def step_s(delivery: Delivery, now: float, rng: Random) -> float:
    """The pause after an attempt by the schedule, its jitter included, in seconds.

    The step follows from the number of attempts, but no further than the time since the first
    one allows: many attempts in a short race must not put the next hours away.
    """
    elapsed_s = now - _first_tried_at(delivery, now)
    reached = sum(earliest_s <= elapsed_s for earliest_s in _EARLIEST_S)
    index = min(delivery.attempts, max(reached, 1), len(STEPS_S)) - 1
    return STEPS_S[index] * rng.uniform(1 - JITTER, 1 + JITTER)


def _first_tried_at(delivery: Delivery, now: float) -> float:
    return now if delivery.first_tried_at is None else delivery.first_tried_at


def put_off(delivery: Delivery, until: float) -> Delivery:
    """The delivery, due later; in time for its last attempt, where one was made."""
    untried = delivery.first_tried_at is None
    return replace(delivery, next_at=until if untried else min(until, delivery.deadline))


def expired(delivery: Delivery, now: float) -> bool:
    """It was tried, and its deadline has come."""
    return delivery.first_tried_at is not None and now >= delivery.deadline


def expire(delivery: Delivery) -> Delivery:
    """The delivery, given up because its deadline passed."""
    return _settled(delivery, DeliveryState.DEAD, f"{delivery.note} The deadline passed.".strip())


def replay(delivery: Delivery, now: float, lifetime_s: float) -> Delivery:
    """A dead or unconfirmed delivery, due again at once with its old id and a new deadline.

    Raises:
        Conflict: it is still on its way, or a 2xx was read: one more POST would resume
            whatever the workflow waits for by now.
    """
    if delivery.state not in (DeliveryState.DEAD, DeliveryState.UNCONFIRMED):
        raise Conflict(f"A callback that is {delivery.state} cannot be sent again.")
    return replace(
        delivery,
        state=DeliveryState.PENDING,
        next_at=now,
        deadline=now + lifetime_s,
        lifetime_s=lifetime_s,
        first_tried_at=None,
        last_status=None,
        note="Sent again by hand.",
    )
