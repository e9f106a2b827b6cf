"""At least once, one at a time, by the schedule, and nowhere it must not go."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from gateway.destinations import Policy
from gateway.engine.clock import SteadyClock
from gateway.webhooks import DeliveryState
from tests.engine.house import DAY, House, standing
from tests.engine.jumping_clock import JumpingClock
from tests.engine.n8n import SIGNATURE, Execution, N8n
from tests.stores.conformance import callbacks


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Everything running, on a clock that jumps."""
    async with standing(JumpingClock()) as built:
        yield built


# At least once, one at a time


async def test_one_url_has_one_post_on_the_way(house: House) -> None:
    """Two jobs with one callback URL are told one after the other."""
    house.n8n.gate.clear()
    url = house.n8n.wait_for(Execution(waits=3))
    await house.owe(url, url, url)
    await house.n8n.arrived(1)
    house.n8n.gate.set()
    await house.store.until(DeliveryState.DELIVERED, 3)
    assert house.n8n.most_at_once == 1
    assert {post.headers["webhook-id"] for post in house.n8n.posts} == {
        "msg_1",
        "msg_2",
        "msg_3",
    }


async def test_what_is_forgotten_while_it_waits_is_not_sent(house: House) -> None:
    """Behind others of its origin; those that are on their way end in silence."""
    house.n8n.gate.clear()
    await house.owe(*(house.n8n.wait_for(Execution()) for _ in range(12)))
    await house.n8n.arrived(8)
    owed = [one.job_id for one in await callbacks(house.store)]
    assert len(await house.store.forget(owed)) == 12
    house.n8n.gate.set()
    await house.quiet()
    assert (len(house.n8n.posts), await callbacks(house.store)) == (8, [])


async def test_an_origin_gets_no_more_than_its_cap_at_once(house: House) -> None:
    """The rest waits, and arrives."""
    house.n8n.gate.clear()
    await house.owe(*(house.n8n.wait_for(Execution()) for _ in range(40)))
    await house.n8n.arrived(8)
    house.n8n.gate.set()
    await house.store.until(DeliveryState.DELIVERED, 40)
    assert (house.n8n.most_at_once, len(house.n8n.posts)) == (8, 40)


async def test_all_origins_together_keep_to_a_cap_and_none_starves(house: House) -> None:
    """One origin's crowd does not keep another's single callback waiting."""
    await house.notifier.stop()
    house.notifier = house.another_notifier(most=4, most_per_origin=4)
    async with N8n() as other:
        house.policy = Policy.of([house.n8n.origin, other.origin])
        crowd = [house.n8n.wait_for(Execution()) for _ in range(60)]
        await house.owe(*crowd, other.wait_for(Execution()))
        other.on_post = lambda: served.append(len(house.n8n.posts))
        served: list[int] = []
        await house.notifier.start()
        await house.store.until(DeliveryState.DELIVERED, 61)
    assert house.n8n.most_at_once <= 4
    assert served[0] < 20


async def test_more_than_an_origin_may_hold_is_delivered_in_time(house: House) -> None:
    """A burst beyond what is held in memory is put off, not lost."""
    urls = [house.n8n.wait_for(Execution()) for _ in range(700)]
    await house.owe(*urls)
    await house.store.until(DeliveryState.DELIVERED, 700)
    assert len(house.n8n.posts) == 700
    assert all(execution.resumed == 1 for execution in house.n8n.executions.values())


async def test_a_crowd_of_one_origin_does_not_hide_what_is_due_to_another(house: House) -> None:
    """Also where the crowd alone is more than is ever held in memory."""
    house.n8n.gate.clear()
    async with N8n() as other:
        house.policy = Policy.of([house.n8n.origin, other.origin])
        crowd = [house.n8n.wait_for(Execution()) for _ in range(2_200)]
        await house.owe(*crowd, other.wait_for(Execution()))
        await other.arrived(1)
        house.n8n.gate.set()
    assert house.n8n.most_at_once == 8


async def test_an_origin_is_forgotten_when_nothing_is_left_to_do(house: House) -> None:
    """Strangers' origins do not pile up in memory."""
    await house.settle(Execution(), DeliveryState.DELIVERED)
    assert isinstance(house.clock, JumpingClock)
    async with asyncio.timeout(10):
        await house.clock.alarm(60).wait()
    assert len(house.notifier._receivers) == 0


