"""What happened, written down: output a moment behind, the end before anybody sees it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextvars import Context

import msgspec
import structlog

from gateway import jobs
from gateway.catalog import Catalog
from gateway.engine.hub import Channel, Hub
from gateway.errors import StoreUnavailable
from gateway.events import Event, Usage
from gateway.jobs import Job, Outcome
from gateway.spending import priced
from gateway.stores import Batch, Store

log = structlog.get_logger(__name__)
_json = msgspec.json.Encoder().encode

# Output waits this long to be stored together with what else comes, seconds.
_BEHIND_S = 0.05
# A store that could not take the end of a job is asked again after this, seconds.
_AGAIN_S = 1.0

# Builds the body of a callback from the ended job.
BodyForm = Callable[[Job], bytes]
# Keeps what a surface needs of the ended job. Called before the end is stored, and again where
# that fails: twice must be as once.
Ending = Callable[[Job], Awaitable[None]]


class Recorder:
    """Writes the logs of live jobs to the store.

    One append is under way at a time, and the end of a job waits for it: a log is stored
    without gaps and in order.

    Attributes:
        forms: how each surface writes the body of its callbacks, by the surface's name.
        endings: what a surface keeps of a job of its own that ends, by the surface's name.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        *,
        now: Callable[[], float],
        on_end: Callable[[Job], None],
        catalog: Callable[[], Catalog],
    ) -> None:
        self.forms: dict[str, BodyForm] = {}
        self.endings: dict[str, Ending] = {}
        self._store = store
        self._hub = hub
        self._now = now
        self._on_end = on_end
        self._catalog = catalog
        self._marked: dict[str, Channel] = {}
        # What is stored for many jobs must not be logged as one's.
        self._nobodys = Context()
        self._timer: asyncio.TimerHandle | None = None
        self._append: asyncio.Task[None] | None = None
        # What that appends: ids of jobs.
        self._appended: Collection[str] = ()

    def mark(self, channel: Channel) -> None:
        """Something was published: store it soon."""
        self._marked[channel.job_id] = channel
        if self._timer is None and self._append is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_BEHIND_S, self._begin, context=self._nobodys)

    def _begin(self) -> None:
        self._timer = None
        if self._marked:
            self._append = asyncio.create_task(self._write_behind())

    async def _write_behind(self) -> None:
        marked, self._marked = self._marked, {}
        self._appended = marked.keys()
        ends = [(channel, len(channel.log)) for channel in marked.values()]
        try:
            await self._store.append([_unsaved(channel) for channel, _ in ends])
            for channel, end in ends:
                channel.saved = end
        except StoreUnavailable:
            log.warning("append_failed", jobs=len(marked))
            self._marked = marked | self._marked
        finally:
            self._append, self._appended = None, ()
            for channel in self._marked.values():
                self.mark(channel)
                break

    async def save(self, channel: Channel) -> None:
        """Store all that was published on `channel` so far.

        Raises:
            StoreUnavailable: it is kept, and stored with what comes next.
        """
        await self._quiet(channel)
        if channel.saved < len(channel.log):
            end = len(channel.log)
            await self._store.append([_unsaved(channel)])
            channel.saved = end

    async def end(self, job: Job, channel: Channel, outcome: Outcome) -> Job | None:
        """Store the end of a job, then show it: the terminal event is durable when it is read.

        None if the job was over already. Tries until the store takes it. Not to be cancelled:
        run it in a task of its own where the caller may be.
        """
        await self._quiet(channel)
        outcome = priced(job, outcome, self._catalog())
        if not channel.log.attempt:
            channel.begin(max(1, job.attempt))
        if outcome.usage is not None and outcome.usage != _told(channel):
            # Its readers know what the provider told of its last try, and not more.
            channel.publish(outcome.usage)
        ended = await self._finish(job, channel, outcome)
        if ended is not None:
            channel.ended = ended
            channel.publish(outcome.terminal)
        self._hub.retire(job.id)
        if ended is not None:
            self._on_end(ended)
        return ended

    async def _finish(self, job: Job, channel: Channel, outcome: Outcome) -> Job | None:
        now = self._now()
        rest = _unsaved(channel, outcome.terminal)
        body = None
        if job.callback is not None:
            body = self._body(job.callback.form, jobs.finish(job, outcome, now))
        ending = self.endings.get(job.door)
        while True:
            try:
                if ending is not None:
                    await ending(jobs.finish(job, outcome, now))
                return await self._store.finish(job.id, outcome, rest, now, body)
            except StoreUnavailable:
                log.warning("finish_failed", job_id=job.id)
                await asyncio.sleep(_AGAIN_S)

    def _body(self, form: str, job: Job) -> bytes:
        """What the callback of an ended job is to carry."""
        try:
            return self.forms[form](job)
        except Exception:
            # The job ends all the same, and who waits for the callback must not wait for ever.
            log.exception("callback_unwritten", job_id=job.id, form=form)
            error = {"code": "INTERNAL", "message": "The gateway could not write this callback."}
            return _json({"request_id": job.id, "status": job.state, "error": error})

    async def _quiet(self, channel: Channel) -> None:
        """Wait until no append of `channel` is under way, and keep it out of the next one."""
        while self._append is not None and channel.job_id in self._appended:
            await asyncio.wait({self._append})
        self._marked.pop(channel.job_id, None)


def _told(channel: Channel) -> Usage | None:
    """The tokens that readers know of."""
    events = reversed(channel.log.events)
    return next((event for event in events if isinstance(event, Usage)), None)


def _unsaved(channel: Channel, *more: Event) -> Batch:
    log = channel.log
    first = log.cursor(channel.saved + 1) if channel.saved < len(log) else log.next
    return Batch(channel.job_id, first, (*log.events[channel.saved :], *more))
