"""A fixed set of workers: each takes a job from the queue, streams its answer, and ends it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import aclosing, nullcontext, suppress
from functools import partial
from random import Random
from typing import TypeVar

import structlog
from structlog.contextvars import bind_contextvars

from gateway import retries
from gateway.engine.bounds import Timeouts
from gateway.engine.hub import Hub
from gateway.engine.observer import Observer
from gateway.engine.pace import Pace
from gateway.engine.queue import Queue, Ticket
from gateway.engine.recorder import Recorder
from gateway.engine.router import Router
from gateway.engine.run import INTERRUPTED, HandBack, Leg, Run, failed
from gateway.engine.sparing import Sparing
from gateway.engine.turns import Turns
from gateway.errors import ProviderError, StoreUnavailable
from gateway.events import Completed, Failed, Routed, Terminal, Usage
from gateway.jobs import Job, OnFailure
from gateway.stores import Store

log = structlog.get_logger(__name__)

Stored = TypeVar("Stored")

# Attempts of one job that may be lost after readers saw some of their answer.
MOST_FAILURES = 3
# A store that could not be asked is asked again after this, seconds.
_STORE_AGAIN_S = 1.0
# A process that stops waits so long for the store to take back what runs, seconds.
_HAND_BACK_S = 10.0


class Workers:
    """The workers of one process and the runs they have in hand."""

    # Known from the start on: to ask for it takes a system call, each time.
    _loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        count: int,
        *,
        queue: Queue,
        hub: Hub,
        store: Store,
        recorder: Recorder,
        router: Router,
        turns: Turns,
        timeouts: Timeouts,
        now: Callable[[], float],
        rng: Random,
        on_move: Callable[[Job], None],
        observer: Observer,
    ) -> None:
        self._count = count
        self._queue = queue
        self._hub = hub
        self._store = store
        self._recorder = recorder
        self._router = router
        self._turns = turns
        self.sparing = Sparing(lambda: asyncio.get_running_loop().time())
        self._timeouts = timeouts
        self._now = now
        self._rng = rng
        self._on_move = on_move
        self._observer = observer
        self._pace = Pace()
        self._tasks: list[asyncio.Task[None]] = []
        self._draining = False
        self.runs: dict[str, Run] = {}
        # Jobs a worker is claiming now: neither in the queue nor among the runs.
        self._claiming: dict[str, asyncio.Future[None]] = {}

    def start(self) -> None:
        """Let the workers wait for jobs."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._count)]

    async def stop(self) -> None:
        """Hand back what runs, and end the workers. Works unstarted and twice.

        What the store does not take in time is left as a process leaves it that is killed.
        """
        stops = [asyncio.create_task(self._stop(run, HandBack())) for run in self.runs.values()]
        if stops:
            _, late = await asyncio.wait(stops, timeout=_HAND_BACK_S)
            await _end_all(late)
        await _end_all(self._tasks)
        self._tasks = []
        for run in tuple(self.runs.values()):
            self._drop(run)

    async def drain(self) -> None:
        """Wait until the streams under way have ended; hand back at once what would wait."""
        self._draining = True
        waiting = (run for run in tuple(self.runs.values()) if not run.attended)
        await asyncio.gather(*(self._stop(run, HandBack()) for run in waiting))
        while self.runs:
            await next(iter(self.runs.values())).ended.wait()

    async def interrupt(self, job_id: str, terminal: Terminal) -> bool:
        """End a job that a worker has, and wait until it has ended; False if none has it."""
        if job_id in self._claiming:
            await asyncio.wait({self._claiming[job_id]})
        run = self.runs.get(job_id)
        if run is not None:
            await self._stop(run, terminal)
        return run is not None

    async def _stop(self, run: Run, reason: Terminal | HandBack) -> None:
        if run.interrupt(reason) and self._take_back(run):
            await self._settle(run)
        await run.ended.wait()

    def _take_back(self, run: Run) -> bool:
        """Take a run out of its wait between two tries; False if a worker has it."""
        if run.retry is not None:
            run.retry.cancel()
            run.retry = None
            return True
        return self._queue.remove(run.job.id)

    # -- a worker's day -----------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            ticket = await self._queue.get()
            # All that is logged until the next one is of this job.
            bind_contextvars(job_id=ticket.job_id)
            try:
                await self._take(ticket)
            except Exception:
                log.exception("job_crashed", job_id=ticket.job_id)
                await self._crash(ticket)
            finally:
                self._queue.release(ticket)

    async def _take(self, ticket: Ticket) -> None:
        run = self.runs.get(ticket.job_id) or await self._claim(ticket)
        while run is not None and await self._try(run):
            pass

    async def _crash(self, ticket: Ticket) -> None:
        run = self.runs.get(ticket.job_id)
        if run is None:
            return
        try:
            await self._end(run, Failed(code="INTERNAL", message="The gateway failed."))
        except Exception:
            # The job stays as it is stored; its worker goes on.
            log.exception("job_lost", job_id=ticket.job_id)
            self._drop(run)

    async def _until_stored(self, change: Callable[[], Awaitable[Stored]]) -> Stored:
        """Make a change in the store, however long that cannot be reached."""
        while True:
            try:
                return await change()
            except StoreUnavailable:
                log.warning("store_unavailable")
                await asyncio.sleep(_STORE_AGAIN_S)

    async def _claim(self, ticket: Ticket) -> Run | None:
        claiming = self._claiming[ticket.job_id] = self._loop.create_future()
        try:
            job = await self._until_stored(lambda: self._store.claim(ticket.job_id, self._now()))
            if job is None:
                return None
            now = self._loop.time()
            run = Run(
                job,
                self._hub.open(job.id),
                ticket,
                self._router.legs(job.request),
                began=now,
                latest=ticket.latest or now + self._timeouts.whole_s,
            )
            self.runs[job.id] = run
            self._on_move(job)
            self._observer.claimed(job)
        finally:
            del self._claiming[ticket.job_id]
            claiming.set_result(None)
        run.begin()
        self._recorder.mark(run.channel)
        return run

    # -- one try ------------------------------------------------------------------------------

    async def _try(self, run: Run) -> bool:
        """Ask one model once; True if the next one is to be asked at once."""
        try:
            if run.leg >= len(run.legs):
                raise ProviderError("No provider is configured for this model.")
            leg, last = run.legs[run.leg], run.leg + 1 == len(run.legs)
            with nullcontext() if run.interrupted() else self.sparing.guard(leg.model, last=last):
                if not await self._turn(run, leg):
                    return False
                terminal = await self._stream(run, leg)
        except HandBack:
            await self._settle(run)
        except ProviderError as error:
            return await self._recover(run, error)
        else:
            await self._end(run, terminal)
        return False

    async def _turn(self, run: Run, leg: Leg) -> bool:
        """Whether the provider may be asked now; if not, the run comes back when it may."""
        provider = leg.model.provider
        if run.interrupted() or run.turn == provider or await self._turns.take(provider):
            run.turn = None
            return True
        if self._loop.time() >= run.latest:
            run.time_out(whole=True)
            return True
        if self._draining:
            await self._hand_back(run)
            return False
        # No slot is held while it waits.
        run.retry = self._turns.later(provider, run.latest, partial(self._resume, run))
        return False

    async def _stream(self, run: Run, leg: Leg) -> Terminal:
        """Publish one answer as it comes; the terminal event that ends it.

        Raises:
            ProviderError: the provider failed, or was silent for too long.
            HandBack: the process stops.
        """
        task = asyncio.current_task(self._loop)
        if task is not None and not run.interrupted():
            first_s, silence_s = self._timeouts.first_token_s, self._timeouts.token_s
            now = self._loop.time()
            run.due = now + first_s
            run.attend(task, now, min(first_s, silence_s))
            self._pace.streams += 1
            try:
                return await self._publish(run, leg)
            except (asyncio.CancelledError, ProviderError):
                # Without a reason it is a failure, or the worker itself is being ended. With one,
                # a provider that fails as it is stopped was stopped all the same.
                if not run.interrupted():
                    raise
                task.uncancel()
            finally:
                self._pace.streams -= 1
                run.leave()
        if isinstance(run.reason, Terminal):
            return run.reason
        raise run.reason or AssertionError("a stream ends by its end, an error or a reason")

    async def _publish(self, run: Run, leg: Leg) -> Completed:
        time = self._loop.time
        silence_s = self._timeouts.token_s
        channel = run.channel
        request = run.ask()
        pulse = self._observer.asked(run.job, leg.model, request, time())
        async with aclosing(leg.provider.stream(request, leg.model.upstream)) as outputs:
            async for arrived in outputs:
                now = time()
                if not arrived:
                    # It is at work: more time, also before the first token.
                    run.due = max(run.due, now + silence_s)
                    continue
                if pulse is not None:
                    pulse(now, len(arrived))
                if run.first_token_at is not None:
                    run.due = now + silence_s
                for output in arrived:
                    if run.first_token_at is None and type(output) is not Usage:
                        self._first(run, leg)
                    if type(output) is Completed:
                        return output
                    run.note(output)  # type: ignore[arg-type]
                    channel.publish(output)
                self._recorder.mark(channel)
                await self._pace.rest()
        raise ProviderError("The answer broke off.", retryable=True)

    def _first(self, run: Run, leg: Leg) -> None:
        self.sparing.answered(leg.model)
        run.first_token_at = self._now()
        run.model, run.provider = leg.model.name, leg.provider.name
        run.due = self._loop.time() + self._timeouts.token_s
        run.channel.publish(Routed(model=leg.model.name, provider=leg.provider.name))
        self._observer.answered(run.job, leg.model)

    # -- after a failure ----------------------------------------------------------------------

    async def _recover(self, run: Run, error: ProviderError) -> bool:
        """Retry, go on to the next model, begin anew, or end; True to ask the next at once."""
        model = run.legs[run.leg].model if run.legs else None
        self._observer.failed(run.job, model, error, shown=run.shown)
        silent = run.reason is error
        run.reason = None
        if run.shown:
            await self._begin_anew(run, error)
            return False
        run.fail_try()
        run.tries += 1
        last = run.leg + 1 >= len(run.legs)
        if not silent and retries.may_retry(run.tries, error, last_model=last):
            await self._retry_later(run, error)
        elif last:
            await self._fail(run, error)
        else:
            run.leg += 1
            run.tries = 0
            return True
        return False

    async def _retry_later(self, run: Run, error: ProviderError) -> None:
        delay_s = retries.delay_s(run.tries, error, self._rng)
        if self._loop.time() + delay_s > run.latest:
            await self._fail(run, error)
        elif self._draining:
            await self._hand_back(run)
        else:
            # No slot is held while it waits.
            run.retry = self._loop.call_later(delay_s, self._resume, run)

    def _resume(self, run: Run, turn: str | None = None) -> None:
        run.retry = None
        run.turn = turn or run.turn
        self._queue.put_nowait(run.ticket)

    async def _begin_anew(self, run: Run, error: ProviderError) -> None:
        job = run.job
        if (
            job.on_failure is OnFailure.ERROR
            or not error.retryable
            or job.failures + 1 >= MOST_FAILURES
        ):
            await self._fail(run, error)
            return
        await self._until_stored(lambda: self._recorder.save(run.channel))
        lost = run.spent
        queued = await self._until_stored(
            lambda: self._store.requeue(job.id, spent=True, lost=lost)
        )
        if isinstance(run.reason, Terminal):
            # Cancelled in the meantime: the new attempt never begins.
            await self._end(run, run.reason)
        else:
            self._drop(run)
            if queued is not None:
                self._on_move(queued)
            # A new beginning gets no new time.
            self._queue.put_nowait(run.ticket._replace(latest=run.latest))

    async def _settle(self, run: Run) -> None:
        """Do to a run what it was interrupted for."""
        if isinstance(run.reason, Terminal):
            await self._end(run, run.reason)
        else:
            await self._hand_back(run)

    async def _hand_back(self, run: Run) -> None:
        """Let another process go on with the job, or end it if it may not begin anew."""
        may_restart = not run.shown or run.job.on_failure is OnFailure.RESTART
        if not (self._store.durable and may_restart):
            await self._end(run, INTERRUPTED)
            return
        # Where the store cannot be reached the job stays processing, and is rescued at boot.
        with suppress(StoreUnavailable):
            await self._recorder.save(run.channel)
            await self._store.requeue(run.job.id, spent=False, lost=run.spent)
        self._drop(run)

    async def _fail(self, run: Run, error: ProviderError) -> None:
        await self._end(run, failed(error))

    async def _end(self, run: Run, terminal: Terminal) -> None:
        await self._recorder.end(run.job, run.channel, run.outcome(terminal))
        self._drop(run)
        took_s = self._loop.time() - run.began
        if type(terminal) is Completed:
            self._queue.observe(took_s)

    def _drop(self, run: Run) -> None:
        del self.runs[run.job.id]
        run.ended.set()


async def _end_all(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
