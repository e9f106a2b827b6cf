"""Readers of live logs on a clock that jumps: everything once, in order, soon."""

import asyncio
from contextlib import aclosing
from random import Random

import pytest

from gateway.engine.hub import Channel, Hub, over, read
from gateway.errors import CursorConflict
from gateway.events import Completed, Delta, Event, Failed, Restarted, Started, ToolCall, Usage
from gateway.log import START, Cursor, EventLog
from tests.engine.virtual_clock import jumping, settle

JOB = "job"


class Writer:
    """Publishes a whole life of a job at random paces, and knows what it published when."""

    def __init__(self, rng: Random, hub: Hub) -> None:
        self.rng = rng
        self.hub = hub
        self.channel = hub.open(JOB)
        self.times: dict[Cursor, float] = {}

    def publish(self, event: Event) -> None:
        self.channel.publish(event)
        self.times[self.channel.log.end] = asyncio.get_running_loop().time()

    async def write(self, attempts: int) -> None:
        for attempt in range(1, attempts + 1):
            self.channel.begin(attempt)
            self.publish(Started() if attempt == 1 else Restarted(reason="lost"))
            for number in range(self.rng.randrange(1, 40)):
                await asyncio.sleep(self.rng.choice([0, 0, 0.001, 0.02, 0.5]))
                self.publish(Delta(text=f"{attempt}-{number} "))
        self.publish(Completed())
        self.hub.retire(JOB)


class Reader:
    """Reads at its own pace, and comes back where it was whenever it leaves."""

    def __init__(self, rng: Random, channel: Channel) -> None:
        self.rng = rng
        self.channel = channel
        self.pace_s = rng.choice([0.0, 0.0, 0.003, 0.1, 2.0])
        self.patience = rng.choice([1, 5, 1000])
        self.cursor = START
        self.got: list[tuple[Cursor, Event]] = []
        self.delays: list[float] = []

    async def read(self, writer: Writer) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.rng.uniform(0, 8))
        if self.rng.random() < 0.3 and self.channel.log.events:
            self.cursor = self.channel.log.cursor(self.rng.randrange(len(self.channel.log)))
        self.began = self.cursor
        while not self.got or not isinstance(self.got[-1][1], Completed):
            joined_at, patience = loop.time(), self.patience
            async with aclosing(read(self.channel, self.cursor)) as events:
                async for self.cursor, event in events:
                    self.got.append((self.cursor, event))
                    self.delays.append(loop.time() - max(joined_at, writer.times[self.cursor]))
                    patience -= 1
                    if not patience:
                        break
                    if self.pace_s:
                        await asyncio.sleep(self.pace_s)
            await asyncio.sleep(self.rng.choice([0, 0.01, 1.0]))


@pytest.mark.parametrize("seed", range(40))
@jumping
async def test_every_reader_sees_every_event_once_and_in_order(seed: int) -> None:
    """Random joins, resumes, paces and leavings over several attempts; each reader gets exactly
    what follows its cursor, and one that keeps up gets it before any time passes."""
    rng = Random(seed)
    hub = Hub()
    writer = Writer(rng, hub)
    readers = [Reader(rng, writer.channel) for _ in range(8)]
    await asyncio.gather(writer.write(rng.randrange(1, 4)), *(r.read(writer) for r in readers))
    log = writer.channel.log
    for reader in readers:
        start = log.position(reader.began)
        assert reader.got == [
            (log.cursor(position + 1), log.events[position]) for position in range(start, len(log))
        ]
        if not reader.pace_s:
            assert max(reader.delays) == 0.0
    assert len(hub) == hub.readers == 0


