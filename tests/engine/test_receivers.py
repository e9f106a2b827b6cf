"""Lines where something waits, in turn; and those that are only remembered."""

from random import Random

from gateway.engine.receivers import Receivers
from gateway.webhooks import Delivery

NOW = 1000.0


def owed(app: str, number: int) -> Delivery:
    return Delivery(
        id=f"msg_{number}",
        job_id=f"job_{number}",
        tenant=app,
        url=f"https://{number}.example.com/",
        created_at=0,
        deadline=9,
    )


def test_only_where_something_waits_is_looked_at() -> None:
    """However many are remembered because something failed there."""
    receivers = Receivers(8)
    for number in range(500):
        failed = owed("many", number)
        receivers.add(failed, failed.url)
        line = receivers.of("many", failed.url)
        assert line.next(NOW) == failed
        line.failed(failed, NOW, 0.01, Random(1))
    receivers.add(owed("one", 1), "https://here.example.com")
    assert receivers.in_turn(NOW) == [("one", "https://here.example.com")]
    assert (len(receivers), receivers.waiting()) == (501, {"one": 1})


def test_whoever_was_served_is_last() -> None:
    """Also where more comes to wait there."""
    receivers = Receivers(8)
    for number in range(6):
        receivers.add(owed("a", number), str(number % 3))
    receivers.served(*receivers.in_turn(NOW)[0])
    receivers.add(owed("a", 7), "0")
    assert receivers.in_turn(NOW) == [("a", "1"), ("a", "2"), ("a", "0")]
    assert receivers.waiting() == {"a": 7}


def test_it_is_known_when_one_may_go() -> None:
    """Never, where nothing waits."""
    receivers = Receivers(1)
    assert receivers.ready_at(NOW) == float("inf")
    for number in range(2):
        receivers.add(owed("a", number), "here")
    receivers.of("a", "here").next(NOW)
    assert receivers.ready_at(NOW) == NOW + 2


def test_nothing_is_remembered_for_ever() -> None:
    """A line where nothing waits goes, once no failure is worth remembering."""
    receivers = Receivers(8)
    failed = owed("a", 1)
    receivers.of("a", "quiet")
    receivers.of("a", "broken").failed(failed, NOW, 0.01, Random(1))
    known = []
    for now in (NOW, NOW + 1, NOW + 31, NOW + 700):
        assert receivers.in_turn(now) == []
        known.append(len(receivers))
    assert known == [1, 1, 1, 0]
