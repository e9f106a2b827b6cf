"""Where one app's callbacks to one origin go: what waits, what is on the way, and what may go.

Pure: it never waits and reads no clock. Of those that came to grief here before, one that always
will must not hold up the others. So at most one POST of a URL is on the way; those whose last
attempt was met by silence have half of the places; and whoever takes long makes room for another.

After many in a row that met silence the receiver is closed for a pause that doubles. Whoever
uses it drains it of them then, and adds none of them until `closed_until`; then one probe goes.
What has not met silence goes meanwhile, one every two seconds. Any answer opens it again, and one
that is no failure also lets go whoever knocked in vain.
"""

from collections import deque
from collections.abc import Collection, Iterator
from math import ceil, inf
from random import Random
from typing import NamedTuple

from gateway.destinations import target
from gateway.webhooks import Delivery, DeliveryState

# So many deliveries close it, and so many failures in a row are an outage.
_MANY = 10
_PAUSE_LEAST_S = 2.0
_PAUSE_MOST_S = 300.0
# While it is closed, between two of those that have not met its silence.
_BETWEEN_S = 2.0
# A POST that takes longer than this makes room for another, up to so many times the places.
_SLOW_S = 2.0
_SLOW_TIMES = 4
# Failures are remembered so long: more than the longest pause.
_MEMORY_S = 600.0
# How long a POST takes is averaged over about so many; what is assumed before the first.
_AVERAGED = 10
_TOOK_S = 0.01
# Times given to those who come later: together in steps, and never further away than this.
_STEP_S = 0.25
_BOOKED_MOST_S = 60.0


class _Post(NamedTuple):
    job_id: str
    began_at: float
    unheard: bool