@pytest.mark.parametrize("seed", range(40))
@jumping
async def test_an_exact_reader_never_sees_two_texts(seed: int) -> None:
    """Whoever cannot be told that a text begins anew reads one text, or is dropped."""
    rng = Random(seed)
    hub = Hub()
    writer = Writer(rng, hub)

    async def follow() -> None:
        await asyncio.sleep(rng.uniform(0, 8))
        got = []
        log, grown = writer.channel.log, asyncio.Event()
        reader = writer.channel.subscribe(START, grown.set, exact=True)
        while not reader.finished:
            grown.clear()
            if reader.position < reader.end:
                reader.position += 1
                got.append((log.cursor(reader.position), log.events[reader.position - 1]))
                await asyncio.sleep(rng.choice([0, 0, 0.01, 0.3]))
            else:
                await grown.wait()
        writer.channel.leave(reader)
        texts = {cursor.attempt for cursor, event in got if isinstance(event, Delta)}
        assert len(texts) <= 1
        if isinstance(got[-1][1], Completed):
            whole = log.events[log.attempt_start() :]
            assert [event for _, event in got if isinstance(event, Delta)] == [
                event for event in whole if isinstance(event, Delta)
            ]
        else:
            assert log.attempt not in texts

    await asyncio.gather(writer.write(rng.randrange(1, 4)), *(follow() for _ in range(6)))
    assert len(hub) == 0


@jumping
async def test_a_reader_is_woken_at_once() -> None:
    """No time passes between an event and its readers."""
    hub = Hub()
    channel = hub.open(JOB)
    channel.begin(1)
    woken: list[float] = []
    loop = asyncio.get_running_loop()
    channel.subscribe(START, lambda: woken.append(loop.time()))
    channel.publish(Started())
    channel.publish(Delta(text="a"))
    await settle()
    assert woken == [loop.time()]


@jumping
async def test_a_publish_while_readers_are_woken_wakes_them_again() -> None:
    """What comes in the middle of a wake-up is not left for the next event."""
    hub = Hub()
    channel = hub.open(JOB)
    channel.begin(1)
    woken: list[int] = []

    def wake() -> None:
        woken.append(len(channel.log))
        if len(channel.log) < 3:
            channel.publish(Delta(text="more"))

    channel.subscribe(START, wake)
    channel.publish(Started())
    await settle()
    assert woken == [1, 2, 3]


# -- joining and leaving --------------------------------------------------------------------------


def two_attempts() -> EventLog:
    """A log whose first text was voided by a second."""
    log = EventLog()
    for attempt, events in ((1, [Started(), Delta(text="a")]), (2, [Restarted(reason="")])):
        log.begin(attempt)
        for event in events:
            log.append(event)
    return log


@pytest.mark.parametrize(
    ("cursor", "plain", "exact"),
    [
        (START, 0, 2),
        (Cursor(1, 1), 1, None),
        (Cursor(1, 2), 2, None),
        # More than there was: of an attempt that is void, that makes no difference.
        (Cursor(1, 3), 2, None),
        (Cursor(2, 1), 3, 3),
        (Cursor(2, 2), None, None),
        (Cursor(3, 1), None, None),
    ],
)
def test_where_a_reader_joins(cursor: Cursor, plain: int | None, exact: int | None) -> None:
    """After its cursor; one with an exact text only where its attempt is still the newest."""
    channel = Hub().join(JOB, two_attempts())
    for is_exact, position in ((False, plain), (True, exact)):
        if position is None:
            with pytest.raises(CursorConflict):
                channel.subscribe(cursor, print, exact=is_exact)
        else:
            assert channel.subscribe(cursor, print, exact=is_exact).position == position
    assert channel.readers == (plain is not None) + (exact is not None)


@pytest.mark.parametrize("cost", [[], [Usage(prompt_tokens=1, completion_tokens=1)]])
@pytest.mark.parametrize(
    ("cursor", "position"),
    [(START, 0), (Cursor(1, 1), 1), (Cursor(1, 2), 2), (Cursor(1, 9), 2), (Cursor(2, 1), 3)],
)
def test_an_end_voids_no_text(cursor: Cursor, position: int, cost: list[Event]) -> None:
    """Of a job whose run was lost an exact reader is told what is known of it, and how it ended."""
    log = EventLog()
    log.extend(1, [Started(), Delta(text="a")])
    log.extend(2, [*cost, Failed(code="", message="")])
    reader = Hub().join(JOB, log).subscribe(cursor, print, exact=True)
    assert (reader.position, reader.end, reader.stop) == (position, len(log), None)


