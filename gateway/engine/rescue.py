"""What an earlier process left unfinished goes on in this one, or is told that it cannot."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from gateway.engine.hub import Hub
from gateway.engine.recorder import Recorder
from gateway.engine.run import INTERRUPTED, estimated_usage
from gateway.engine.worker import MOST_FAILURES
from gateway.events import Delta, Event, Routed, ToolCall, Usage, total
from gateway.jobs import Job, OnFailure, Outcome, State
from gateway.log import EventLog
from gateway.stores import Store

# Lets a job wait for a worker: with its log so far, and how long it has waited, in seconds.
Adopt = Callable[[Job, EventLog | None, float], None]


async def rescue(store: Store, hub: Hub, recorder: Recorder, adopt: Adopt, now: float) -> None:
    """Let every unfinished job wait again, in the order in which they came.

    A job that was running begins anew under its next attempt, if nothing of its answer is known
    to have been seen or its policy allows that; otherwise it ends, with what answer there was,
    under an attempt of its own: readers may have seen more than was stored. To be called before
    any worker runs. Cancelled, what is left is found by the next process.

    Raises:
        StoreUnavailable: some jobs may wait again already; the process cannot start.
    """
    found = await asyncio.gather(*(_found(store, job) for job in await store.unfinished()))
    for job, log, _ in found:
        # Its time to wait was over when a worker took it. That it waits again is not its doing.
        adopt(job, log, 0.0 if job.attempt else max(0.0, now - job.created_at))
    # Together, so that a store with group commit pays once.
    await asyncio.gather(
        *(
            recorder.end(job, hub.open(job.id), ending)
            for job, _, ending in found
            if ending is not None
        )
    )


class _Found(NamedTuple):
    """An unfinished job, its log where it ran before, and how it ends if it may not go on."""

    job: Job
    log: EventLog | None = None
    ending: Outcome | None = None


async def _found(store: Store, job: Job) -> _Found:
    if not job.attempt:
        return _Found(job)
    log = await store.log(job.id)
    if log is None:
        raise AssertionError("every job has a log")
    ending = None
    if job.state is State.PROCESSING:
        lost = log.events[log.attempt_start() :] if log.attempt == job.attempt else []
        if _may_restart(job, lost):
            job = await store.requeue(job.id, spent=True, lost=_spent(job, lost)) or job
        else:
            ending = _salvaged(job, lost)
    # Readers may hold more of an attempt than was stored: whatever follows belongs to another.
    log.begin(job.attempt + 1)
    return _Found(job, log, ending)


def _may_restart(job: Job, lost: list[Event]) -> bool:
    # What ends the process each time it runs must not do so for ever.
    if job.failures + 1 >= MOST_FAILURES:
        return False
    shown = any(isinstance(event, Delta | ToolCall) for event in lost)
    return not shown or job.on_failure is OnFailure.RESTART


def _salvaged(job: Job, events: list[Event]) -> Outcome:
    """The end of a job that may not go on, with what is stored of its answer."""
    routed = next((event for event in events if isinstance(event, Routed)), None)
    return Outcome(
        terminal=INTERRUPTED,
        answer=_text(events),
        tool_calls=tuple(event for event in events if isinstance(event, ToolCall)),
        model=routed.model if routed else None,
        provider=routed.provider if routed else None,
        usage=total(job.lost, _spent(job, events)),
    )


def _spent(job: Job, events: list[Event]) -> Usage | None:
    """What the attempt that wrote these cost: the provider's figure, or else an estimate."""
    told = next((event for event in reversed(events) if isinstance(event, Usage)), None)
    if told is None and any(isinstance(event, Routed) for event in events):
        return estimated_usage(job, _text(events))
    return told


def _text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))
