"""What is written down, when, and that nobody sees an end before it is."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.catalog import Catalog
from gateway.engine.core import read
from gateway.engine.hub import Channel, Hub
from gateway.engine.recorder import Recorder
from gateway.events import Cancelled, Completed, Delta, Event, Started, Usage
from gateway.jobs import Callback, Job, Outcome, Owner
from gateway.messages import Request
from gateway.stores import Batch
from gateway.webhooks import Delivery
from tests.engine.slow_store import SlowStore
from tests.engine.virtual_clock import jumping

JOB = Job(
    id="20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11",
    owner=Owner(tenant="acme"),
    door="ask",
    request=Request(messages=(), model="a"),
    created_at=0.0,
    expires_at=900.0,
    callback=Callback(url="https://a.example", form="ask"),
)
DONE = Outcome(terminal=Completed(), answer="ab")


class CountingStore(SlowStore):
    """Remembers how its logs were appended to."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.01)
        self.appends: list[list[tuple[str, int]]] = []

    async def append(self, batches: Sequence[Batch]) -> None:
        self.appends.append([(str(batch.first), len(batch.events)) for batch in batches])
        await super().append(batches)


class Desk:
    """A recorder over a store, with jobs that run."""

    def __init__(self) -> None:
        self.store = CountingStore()
        self.hub = Hub()
        self.ended: list[Job] = []
        self.recorder = Recorder(
            self.store, self.hub, now=lambda: 7.0, on_end=self.ended.append, catalog=Catalog
        )
        self.recorder.forms |= {
            "ask": lambda job: f"{job.state} {job.finished_at}".encode(),
            "broken": lambda job: "\ud800".encode(),
        }

    async def running(self, job: Job = JOB) -> Channel:
        await self.store.insert(job, None)
        claimed = await self.store.claim(job.id, 1.0)
        assert claimed is not None
        self.job = claimed
        channel = self.hub.open(job.id)
        channel.begin(1)
        self.say(channel, Started())
        return channel

    def say(self, channel: Channel, event: Event) -> None:
        channel.publish(event)
        self.recorder.mark(channel)

    async def stored(self, job: Job = JOB) -> list[Event]:
        log = await self.store.log(job.id)
        assert log is not None
        return log.events


@jumping
async def test_output_is_stored_in_batches() -> None:
    """What comes within 50 ms is one batch; the next begins where it ended."""
    desk = Desk()
    channel = await desk.running()
    for _ in range(10):
        await asyncio.sleep(0.02)
        desk.say(channel, Delta(text="a"))
    await asyncio.sleep(1)
    assert await desk.stored() == channel.log.events
    sizes = [size for ((_, size),) in desk.store.appends]
    assert (sum(sizes), max(sizes) <= 4, len(sizes) >= 3) == (11, True, True)
    assert channel.saved == 11


@jumping
async def test_batches_of_many_jobs_go_together() -> None:
    """One append for all that was said meanwhile."""
    desk = Desk()
    others = [msgspec.structs.replace(JOB, id=f"job-{number}") for number in range(5)]
    channels = [await desk.running(job) for job in others]
    await asyncio.sleep(1)
    desk.store.appends.clear()
    for channel in channels:
        desk.say(channel, Delta(text="a"))
    await asyncio.sleep(1)
    assert desk.store.appends == [[("1-2", 1)] * 5]
    assert [await desk.stored(job) for job in others] == [[Started(), Delta(text="a")]] * 5


@jumping
async def test_an_end_is_durable_before_it_is_seen() -> None:
    """A reader gets the terminal event only when the store has all of it, whatever was pending."""
    desk = Desk()
    channel = await desk.running()
    reader = asyncio.create_task(last_of(channel))
    desk.say(channel, Delta(text="a"))
    await asyncio.sleep(0.055)
    desk.say(channel, Delta(text="b"))
    end = asyncio.create_task(desk.recorder.end(desk.job, channel, DONE))
    while not end.done():
        log = await desk.store.log(JOB.id)
        assert log is not None
        assert channel.log.closed <= log.closed
        await asyncio.sleep(0.001)
    ended = await end
    assert await reader == Completed()
    assert ended is not None
    assert desk.ended == [ended]
    assert await desk.stored() == [Started(), Delta(text="a"), Delta(text="b"), Completed()]
    assert len(desk.hub) == 0


async def last_of(channel: Channel) -> Event:
    return [event async for _, event in read(channel)][-1]


@jumping
async def test_the_callback_carries_the_end() -> None:
    """Its body is written from the ended job, and stored in the same step."""
    desk = Desk()
    delivery = Delivery(
        id="msg_1", job_id=JOB.id, tenant="acme", url="x", created_at=0.0, deadline=9.0
    )
    await desk.store.insert(JOB, delivery)
    stopped = Outcome(terminal=Cancelled())
    await desk.recorder.end(JOB, desk.hub.open(JOB.id), stopped)
    assert [each.body for each in await desk.store.due(7.0, 9)] == [b"cancelled 7.0"]
    assert await desk.stored() == [Cancelled()]