async def test_a_burst_needs_no_poll_to_be_taken_whole(house: House) -> None:
    """What one look does not bring, the next does as soon as there is room."""
    began = house.clock.now()
    await house.owe(*(house.n8n.wait_for(Execution()) for _ in range(500)))
    await house.store.until(DeliveryState.DELIVERED, 500)
    assert house.clock.now() - began < 1


async def test_stopping_in_mid_post_leaves_the_delivery_owed_and_ambiguous(house: House) -> None:
    """The next notifier sends it at once under the same id, and knows that it may be a repeat."""
    await house.notifier.stop()
    house.n8n.gate.clear()
    first = house.another_notifier(grace_s=0.0)
    await first.start()
    execution = Execution()
    await house.owe(house.n8n.wait_for(execution))
    await house.n8n.arrived(1)
    await first.stop()
    left = await house.store.owed()
    assert (left.state, left.ambiguous, left.attempts) == (DeliveryState.PENDING, True, 1)
    assert left.next_at <= house.clock.now()
    # What n8n did with the POST that was cut: it went on, and came to its end.
    execution.waits = 0
    house.n8n.gate.set()
    house.notifier = house.another_notifier()
    await house.notifier.start()
    await house.store.until(DeliveryState.UNCONFIRMED)
    assert {post.headers["webhook-id"] for post in house.n8n.posts} == {"msg_1"}


async def test_stopping_waits_a_little_for_answers(house: House) -> None:
    """What is nearly delivered is delivered, and not ambiguous."""
    house.n8n.gate.clear()
    await house.owe(house.n8n.wait_for(Execution()))
    await house.n8n.arrived(1)
    stopping = asyncio.create_task(house.notifier.stop())
    await asyncio.sleep(0)
    house.n8n.gate.set()
    await stopping
    delivery = await house.store.owed()
    assert (delivery.state, delivery.ambiguous) == (DeliveryState.DELIVERED, False)