def test_an_attempt_that_showed_nothing_voids_nothing() -> None:
    """An exact reader goes on where the attempt before had no text yet."""
    channel = Hub().open(JOB)
    channel.begin(1)
    channel.publish(Started())
    reader = channel.subscribe(START, print, exact=True)
    channel.begin(2)
    channel.log.append(Restarted(reason="lost"))
    assert (reader.stop, reader.end) == (None, 2)


def test_an_attempt_that_only_called_a_tool_is_void_too() -> None:
    """An exact reader does not go on behind a call that is made again."""
    channel = Hub().open(JOB)
    channel.begin(1)
    channel.publish(ToolCall(id="c1", name="add", arguments="{}"))
    reader = channel.subscribe(START, print, exact=True)
    channel.begin(2)
    channel.log.append(Restarted(reason="lost"))
    assert (reader.stop, reader.end) == (1, 1)


def test_a_channel_stays_while_it_is_of_use() -> None:
    """It goes with its last reader once the job is over; leaving twice is leaving once."""
    emptied: list[str] = []
    hub = Hub(lambda channel: emptied.append(channel.job_id))
    channel = hub.open(JOB)
    assert hub.join(JOB) is hub.get(JOB) is channel
    one, two = (channel.subscribe(START, print) for _ in range(2))
    channel.leave(one)
    channel.leave(one)
    assert (hub.readers, emptied) == (1, [])
    channel.leave(two)
    channel.leave(two)
    assert (len(hub), emptied) == (1, [JOB])
    three = channel.subscribe(START, print)
    hub.retire(JOB)
    assert hub.get(JOB) is channel
    channel.leave(three)
    assert (len(hub), emptied) == (0, [JOB])


@jumping
async def test_a_closed_hub_ends_all_reading() -> None:
    """When the process stops, readers get what there is, and an end without a terminal event."""
    hub = Hub()
    channel = hub.open(JOB)
    channel.begin(1)
    channel.publish(Started())

    async def follow() -> list[Event]:
        return [event async for _, event in read(channel)]

    readers = [asyncio.create_task(follow()) for _ in range(3)]
    await settle()
    hub.close()
    assert await asyncio.gather(*readers) == [[Started()]] * 3
    assert hub.readers == 0


@jumping
async def test_whoever_joins_a_closed_hub_gets_what_there_is() -> None:
    """A reader who comes while the process stops does not wait for what never comes."""
    hub = Hub()
    hub.close()
    log = EventLog()
    log.begin(1)
    log.append(Started())

    async def follow() -> list[Event]:
        return [event async for _, event in read(hub.join(JOB, log))]

    reader, waiter = asyncio.create_task(follow()), asyncio.create_task(over(hub.open("another")))
    await settle()
    assert (reader.done(), waiter.done()) == (True, True)
    assert await reader == [Started()]


@jumping
async def test_a_cancelled_reader_leaves() -> None:
    """Nothing of it stays behind."""
    hub = Hub()
    channel = hub.open(JOB)

    async def follow() -> None:
        async for _ in read(channel):
            pass

    reader = asyncio.create_task(follow())
    await settle()
    assert channel.readers == 1
    reader.cancel()
    await asyncio.wait({reader})
    assert channel.readers == 0


@jumping
async def test_an_end_is_waited_for_without_reading() -> None:
    """Nothing else ends the wait; who gives up leaves no reader, and who comes late waits not."""
    hub = Hub()
    channel = hub.open(JOB)
    channel.begin(1)
    waiting = [asyncio.create_task(over(channel)) for _ in range(3)]
    await settle()
    for event in (Started(), Delta(text="a")):
        channel.publish(event)
        await settle()
    assert [task.done() for task in waiting] == [False] * 3
    waiting[0].cancel()
    await settle()
    assert channel.readers == 2
    channel.publish(Completed())
    await asyncio.gather(*waiting[1:], over(channel))
    assert channel.readers == 0


@jumping
async def test_an_end_that_will_not_be_seen_is_not_waited_for() -> None:
    """The process stops: nothing will follow."""
    hub = Hub()
    channel = hub.open(JOB)
    waiting = asyncio.create_task(over(channel))
    await settle()
    hub.close()
    await waiting
    assert channel.readers == 0