@jumping
@pytest.mark.parametrize("form", ["broken", "of another version"])
async def test_a_job_ends_whose_callback_cannot_be_written(form: str) -> None:
    """The callback says so; readers have the answer all the same."""
    desk = Desk()
    job = msgspec.structs.replace(JOB, callback=Callback(url="https://a.example", form=form))
    delivery = Delivery(
        id="msg_1", job_id=JOB.id, tenant="acme", url="x", created_at=0.0, deadline=9.0
    )
    await desk.store.insert(job, delivery)
    running = await desk.store.claim(job.id, 1.0)
    assert running is not None
    with capture_logs() as logs:
        await desk.recorder.end(running, desk.hub.open(job.id), DONE)
    error = {"code": "INTERNAL", "message": "The gateway could not write this callback."}
    told = {"request_id": job.id, "status": "completed", "error": error}
    assert [each.body for each in await desk.store.due(7.0, 9)] == [msgspec.json.encode(told)]
    assert (await desk.stored(), [each.state for each in desk.ended]) == (
        [Completed()],
        ["completed"],
    )
    assert [(each["event"], each["form"]) for each in logs] == [("callback_unwritten", form)]


@jumping
async def test_what_a_surface_keeps_is_kept_before_the_end_is_seen() -> None:
    """Also where the store needs a second try: then it is told again."""
    desk = Desk()
    channel = await desk.running()
    told: list[tuple[str, bool]] = []

    async def keep(job: Job) -> None:
        told.append((job.state, channel.log.closed))

    desk.recorder.endings["ask"] = keep
    desk.store.down = True
    end = asyncio.create_task(desk.recorder.end(desk.job, channel, DONE))
    await asyncio.sleep(0.5)
    desk.store.down = False
    await end
    assert told == [("completed", False), ("completed", False)]


@jumping
async def test_an_estimate_is_part_of_the_log() -> None:
    """A provider's own figure was an event already; an estimate becomes one before the end."""
    desk = Desk()
    channel = await desk.running()
    guess = Usage(prompt_tokens=1, completion_tokens=1, estimated=True)
    await desk.recorder.end(desk.job, channel, msgspec.structs.replace(DONE, usage=guess))
    assert await desk.stored() == [Started(), guess, Completed()] == channel.log.events


@jumping
async def test_a_second_end_changes_nothing() -> None:
    """It is told so, and nobody else is."""
    desk = Desk()
    channel = await desk.running()
    await desk.recorder.end(desk.job, channel, DONE)
    twin = Channel(JOB.id, desk.hub)
    assert await desk.recorder.end(desk.job, twin, Outcome(terminal=Cancelled())) is None
    assert (len(desk.ended), len(twin.log)) == (1, 0)


@jumping
async def test_what_could_not_be_stored_is_stored_later() -> None:
    """Without a gap and in order, the end among it, as soon as the store is back."""
    desk = Desk()
    channel = await desk.running()
    desk.store.down = True
    for _ in range(5):
        desk.say(channel, Delta(text="a"))
        await asyncio.sleep(0.1)
    end = asyncio.create_task(desk.recorder.end(desk.job, channel, DONE))
    await asyncio.sleep(5)
    was_closed = channel.log.closed
    desk.store.down = False
    await end
    assert (was_closed, await desk.stored()) == (False, channel.log.events)
    assert channel.log.events == [Started(), *[Delta(text="a")] * 5, Completed()]


@jumping
async def test_what_could_not_be_stored_waits_for_no_more_output() -> None:
    """A job that falls silent has all it said in the store as soon as that is back."""
    desk = Desk()
    channel = await desk.running()
    desk.store.down = True
    desk.say(channel, Delta(text="a"))
    await asyncio.sleep(1)
    desk.store.down = False
    await asyncio.sleep(1)
    assert await desk.stored() == [Started(), Delta(text="a")]


@pytest.mark.parametrize("when_s", [0.055, 0.065])
@jumping
async def test_what_comes_during_an_append_waits_for_no_more_output(when_s: float) -> None:
    """Before the store has the batch, or before that is known: it is the next batch."""
    desk = Desk()
    channel = await desk.running()
    await asyncio.sleep(when_s)
    desk.say(channel, Delta(text="a"))
    await asyncio.sleep(1)
    assert await desk.stored() == [Started(), Delta(text="a")]


@jumping
async def test_what_comes_while_a_log_is_saved_is_stored_too() -> None:
    """What was saved is what there was when it began."""
    desk = Desk()
    channel = await desk.running()
    saving = asyncio.create_task(desk.recorder.save(channel))
    await asyncio.sleep(0.005)
    desk.say(channel, Delta(text="a"))
    await saving
    await asyncio.sleep(1)
    assert await desk.stored() == [Started(), Delta(text="a")]


@jumping
async def test_saving_waits_for_an_append_under_way() -> None:
    """Afterwards the store has everything, each event once."""
    desk = Desk()
    channel = await desk.running()
    await asyncio.sleep(0.055)
    desk.say(channel, Delta(text="a"))
    await desk.recorder.save(channel)
    assert await desk.stored() == [Started(), Delta(text="a")]
    await asyncio.sleep(1)
    assert await desk.stored() == [Started(), Delta(text="a")]