class Receiver:
    """One app's line at one origin."""

    __slots__ = (
        "_away",
        "_booked_until",
        "_calling",
        "_failed_at",
        "_failures",
        "_let_go",
        "_most",
        "_next_at",
        "_pause_s",
        "_posts",
        "_silent",
        "_took_s",
        "_waiting",
        "closed_until",
    )

    def __init__(self, most: int, calling: set[str]) -> None:
        """Open, and empty.

        Args:
            most: POSTs on the way at the same time, not counting those that take long.
            calling: addresses that a POST is on the way to, of all receivers.
        """
        self.closed_until = 0.0
        self._most = most
        self._calling = calling
        self._waiting: deque[Delivery] = deque()
        # What is on the way, by its address.
        self._posts: dict[str, _Post] = {}
        # Jobs whose deliveries have met silence since the last answer; no more than close it.
        self._silent: set[str] = set()
        # Jobs whose deliveries have failed, or were turned away, since one did not fail.
        self._away: set[str] = set()
        # Those that were let go before their time once. Whoever fails again keeps to it.
        self._let_go: set[str] = set()
        self._failures = 0
        self._failed_at = 0.0
        self._pause_s = 0.0
        self._next_at = 0.0
        self._took_s = _TOOK_S
        self._booked_until = 0.0

    def __len__(self) -> int:
        """How many wait; those on the way are not among them."""
        return len(self._waiting)

    def idle(self, now: float) -> bool:
        """Nothing waits, nothing is on the way, and no failure is worth remembering."""
        remembers = (self._failures or self._let_go) and now < self._failed_at + _MEMORY_S
        return not (self._waiting or self._posts or remembers)

    def add(self, delivery: Delivery) -> None:
        """Let one more wait."""
        self._waiting.append(delivery)

    def turn_away(self, delivery: Delivery) -> float:
        """Until when a delivery is not to be added; earlier, if the receiver opens before."""
        self._miss(delivery)
        return self.closed_until

    def book(self, delivery: Delivery, ahead: int, now: float) -> float:
        """When to come again for whoever finds too many ahead: about when it is their turn.

        Each gets a turn of their own, so that a crowd does not come again together.
        """
        each_s, most_s = self._took_s / self._most, _BOOKED_MOST_S
        if self._pause_s:
            each_s, most_s = _BETWEEN_S, _PAUSE_MOST_S
            self._miss(delivery)
        turn = max(self._booked_until, now + ahead * each_s) + each_s
        self._booked_until = min(turn, now + most_s)
        return ceil(self._booked_until / _STEP_S) * _STEP_S

    def next(self, now: float) -> Delivery | None:
        """Send the first on its way that may go; None if none may now."""
        able = self._able(now)
        # One that always fails must not be the only probe there is.
        found = min(able, key=_attempts, default=None) if self._pause_s else next(able, None)
        if found is None:
            return None
        index, delivery = found
        del self._waiting[index]
        where = target(delivery.url)
        self._calling.add(where)
        self._posts[where] = _Post(delivery.job_id, now, delivery.unheard)
        if not delivery.unheard:
            self._next_at = now + _BETWEEN_S
        return delivery

    def ready_at(self, now: float) -> float:
        """When one that waits may go at the earliest, as time alone lets it."""
        if not self._waiting:
            return inf
        times = [post.began_at + _SLOW_S for post in self._posts.values()]
        return min((at for at in (*times, self._next_at) if at > now), default=inf)

    def drain(self) -> list[Delivery]:
        """Those that wait although they met silence; the others wait on."""
        drained = [delivery for delivery in self._waiting if delivery.unheard]
        self._waiting = deque(delivery for delivery in self._waiting if not delivery.unheard)
        return drained

    def arrived(self, delivery: Delivery, took_s: float) -> set[str]:
        """The receiver took a POST, or refused it in its senses.

        The jobs whose deliveries may go again now, however late they were to: all had failed
        for long.
        """
        self._open(delivery, took_s)
        self.gave_up(delivery)
        knocked = self._away if self._failures >= _MANY else set()
        self._let_go |= knocked
        self._away = set()
        self._failures = 0
        return knocked

    def broke(self, delivery: Delivery, now: float, took_s: float) -> None:
        """The receiver answered that it failed: at this one, and perhaps at all."""
        self._open(delivery, took_s)
        self._fail(delivery, now)

    def failed(self, delivery: Delivery, now: float, took_s: float, rng: Random) -> None:
        """There was no answer, or none of the receiver's own."""
        self._end(delivery, took_s)
        self._fail(delivery, now)
        if len(self._silent) < _MANY:
            # One that fails again and again says no more than once.
            self._silent.add(delivery.job_id)
        if len(self._silent) == _MANY and now >= self.closed_until:
            self._pause_s = min(max(self._pause_s * 2, _PAUSE_LEAST_S), _PAUSE_MOST_S)
            self.closed_until = now + self._pause_s * rng.uniform(0.8, 1.2)

    def gave_up(self, delivery: Delivery) -> None:
        """A delivery need not be remembered: it is not sent any more."""
        self._away.discard(delivery.job_id)
        self._let_go.discard(delivery.job_id)

    def released(self, delivery: Delivery) -> None:
        """A POST was not made after all, or is judged already: nothing is learned from it."""
        self._end(delivery)

    def _able(self, now: float) -> Iterator[tuple[int, Delivery]]:
        posts = self._posts.values()
        unheard = [post for post in posts if post.unheard]
        if not _has_place(posts, self._most, now):
            return
        if self._pause_s:
            probing = now >= self.closed_until and not unheard
            may_go = {True: probing, False: now >= self._next_at}
        else:
            may_go = {True: _has_place(unheard, max(1, self._most // 2), now), False: True}
        for index, delivery in enumerate(self._waiting):
            if may_go[delivery.unheard] and target(delivery.url) not in self._calling:
                yield index, delivery

    def _open(self, delivery: Delivery, took_s: float) -> None:
        self._end(delivery, took_s)
        self._silent = set()
        self._pause_s = self.closed_until = 0.0

    def _fail(self, delivery: Delivery, now: float) -> None:
        self._miss(delivery)
        self._failures += 1
        self._failed_at = now

    def _miss(self, delivery: Delivery) -> None:
        if delivery.state is DeliveryState.DEAD:
            self.gave_up(delivery)
        elif delivery.job_id not in self._let_go:
            self._away.add(delivery.job_id)

    def _end(self, delivery: Delivery, took_s: float | None = None) -> None:
        where = target(delivery.url)
        post = self._posts.get(where)
        # Another delivery to that address may be on the way by now.
        if post is not None and post.job_id == delivery.job_id:
            del self._posts[where]
            self._calling.discard(where)
        if took_s is not None:
            self._took_s += (took_s - self._took_s) / _AVERAGED


def _has_place(posts: Collection[_Post], most: int, now: float) -> bool:
    prompt = sum(now - post.began_at < _SLOW_S for post in posts)
    return prompt < most and len(posts) < _SLOW_TIMES * most


def _attempts(waiting: tuple[int, Delivery]) -> int:
    return waiting[1].attempts
