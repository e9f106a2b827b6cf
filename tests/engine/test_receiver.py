"""Who of an origin's callbacks may go: caps, one of a URL, and the pause after failures."""

from random import Random
from typing import Any

from gateway.engine.receiver import Receiver
from gateway.webhooks import Delivery


class Midway(Random):
    """Chance without chance."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def owed(number: int, **changes: Any) -> Delivery:
    url = changes.get("url", f"https://n8n.example.com/{number}")
    return Delivery(
        id=f"msg_{number}", job_id=str(number), tenant="a", url=url, created_at=0, deadline=9
    )


def fail(receiver: Receiver, times: int, now: float) -> None:
    for _ in range(times):
        receiver.failed(owed(9, url="https://n8n.example.com/x"), now, Midway())


def test_no_more_than_the_cap_are_on_the_way() -> None:
    """The next goes when one of those before it is back."""
    receiver = Receiver(2)
    deliveries = [owed(number) for number in range(3)]
    for delivery in deliveries:
        receiver.add(delivery)
    assert [receiver.next(), receiver.next(), receiver.next()] == [*deliveries[:2], None]
    receiver.arrived(deliveries[0].url, 0.1)
    assert receiver.next() == deliveries[2]


def test_one_url_has_one_post_on_the_way() -> None:
    """Others overtake a second delivery to a URL that is being called."""
    receiver = Receiver(8)
    first, second = owed(1, url="https://a.example.com/x"), owed(2, url="https://a.example.com/x")
    other = owed(3)
    for delivery in (first, second, other):
        receiver.add(delivery)
    assert [receiver.next(), receiver.next(), receiver.next()] == [first, other, None]
    receiver.released(first.url)
    assert receiver.next() == second


def test_a_row_of_failures_closes_the_lane_for_pauses_that_double() -> None:
    """Each failed probe doubles the pause, up to five minutes."""
    receiver, now, pauses = Receiver(8), 1000.0, []
    fail(receiver, 9, now)
    assert receiver.closed_until == 0.0
    for _ in range(10):
        fail(receiver, 1, now)
        pauses.append(receiver.closed_until - now)
        now = receiver.closed_until
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]


def test_a_pause_is_spread_by_chance() -> None:
    """Several gateways do not knock at one receiver together."""
    closed = set()
    for seed in range(20):
        receiver = Receiver(8)
        for _ in range(10):
            receiver.failed(owed(9), 1000.0, Random(seed))
        closed.add(receiver.closed_until)
    assert len(closed) == 20
    assert all(1001.6 <= until <= 1002.4 for until in closed)


def test_failures_of_what_was_on_the_way_do_not_lengthen_the_pause() -> None:
    """Eight that fail together are one sign, not eight."""
    receiver = Receiver(8)
    fail(receiver, 18, 1000.0)
    assert receiver.closed_until == 1002.0


def test_after_a_pause_one_probe_goes_and_its_success_opens_the_lane() -> None:
    """A receiver that has just come up is not met by everything at once."""
    receiver = Receiver(8)
    fail(receiver, 10, 1000.0)
    for number in range(3):
        receiver.add(owed(number))
    assert [receiver.next(), receiver.next()] == [owed(0), None]
    assert receiver.arrived(owed(0).url, 0.1) == {"9"}
    assert [receiver.next(), receiver.next()] == [owed(1), owed(2)]
    assert receiver.arrived(owed(1).url, 0.1) == set()


def test_one_that_failed_at_an_open_lane_keeps_its_own_time() -> None:
    """Its receiver may be up for others, and not for it."""
    receiver = Receiver(8)
    fail(receiver, 9, 1000.0)
    assert receiver.arrived(owed(0).url, 0.1) == set()


def test_a_success_between_failures_keeps_the_lane_open() -> None:
    """Only failures in a row count."""
    receiver = Receiver(8)
    fail(receiver, 9, 1000.0)
    receiver.arrived("https://n8n.example.com/x", 0.1)
    fail(receiver, 9, 1000.0)
    assert receiver.closed_until == 0.0


def test_who_finds_the_line_too_long_comes_again_when_it_is_their_turn() -> None:
    """Turns follow from how long POSTs take, one after another, a minute away at most."""
    receiver = Receiver(8)
    for number in range(80):
        receiver.add(owed(number))
    turns = [receiver.book(1000.0) for _ in range(1_000)]
    assert turns[::250] == [1000.25, 1000.5, 1000.75, 1001.25]
    for _ in range(100):
        receiver.arrived("https://n8n.example.com/x", 10.0)
    assert receiver.book(1100.0) == 1160.0


def test_a_lane_is_kept_while_there_is_something_to_remember() -> None:
    """Then it is forgotten, so that receivers do not pile up."""
    receiver = Receiver(8)
    assert receiver.idle(1000.0)
    receiver.add(owed(1))
    assert not receiver.idle(1000.0)
    assert receiver.drain() == [owed(1)]
    assert receiver.idle(1000.0)
    fail(receiver, 1, 1000.0)
    assert [receiver.idle(now) for now in (1000.0, 1599.0, 1600.0)] == [False, False, True]
