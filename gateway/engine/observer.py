"""What the engine tells of itself: facts, in the past tense, as they become true.

Whoever watches is told at once and must not wait, nor raise: what is counted, logged or traced is
no business of the engine's.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.catalog import Model
from gateway.errors import GatewayError, ProviderError
from gateway.jobs import Job
from gateway.messages import Request
from gateway.webhooks import Delivery

# Told of every read of one answer: the loop's time, and how many outputs it brought. It is the
# only fact told more than a few times a job, so whatever it needs is looked up before.
Pulse = Callable[[float, int], None]


class Observer(Protocol):
    """Watches one engine and its doors."""

    def submitted(self, job: Job) -> None:
        """A new job is stored, and waits."""
        ...

    def claimed(self, job: Job) -> None:
        """A worker has begun a job's next attempt."""
        ...

    def asked(self, job: Job, model: Model, request: Request, now: float) -> Pulse | None:
        """A model is asked, once, from loop time `now` on; whom to tell of what it says."""
        ...

    def answered(self, job: Job, model: Model) -> None:
        """The first word of an answer is there."""
        ...

    def failed(self, job: Job, model: Model | None, error: ProviderError, *, shown: bool) -> None:
        """A try came to nothing.

        Args:
            model: None where no provider serves any of the job's models.
            shown: readers have seen some of its answer.
        """
        ...

    def ended(self, job: Job) -> None:
        """A job is over, and that is stored."""
        ...

    def called_back(self, delivery: Delivery, took_s: float | None) -> None:
        """One POST of a callback is over; the delivery is as it stands after it.

        Args:
            took_s: None where the callback was given up without another.
        """
        ...

    def joined(self, form: str, job: Job, *, resumed: bool) -> None:
        """A reader's connection opened.

        Args:
            form: the wire format of its stream.
            resumed: it came back for what follows its last event.
        """
        ...

    def left(self, form: str, job: Job, lasted_s: float) -> None:
        """A reader's connection is over."""
        ...

    def refused(self, door: str, error: GatewayError) -> None:
        """A request was answered with an error."""
        ...


class Observers:
    """Several observers as one; none is silence."""

    def __init__(self, *observers: Observer) -> None:
        """Tell each of them everything, in this order."""
        self._all = observers

    def submitted(self, job: Job) -> None:
        for each in self._all:
            each.submitted(job)

    def claimed(self, job: Job) -> None:
        for each in self._all:
            each.claimed(job)

    def asked(self, job: Job, model: Model, request: Request, now: float) -> Pulse | None:
        pulses = []
        for each in self._all:
            pulse = each.asked(job, model, request, now)
            if pulse is not None:
                pulses.append(pulse)
        return _together(pulses)

    def answered(self, job: Job, model: Model) -> None:
        for each in self._all:
            each.answered(job, model)

    def failed(self, job: Job, model: Model | None, error: ProviderError, *, shown: bool) -> None:
        for each in self._all:
            each.failed(job, model, error, shown=shown)

    def ended(self, job: Job) -> None:
        for each in self._all:
            each.ended(job)

    def called_back(self, delivery: Delivery, took_s: float | None) -> None:
        for each in self._all:
            each.called_back(delivery, took_s)

    def joined(self, form: str, job: Job, *, resumed: bool) -> None:
        for each in self._all:
            each.joined(form, job, resumed=resumed)

    def left(self, form: str, job: Job, lasted_s: float) -> None:
        for each in self._all:
            each.left(form, job, lasted_s)

    def refused(self, door: str, error: GatewayError) -> None:
        for each in self._all:
            each.refused(door, error)


def _together(pulses: Sequence[Pulse]) -> Pulse | None:
    if len(pulses) < 2:
        return pulses[0] if pulses else None

    def pulse(now: float, outputs: int) -> None:
        for each in pulses:
            each(now, outputs)

    return pulse
