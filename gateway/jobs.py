"""Jobs and their states. The only file that knows which move is legal."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec

from gateway.events import Cancelled, Completed, Expired, Failed, Terminal, ToolCall, Usage, total
from gateway.messages import Request
from gateway.trace import Trace

_ID = re.compile(
    r"\d{8}T\d{6}Z-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII
)


class State(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    ERROR = "error"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        """Nothing moves a job out of this state."""
        return not MOVES[self]


# A job goes back from processing to queued when its run is lost and its policy allows another.
MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.PROCESSING, State.ERROR, State.CANCELLED, State.EXPIRED}),
    State.PROCESSING: frozenset(
        {State.QUEUED, State.COMPLETED, State.ERROR, State.CANCELLED, State.EXPIRED}
    ),
    State.COMPLETED: frozenset(),
    State.ERROR: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
}

OUTCOME_OF: dict[type[Terminal], State] = {
    Completed: State.COMPLETED,
    Failed: State.ERROR,
    Cancelled: State.CANCELLED,
    Expired: State.EXPIRED,
}


class OnFailure(StrEnum):
    """What happens when a provider fails after its first token, or the process dies."""

    ERROR = "error"
    RESTART = "restart"


class OnDisconnect(StrEnum):
    """What happens to a job when its last reader leaves."""

    CONTINUE = "continue"
    CANCEL = "cancel"
    # Also polling shows that it is wanted, and there is more time.
    ABANDON = "abandon"


class Start(StrEnum):
    """When a job becomes ready to run."""

    ON_INIT = "on_init"
    ON_CONNECT = "on_connect"


class Lane(StrEnum):
    """What a job is to its caller: somebody watches, or it may take its time."""

    LIVE = "live"
    BACKGROUND = "background"


class Owner(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Whose job it is: a tenant, and one of its users where one was named."""

    tenant: str
    user: str | None = None


class Callback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Where the answer is to be posted when the job ends, and in which shape.

    Attributes:
        url: verbatim: a signature in its query must survive.
        form: the surface that builds the body.
        echo: what the caller wants to find again in the body.
    """

    url: str
    form: str
    echo: dict[str, Any] = {}


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How a job ended.

    Attributes:
        answer: what text there was, whole or not.
        logprobs: how likely each token of it was, as its event tells.
        usage: the tokens of all its attempts, also of those that were lost.
        cost: of these, in millionths of a US dollar.
    """

    terminal: Terminal
    answer: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: str | None = None
    model: str | None = None
    provider: str | None = None
    usage: Usage | None = None
    cost: int = 0
    first_token_at: float | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An accepted request. Times are UTC, seconds since the epoch.

    Attributes:
        door: the surface that made it.
        priority: 0 is first, 9 is last.
        attempt: how often a worker began it; 0 while it has never run.
        failures: attempts that were lost after a reader had seen some of their answer.
        lost: the tokens of attempts that were begun anew; they are paid for all the same.
        idempotency_key: unique within the tenant; None where the caller gave none.
        fingerprint: digest of what was asked, to tell a repeat from another request.
        expires_at: when it stops waiting for a worker.
        trace: its span; None where nothing is traced.
    """

    id: str
    owner: Owner
    door: str
    request: Request
    created_at: float
    expires_at: float
    state: State = State.QUEUED
    priority: int = 5
    lane: Lane = Lane.LIVE
    attempt: int = 0
    failures: int = 0
    lost: Usage | None = None
    claimed_at: float | None = None
    finished_at: float | None = None
    outcome: Outcome | None = None
    on_failure: OnFailure = OnFailure.ERROR
    on_disconnect: OnDisconnect = OnDisconnect.CONTINUE
    start: Start = Start.ON_INIT
    callback: Callback | None = None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    context: dict[str, Any] = {}
    trace: Trace | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job as it stands. `position` from 1 and `wait_s` only while it is queued."""

    job: Job
    position: int | None = None
    wait_s: float | None = None


def new_job_id(now: float, new_uuid: Callable[[], str]) -> str:
    """A request id: `<UTC time>-<uuid4>`, such as 20261120T224400Z-0b9f6c1e-…"""
    return f"{_stamp(int(now))}-{new_uuid()}"


@lru_cache(maxsize=1)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")


def is_job_id(text: str) -> bool:
    """The text has the shape of a request id. Anything else is answered as an unknown one."""
    return len(text) == 53 and _ID.fullmatch(text) is not None


def move(job: Job, state: State, now: float) -> Job:
    """The job in its next state, its times and attempt set as the move demands.

    Raises:
        IllegalMove: the table has no such move.
    """
    if state not in MOVES[job.state]:
        raise IllegalMove(job.state, state)
    if state is State.PROCESSING:
        return msgspec.structs.replace(job, state=state, attempt=job.attempt + 1, claimed_at=now)
    if state is State.QUEUED:
        return msgspec.structs.replace(job, state=state, claimed_at=None)
    return msgspec.structs.replace(job, state=state, finished_at=now)


def requeue(job: Job, *, spent: bool, lost: Usage | None) -> Job:
    """The job in the queue again, to begin anew.

    Args:
        spent: the attempt counts among the job's failures.
        lost: the tokens that it took.

    Raises:
        IllegalMove: it was not running.
    """
    queued = move(job, State.QUEUED, 0.0)
    return msgspec.structs.replace(
        queued, failures=job.failures + spent, lost=total(job.lost, lost)
    )


def finish(job: Job, outcome: Outcome, now: float) -> Job:
    """The job in the final state that its terminal event means.

    Raises:
        IllegalMove: it is over already.
    """
    state = OUTCOME_OF[type(outcome.terminal)]
    if state not in MOVES[job.state]:
        raise IllegalMove(job.state, state)
    return msgspec.structs.replace(job, state=state, finished_at=now, outcome=outcome)


class IllegalMove(Exception):
    """A job cannot go from the one state to the other."""

    def __init__(self, old: State, new: State) -> None:
        super().__init__(f"a job cannot go from {old} to {new}")
