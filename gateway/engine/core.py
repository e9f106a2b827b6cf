"""The engine as the surfaces see it: submit, look, read, cancel."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, nullcontext
from random import Random
from typing import Any, TypeVar

import structlog

from gateway import jobs, webhooks
from gateway.catalog import Catalog
from gateway.engine.ask import Ask, Quota, repeat
from gateway.engine.auth import Auth, Principal
from gateway.engine.bounds import Bounds
from gateway.engine.budgets import Budgets
from gateway.engine.grace import Grace
from gateway.engine.hub import Channel, Framer, Hub, View, over, read
from gateway.engine.limits import Limits
from gateway.engine.observer import Observer
from gateway.engine.queue import Queue
from gateway.engine.recorder import Recorder
from gateway.engine.records import Records
from gateway.engine.rescue import rescue
from gateway.engine.retention import JobRetention
from gateway.engine.roster import Roster
from gateway.engine.router import Router
from gateway.engine.run import INTERRUPTED
from gateway.engine.turns import Turns
from gateway.engine.waiting import Waiting
from gateway.engine.worker import Workers
from gateway.errors import Draining, Gone, JobNotFound
from gateway.events import Cancelled, Terminal
from gateway.jobs import Job, OnDisconnect, Outcome, State, Status
from gateway.log import EventLog
from gateway.providers import Provider
from gateway.stores import Store
from gateway.tenants import Tenant

# All that a surface needs of the engine.
__all__ = [
    "Ask", "Channel", "Core", "Framer", "Principal", "Quota", "Status", "View", "over", "read",
]  # fmt: skip

log = structlog.get_logger(__name__)
T = TypeVar("T")

# How often waiting jobs are looked at for their time-outs, seconds.
_SWEEP_S = 0.5
# Who makes a job and reads it at once has so long to begin, however short the grace. Seconds.
_FIRST_READER_S = 1.0


class Core:
    """One queue, one set of workers, one hub, over one store.

    Attributes:
        forms: how each surface writes the body of its callbacks, by the surface's name; the
            surfaces enter themselves before the start.
        budgets: what each app has spent.
        records: all jobs, those that are over included.
        sparing: which models fail, and which are therefore not asked.
        endings: what a surface keeps of a job of its own that ends, by the surface's name.
        observer: is told what happens here, and at the doors.
    """

    def __init__(
        self,
        *,
        store: Store,
        providers: dict[str, Provider],
        catalog: Catalog,
        auth: Auth,
        limits: Limits,
        bounds: Bounds,
        now: Callable[[], float],
        new_uuid: Callable[[], str],
        rng: Random,
        on_callback: Callable[[], None],
        observer: Observer,
    ) -> None:
        """Put the engine together; nothing runs before `start`.

        Args:
            on_callback: called when a callback has become due.
        """
        self.observer = observer
        self.auth = auth
        self.catalog = catalog
        self.limits = limits
        self.budgets = Budgets(store, now)
        self.draining = False
        self._store = store
        self._bounds = bounds
        self._now = now
        self._new_uuid = new_uuid
        self._on_callback = on_callback
        self._queue = Queue(capacity=bounds.queue_max_size, workers=bounds.workers)
        self._hub = Hub(self._unread)
        self._recorder = Recorder(
            store, self._hub, now=now, on_end=self._ended, catalog=lambda: self.catalog
        )
        self.forms = self._recorder.forms
        self.endings = self._recorder.endings
        self._workers = Workers(
            bounds.workers,
            queue=self._queue,
            hub=self._hub,
            store=store,
            recorder=self._recorder,
            router=Router(lambda: self.catalog, providers),
            turns=Turns(bounds.requests_per_minute),
            timeouts=bounds.timeouts,
            now=now,
            rng=rng,
            on_move=self._moved,
            observer=self.observer,
        )
        self._jobs = Roster()
        self.records = Records(store, self._jobs, self.cancel)
        self.sparing = self._workers.sparing
        self._waiting = Waiting(self._queue, auth.tenant, bounds)
        self._stops: dict[str, asyncio.Task[None]] = {}
        self._grace = Grace(bounds, self._unwanted)
        self._retention = JobRetention(store, bounds, now)
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Go on with what the store has unfinished, and begin to run jobs. It must be started."""
        self._waiting.start()
        await self.budgets.start()
        await rescue(self._store, self._hub, self._recorder, self._await_worker, self._now())
        self._workers.start()
        self._spawn(self._sweep())
        self._spawn(self._retention.run())

    async def drain(self) -> None:
        """Take nothing new, and give what runs `drain_timeout` to end.

        A durable store keeps what waits for the next process; otherwise it may still run.
        """
        self.draining = True
        try:
            async with asyncio.timeout(self._bounds.drain_timeout):
                if self._store.durable:
                    self._queue.pause()
                    await self._workers.drain()
                else:
                    await self._jobs.emptied()
        except TimeoutError:
            log.warning("drain_timed_out", running=len(self._workers.runs))

    async def stop(self) -> None:
        """End or hand back what is left, and drop all readers. Works unstarted and twice."""
        self.draining = True
        self._queue.pause()
        await self._workers.stop()
        if not self._store.durable:
            for job in tuple(self._jobs.values()):
                await self._end(job, INTERRUPTED)
        self._hub.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def reload(self, catalog: Catalog, most_running: Mapping[str, int | None]) -> None:
        """Go by this catalog from now on, and by what each app may have running at a time."""
        self.catalog = catalog
        for app, most in most_running.items():
            self._queue.recap(app, most)

    # -- submitting ---------------------------------------------------------------------------

    async def submit(self, principal: Principal, ask: Ask) -> Job:
        """Accept a request: durable, and in the queue, when this returns.

        Given an idempotency key that is held already, returns the job that holds it.
        Cancelled, either nothing happened or the job runs.

        Raises:
            Draining, QueueFull, RateLimited: not now.
            OverBudget: the tenant has spent all it may.
            Forbidden: the tenant may not use the model.
            UnknownModel: nobody serves it.
            Conflict: the idempotency key belongs to another request.
        """
        if self.draining:
            raise Draining
        now = self._now()
        job = ask.job(
            jobs.new_job_id(now, self._new_uuid),
            principal,
            self.catalog,
            now=now,
            expires_at=now + self._bounds.queue_timeout,
        )
        key = job.idempotency_key
        if key is not None and (earlier := await self._store.find(key)) is not None:
            return repeat(job, earlier)
        self._queue.reserve()
        admitting = self._admit(job, principal.tenant, ask.quota)
        # A store that is not durable never pauses: a caller who leaves cannot cut it in two.
        return await (self.through(admitting) if self._store.durable else admitting)

    async def through(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` to its end, also where its caller leaves meanwhile."""
        return await asyncio.shield(self._spawn(work))

    async def _admit(self, job: Job, tenant: Tenant, quota: Quota | None) -> Job:
        """Let a job into its reserved place. What is held for it is held until it is one."""
        rates = quota.rates if quota else ()
        if tenant.rate_limit is not None:
            rates = ((tenant.rate_limit, "app", tenant.name), *rates)
        try:
            with self._jobs.expecting(job.owner, quota.active) if quota else nullcontext():
                self.budgets.reserve(job, tenant, self.catalog)
                self.limits.spend_each(rates)
                owed = webhooks.owed(job, self._bounds.callback_deadline)
                held = await self._store.insert(job, owed)
                if held.id == job.id:
                    self._await_worker(job)
                    self.observer.submitted(job)
            return held
        finally:
            self._queue.unreserve()
            if job.id not in self._jobs:
                self.budgets.release(job.id)

    def _await_worker(self, job: Job, past: EventLog | None = None, waited_s: float = 0.0) -> None:
        self._jobs.enter(job)
        self._hub.open(job.id, past)
        self._grace.begin(job, at_least_s=_FIRST_READER_S)
        self._waiting.add(job, waited_s)

    # -- looking ------------------------------------------------------------------------------

    async def job(self, job_id: str) -> Job | None:
        """The job as it stands, whoever asks; None for every other text."""
        if not jobs.is_job_id(job_id):
            return None
        return self._jobs.get(job_id) or await self._store.get(job_id)

    async def own(self, principal: Principal, job_id: str) -> Job:
        """A job of the principal's.

        Raises:
            JobNotFound: unknown, or somebody else's.
            Gone: it was the principal's, and its retention is over.
        """
        job = await self.job(job_id)
        if job is None or not principal.may_read(job.id, job.owner):
            former = await self._store.former(job_id) if jobs.is_job_id(job_id) else None
            if former is not None and principal.may_read(job_id, former):
                raise Gone
            raise JobNotFound
        return job

    def status(self, job: Job) -> Status:
        """Where a job stands in the queue."""
        position = self._queue.position(job.id) if job.state is State.QUEUED else None
        if position is None:
            return Status(job=job)
        return Status(job=job, position=position, wait_s=self._queue.estimate_s(position))

    def ended(self, job_id: str) -> Job:
        """The job of a log that somebody reads and that is closed, as it ended."""
        channel = self._hub.get(job_id)
        if channel is None or channel.ended is None:
            raise AssertionError("a closed log is of a job that has ended")
        return channel.ended

    @property
    def accepting(self) -> bool:
        """A new request would find a place."""
        return not self.draining and self._queue.has_room()

    @property
    def queue_size(self) -> int:
        return self._queue.qsize()

    @property
    def active_workers(self) -> int:
        return self._queue.running

    @property
    def readers(self) -> int:
        return self._hub.readers

    # -- reading ------------------------------------------------------------------------------

    @asynccontextmanager
    async def channel(self, job: Job) -> AsyncIterator[Channel]:
        """The log of a job, to subscribe to inside the block.

        Raises:
            JobNotFound: it has been forgotten meanwhile.
        """
        channel = await self.join(job)
        try:
            yield channel
        finally:
            self.left(channel)

    async def join(self, job: Job) -> Channel:
        """The log of a job, to subscribe to before anything else is awaited, or to leave.

        Raises:
            JobNotFound: it has been forgotten meanwhile.
        """
        channel = self._hub.get(job.id)
        if channel is None:
            stored, ended = await self._store.log(job.id), await self._store.get(job.id)
            if stored is None or ended is None:
                raise JobNotFound
            channel = self._hub.join(job.id, stored)
            channel.ended = ended if stored.closed else None
        self._waiting.connected(job)
        return channel

    def left(self, channel: Channel) -> None:
        """Whoever joined it did not subscribe."""
        self._hub.left(channel)

    def _unread(self, channel: Channel) -> None:
        """The last reader of a live job left: some jobs then end."""
        job = self._jobs.get(channel.job_id)
        if job is not None:
            self._grace.begin(job)

    def seen(self, job: Job) -> None:
        """Somebody asked for the job without reading its log: it is wanted."""
        if job.on_disconnect is OnDisconnect.ABANDON and job.id in self._jobs:
            self._grace.begin(job)

    def _unwanted(self, job: Job) -> None:
        channel = self._hub.get(job.id)
        if channel is not None and not channel.readers:
            self._spawn(self._stop(job.id, Cancelled(reason="abandoned by its readers")))

    # -- ending -------------------------------------------------------------------------------

    async def cancel(self, job: Job) -> Job:
        """Stop a job, waiting or running; as it then stands. One that is over stays as it is.

        Cancelled, the job still ends.
        """
        if not job.state.final:
            stop = self._stops.get(job.id)
            if stop is None:
                stop = self._stops[job.id] = self._spawn(self._stop(job.id, Cancelled()))
                stop.add_done_callback(lambda _: self._stops.pop(job.id))
            await asyncio.shield(stop)
        return await self.job(job.id) or job

    async def _stop(self, job_id: str, terminal: Terminal) -> None:
        if await self._workers.interrupt(job_id, terminal):
            return
        job = self._jobs.get(job_id)
        if job is not None and not self._waiting.remove(job_id):
            job = await self.records.handed_back(job)
        if job is not None:
            await self._end(job, terminal)

    async def _end(self, job: Job, terminal: Terminal) -> None:
        """End a job that no worker has."""
        await self._recorder.end(
            job, self._hub.open(job.id), Outcome(terminal=terminal, usage=job.lost)
        )

    def _moved(self, job: Job) -> None:
        self._jobs.update(job)
        self._waiting.claimed(job.id)

    def _ended(self, job: Job) -> None:
        self._jobs.leave(job)
        self._waiting.remove(job.id)
        self._grace.end(job.id)
        if job.callback is not None:
            self._on_callback()
        self.budgets.add(job, self.auth.tenant(job.owner.tenant))
        self.observer.ended(job)

    # -- time passing -------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            while (due := self._waiting.due()) is not None:
                job_id, expired = due
                await self._stop(job_id, expired)
                self._waiting.remove(job_id)