async def test_an_attempt_that_stopping_overtakes_is_not_made(house: House) -> None:
    """It was recorded as begun, and is recorded again as it was: nothing was sent."""
    recording = asyncio.Event()
    go_on = asyncio.Event()

    async def linger() -> None:
        recording.set()
        await go_on.wait()

    house.store.before_recorded = linger
    await house.owe(house.n8n.wait_for(Execution()))
    owed = await house.store.owed()
    await recording.wait()
    stopping = asyncio.create_task(house.notifier.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    assert await house.store.owed() == owed
    assert house.n8n.posts == []


async def test_an_attempt_is_recorded_before_it_is_sent(house: House) -> None:
    """A process that dies in mid-POST leaves an ambiguous attempt that falls due again."""
    house.n8n.gate.clear()
    await house.owe(house.n8n.wait_for(Execution()))
    await house.n8n.arrived(1)
    stored = await house.store.owed()
    assert stored.state is DeliveryState.PENDING
    assert (stored.attempts, stored.ambiguous, stored.first_tried_at) == (
        1,
        True,
        house.clock.now(),
    )
    assert 10 < stored.next_at - house.clock.now() < 60
    house.n8n.gate.set()
    await house.store.until(DeliveryState.DELIVERED)


async def test_what_was_settled_during_a_look_is_not_sent_again(house: House) -> None:
    """A look at the store may return a delivery as it was before its 2xx."""
    execution = Execution(waits=2)
    house.n8n.gate.clear()
    await house.owe(house.n8n.wait_for(execution), house.n8n.wait_for(Execution()))
    await house.n8n.arrived(2)
    # Its lease is over, and it is on the way still.
    await house.store.record(replace(await house.store.owed(), next_at=0.0))

    async def deliver_meanwhile() -> None:
        house.n8n.gate.set()
        await house.store.until(DeliveryState.DELIVERED, 2)
        await house.quiet()
        house.store.before_looked = None

    house.store.before_looked = deliver_meanwhile
    house.notifier.wake()
    looks = house.store.looks
    while house.store.looks < looks + 5:
        house.notifier.wake()
        await asyncio.sleep(0)
    await house.quiet()
    assert (execution.resumed, len(house.n8n.posts)) == (1, 2)


# The store


async def test_an_attempt_that_cannot_be_recorded_is_not_made(house: House) -> None:
    """Nothing leaves while the store is away; then it does, as a first attempt."""
    house.store.away = 3
    delivery = await house.settle(Execution(), DeliveryState.DELIVERED)
    assert (delivery.attempts, len(house.n8n.posts)) == (1, 1)


async def test_a_2xx_that_cannot_be_recorded_is_held_until_it_can(house: House) -> None:
    """The store's absence after an answer does not send the callback again."""
    house.n8n.on_post = lambda: setattr(house.store, "away", 30)
    execution = Execution(waits=2)
    await house.settle(execution, DeliveryState.DELIVERED)
    assert (execution.resumed, len(house.n8n.posts)) == (1, 1)


async def test_a_bug_in_the_loop_is_logged_and_survived(house: House) -> None:
    """The next look delivers."""
    house.store.confused = True
    house.bugs = 1
    await house.settle(Execution(), DeliveryState.DELIVERED)
    assert "callbacks_not_taken" in {line["event"] for line in house.lines}


# Where callbacks may not go


async def test_a_callback_that_was_tried_is_not_sent_past_its_deadline(house: House) -> None:
    """It is a dead letter, found when somebody looks."""
    await house.notifier.stop()
    await house.owe(house.n8n.wait_for(Execution()), lifetime_s=-1)
    tried = replace(await house.store.owed(), first_tried_at=1.0, note="Busy.")
    await house.store.record(tried)
    house.notifier = house.another_notifier()
    await house.notifier.start()
    await house.store.until(DeliveryState.DEAD)
    assert ((await house.store.owed()).note, house.n8n.posts) == ("Busy. The deadline passed.", [])
    assert [line["event"] for line in house.lines] == ["callback_dead"]


async def test_an_origin_that_is_no_longer_allowed_is_not_called(house: House) -> None:
    """The policy is asked before each attempt, and the note says what to mend."""
    house.policy = Policy.of(["https://n8n.example.com"])
    await house.owe(house.n8n.wait_for(Execution()))
    await house.store.until(DeliveryState.DEAD)
    delivery = await house.store.owed()
    assert (delivery.attempts, house.n8n.posts) == (0, [])
    assert "must have an origin that the configuration allows" in delivery.note


async def test_a_public_origin_is_reached_by_its_internal_one(house: House) -> None:
    """The operator's rewrite changes the origin and nothing else."""
    house.policy = Policy.of(["https://n8n.example.com"])
    house.rewrites["https://n8n.example.com"] = house.n8n.origin
    url = house.n8n.wait_for(Execution())
    await house.owe(url.replace(house.n8n.origin, "https://n8n.example.com"))
    await house.store.until(DeliveryState.DELIVERED)
    assert house.n8n.executions["1"].resumed == 1


# The notifier itself


async def test_a_callback_is_signed_at_the_time_that_everybody_sees() -> None:
    """Receivers compare it with their own clock, whatever this process goes by."""

    class Astray(JumpingClock):
        def wall(self) -> float:
            return self.now() - DAY

    clock = Astray()
    async with standing(clock) as house:
        await house.settle(Execution(), DeliveryState.DELIVERED)
        (post,) = house.n8n.posts
    assert int(post.headers["webhook-timestamp"]) == int(clock.wall())


async def test_on_the_real_clock_a_callback_leaves_at_once() -> None:
    """Waking is enough: nothing waits for a poll."""
    async with standing(SteadyClock()) as house:
        began = house.clock.now()
        await house.settle(Execution(races=2), DeliveryState.DELIVERED)
        assert house.clock.now() - began < 2


async def test_the_log_names_origins_and_ids_and_nothing_secret(house: House) -> None:
    """No body, no signature, no path."""
    await house.settle(Execution(races=1), DeliveryState.DELIVERED)
    assert [line["event"] for line in house.lines] == ["callback_retried", "callback_delivered"]
    assert {line["job_id"] for line in house.lines} == {"job_1"}
    assert {line["origin"] for line in house.lines} == {house.n8n.origin}
    written = repr(house.lines)
    assert not any(secret in written for secret in (SIGNATURE, "webhook-waiting", "answer"))


async def test_a_notifier_stops_unstarted_and_twice(house: House) -> None:
    """Stopping is never an error."""
    await house.another_notifier().stop()
    await house.notifier.stop()
    await house.notifier.stop()
