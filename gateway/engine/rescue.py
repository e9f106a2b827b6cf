"""What an earlier process left unfinished goes on in this one, or is told that it cannot."""

import asyncio
from collections.abc import Callable

from gateway.engine.hub import Hub
from gateway.engine.recorder import Recorder
from gateway.engine.run import estimated_usage
from gateway.engine.worker import MOST_FAILURES
from gateway.events import Delta, Event, Failed, Routed, ToolCall, Usage
from gateway.jobs import Job, OnFailure, Outcome, State
from gateway.log import EventLog
from gateway.stores import Store

INTERRUPTED = Failed(code="INTERRUPTED", message="The gateway was stopped.", retryable=True)

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
    for job, log in found:
        # Its time to wait was over when a worker took it. That it waits again is not its doing.
        adopt(job, log, 0.0 if job.attempt else max(0.0, now - job.created_at))
    # Those left processing may not go on. Together, so that a store with group commit pays once.
    await asyncio.gather(
        *(
            _end(hub, recorder, job, log)
            for job, log in found
            if job.state is State.PROCESSING and log is not None
        )
    )


async def _found(store: Store, job: Job) -> tuple[Job, EventLog | None]:
    """An unfinished job, queued again if it may go on, and its log where there is one."""
    if not job.attempt:
        return job, None
    log = await store.log(job.id)
    if log is not None and job.state is State.PROCESSING and _may_restart(job, log):
        job = await store.requeue(job.id, spent=True) or job
    return job, log


def _may_restart(job: Job, log: EventLog) -> bool:
    # What ends the process each time it runs must not do so for ever.
    if job.failures + 1 >= MOST_FAILURES:
        return False
    shown = any(isinstance(event, Delta | ToolCall) for event in _lost(job, log))
    return not shown or job.on_failure is OnFailure.RESTART


async def _end(hub: Hub, recorder: Recorder, job: Job, log: EventLog) -> None:
    outcome = _salvaged(job, _lost(job, log))
    channel = hub.open(job.id)
    channel.begin(job.attempt + 1)
    await recorder.end(job, channel, outcome)


def _lost(job: Job, log: EventLog) -> list[Event]:
    """What is stored of the attempt that was under way."""
    return log.events[log.attempt_start() :] if log.attempt == job.attempt else []


def _salvaged(job: Job, events: list[Event]) -> Outcome:
    answer = "".join(event.text for event in events if isinstance(event, Delta))
    routed = next((event for event in events if isinstance(event, Routed)), None)
    usage = next((event for event in reversed(events) if isinstance(event, Usage)), None)
    if usage is None and routed is not None:
        usage = estimated_usage(job, answer)
    return Outcome(
        terminal=INTERRUPTED,
        answer=answer,
        tool_calls=tuple(event for event in events if isinstance(event, ToolCall)),
        model=routed.model if routed else None,
        provider=routed.provider if routed else None,
        usage=usage,
    )
