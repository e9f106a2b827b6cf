"""Which of an app's callbacks to an origin may go: caps, one of a URL, pauses after silence."""

from collections.abc import Sequence
from random import Random
from typing import Any

from msgspec.structs import replace

from gateway.engine.receiver import Receiver
from gateway.webhooks import Delivery, DeliveryState

NOW = 1000.0


class Midway(Random):
    """Chance without chance."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def owed(number: int, **changes: Any) -> Delivery:
    url = changes.pop("url", f"https://n8n.example.com/{number}")
    delivery = Delivery(
        id=f"msg_{number}", job_id=str(number), tenant="a", url=url, created_at=0, deadline=9
    )
    return replace(delivery, **changes)


def unheard(number: int, attempts: int = 1, **changes: Any) -> Delivery:
    return owed(number, attempts=attempts, first_tried_at=1.0, **changes)


def opened(*waiting: Delivery, most: int = 8) -> Receiver:
    receiver = Receiver(most, set())
    for delivery in waiting:
        receiver.add(delivery)
    return receiver


def fail(receiver: Receiver, numbers: Sequence[int], now: float = NOW) -> None:
    for number in numbers:
        receiver.failed(unheard(number), now, 0.01, Midway())


def closed(*waiting: Delivery) -> Receiver:
    """It failed ten, and nobody has been there since."""
    receiver = opened(*waiting)
    fail(receiver, range(90, 100))
    return receiver


def sent(receiver: Receiver, now: float = NOW) -> list[str]:
    """The jobs of all that may go."""
    jobs = []
    while (delivery := receiver.next(now)) is not None:
        jobs.append(delivery.job_id)
    return jobs


# Places


def test_no_more_than_the_cap_are_on_the_way() -> None:
    """The next goes when one of those before it is back."""
    deliveries = [owed(number) for number in range(3)]
    receiver = opened(*deliveries, most=2)
    assert [receiver.next(NOW) for _ in range(3)] == [*deliveries[:2], None]
    receiver.arrived(deliveries[0], 0.1)
    assert receiver.next(NOW) == deliveries[2]


def test_one_url_has_one_post_on_the_way() -> None:
    """Others overtake a second delivery to a URL that is being called, however it is written."""
    first = owed(1, url="https://a.example.com/x?y")
    second = owed(2, url="https://A.example.com:443/x?y#z")
    receiver = opened(first, second, owed(3))
    assert sent(receiver) == ["1", "3"]
    receiver.released(first)
    assert receiver.next(NOW) == second
    # What was judged before is let go of again: the other one's POST is still on its way.
    receiver.released(first)
    receiver.add(owed(4, url=first.url))
    assert receiver.next(NOW) is None


def test_one_url_has_one_post_on_the_way_whoever_owes_it() -> None:
    """Two apps may name the same."""
    calling: set[str] = set()
    receivers = [Receiver(8, calling) for _ in range(2)]
    for receiver in receivers:
        receiver.add(owed(1))
    assert [receiver.next(NOW) for receiver in receivers] == [owed(1), None]
    receivers[0].arrived(owed(1), 0.1)
    assert receivers[1].next(NOW) == owed(1)


def test_what_takes_long_makes_room() -> None:
    """After two seconds, and up to four times the cap."""
    receiver = opened(*(owed(number) for number in range(20)), most=2)
    assert receiver.ready_at(NOW) == float("inf")
    begun = [len(sent(receiver, NOW + seconds)) for seconds in (0, 1, 2, 3, 4, 6, 8, 10)]
    assert begun == [2, 0, 2, 0, 2, 2, 0, 0]


def test_it_is_known_when_there_is_room() -> None:
    """Nobody needs to look before."""
    receiver = opened(owed(1), owed(2), most=1)
    assert sent(receiver) == ["1"]
    assert receiver.ready_at(NOW + 1) == NOW + 2
    assert sent(receiver, NOW + 2) == ["2"]
    assert receiver.ready_at(NOW + 2) == float("inf")


def test_those_that_met_silence_have_half_of_the_places() -> None:
    """The others need not wait for them, nor they for all others."""
    receiver = opened(*(unheard(number) for number in range(6)), *map(owed, range(10, 16)))
    assert sent(receiver) == ["0", "1", "2", "3", "10", "11", "12", "13"]
    assert sent(receiver, NOW + 2) == ["4", "5", "14", "15"]


# Closing and opening


def test_many_failures_in_a_row_close_it_for_pauses_that_double() -> None:
    """Each failed probe doubles the pause, up to five minutes."""
    receiver, now, pauses = opened(), NOW, []
    fail(receiver, range(9))
    assert receiver.closed_until == 0.0
    for number in range(9, 19):
        fail(receiver, [number], now)
        pauses.append(receiver.closed_until - now)
        now = receiver.closed_until
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]


def test_a_few_that_fail_again_and_again_do_not_close_it() -> None:
    """They say nothing about others, and keep to their own times."""
    receiver = opened()
    fail(receiver, [number % 9 for number in range(900)])
    assert receiver.closed_until == 0.0


def test_a_pause_is_spread_by_chance() -> None:
    """Several gateways do not knock at one receiver together."""
    until = set()
    for seed in range(20):
        receiver = opened()
        for number in range(10):
            receiver.failed(owed(number), NOW, 0.01, Random(seed))
        until.add(receiver.closed_until)
    assert len(until) == 20
    assert all(1001.6 <= at <= 1002.4 for at in until)


def test_failures_of_what_was_on_the_way_do_not_lengthen_the_pause() -> None:
    """Eight that fail together are one sign, not eight."""
    receiver = opened()
    fail(receiver, range(18))
    assert receiver.closed_until == NOW + 2


def test_what_has_not_failed_goes_also_while_it_is_closed() -> None:
    """One every two seconds; what met silence is not for then, and what waits, waits on."""
    receiver = closed(owed(1), unheard(2), owed(3))
    assert receiver.drain() == [unheard(2)]
    assert [sent(receiver, NOW + seconds) for seconds in (0, 1, 2)] == [["1"], [], ["3"]]


def test_after_a_pause_one_probe_goes_and_an_answer_opens_it() -> None:
    """A receiver that has just come up is not met by everything at once."""
    receiver = closed(*(unheard(number) for number in range(3)))
    assert [sent(receiver, NOW + seconds) for seconds in (0, 2)] == [[], ["0"]]
    assert receiver.arrived(unheard(0), 0.1) == {str(number) for number in range(90, 100)}
    assert sent(receiver, NOW + 2) == ["1", "2"]
    assert receiver.arrived(unheard(1), 0.1) == set()


def test_the_probe_is_whoever_was_tried_least() -> None:
    """One that always fails is not asked again and again in the others' place."""
    receiver = closed(unheard(1, attempts=7), unheard(2, attempts=6), unheard(3, attempts=6))
    assert sent(receiver, NOW + 2) == ["2"]


def test_a_failure_of_its_own_opens_it_and_lets_nobody_go() -> None:
    """It is there again, and may be out of order for all."""
    receiver = closed(unheard(1), unheard(2))
    receiver.broke(owed(3, last_status=500), NOW, 0.1)
    assert (receiver.closed_until, sent(receiver)) == (0.0, ["1", "2"])
    fail(receiver, range(9))
    assert receiver.closed_until == 0.0


def test_who_was_turned_away_comes_again_when_it_opens() -> None:
    """Before the pause is over."""
    receiver = closed()
    assert receiver.turn_away(unheard(1)) == NOW + 2
    assert "1" in receiver.arrived(owed(2), 0.1)


def test_who_was_let_go_once_keeps_its_own_time() -> None:
    """One that always fails would otherwise be sent with each that does not."""
    receiver = closed()
    assert "90" in receiver.arrived(owed(1), 0.1)
    fail(receiver, range(85, 95))
    assert receiver.arrived(owed(2), 0.1) == {"85", "86", "87", "88", "89"}
    # It arrived after all: what it owes next time is another matter.
    receiver.arrived(unheard(90), 0.1)
    fail(receiver, range(85, 95))
    assert receiver.arrived(owed(3), 0.1) == {"90"}


def test_one_that_failed_in_a_short_row_keeps_its_own_time() -> None:
    """Its receiver may be up for others, and not for it."""
    receiver = opened()
    fail(receiver, range(9))
    assert receiver.arrived(owed(10), 0.1) == set()


def test_an_answer_between_failures_keeps_it_open() -> None:
    """Only failures in a row count."""
    receiver = opened()
    fail(receiver, range(9))
    receiver.arrived(owed(10), 0.1)
    fail(receiver, range(20, 29))
    assert receiver.closed_until == 0.0


# Memory


def test_those_that_were_given_up_are_not_remembered() -> None:
    """A receiver that fails for ever must not fill the memory with what it missed."""
    receiver = closed()
    for number in range(5):
        receiver.failed(unheard(90 + number, state=DeliveryState.DEAD), NOW, 0.01, Midway())
    receiver.broke(unheard(95, state=DeliveryState.DEAD, last_status=500), NOW, 0.01)
    receiver.gave_up(unheard(96))
    assert receiver.arrived(owed(1), 0.1) == {"97", "98", "99"}


def test_who_finds_the_line_too_long_comes_again_when_it_is_their_turn() -> None:
    """Turns follow from how long POSTs take, one after another, a minute away at most."""
    receiver = opened(*map(owed, range(80)))
    turns = [receiver.book(owed(99), 80, NOW) for _ in range(1_000)]
    assert turns[::250] == [1000.25, 1000.5, 1000.75, 1001.25]
    for _ in range(100):
        receiver.arrived(owed(99), 10.0)
    assert receiver.book(owed(99), 80, 1100.0) == 1160.0


def test_who_finds_a_long_line_at_a_closed_one_is_fetched() -> None:
    """A turn there is two seconds, and may be five minutes away."""
    receiver = closed(*map(owed, range(80)))
    assert receiver.book(owed(88), 80, NOW) == NOW + 162
    assert receiver.book(owed(89), 80, NOW + 100) == NOW + 262
    for _ in range(200):
        assert receiver.book(owed(89), 80, NOW) <= NOW + 300
    assert {"88", "89"} <= receiver.arrived(owed(0), 0.1)


def test_it_is_kept_while_there_is_something_to_remember() -> None:
    """Then it is forgotten, so that receivers do not pile up."""
    receiver = opened()
    assert receiver.idle(NOW)
    receiver.add(unheard(1))
    assert not receiver.idle(NOW)
    assert receiver.drain() == [unheard(1)]
    assert receiver.idle(NOW)
    fail(receiver, range(10))
    assert [receiver.idle(now) for now in (NOW, NOW + 599, NOW + 600)] == [False, False, True]
    receiver.arrived(owed(1), 0.1)
    assert [receiver.idle(now) for now in (NOW, NOW + 599, NOW + 600)] == [False, False, True]
