"""What the engine tells is told to everybody who watches, and costs nothing where nobody does."""

from typing import Any

from gateway.catalog import Model
from gateway.engine.observer import Observer, Observers, Pulse
from gateway.errors import GatewayError, ProviderError
from gateway.jobs import Job
from gateway.messages import Request
from gateway.webhooks import Delivery
from tests.stores.conformance import delivery_of, new_job

MODEL = Model(name="m", provider="openai", upstream="m")
JOB = new_job()
REQUEST = JOB.request
DELIVERY = delivery_of(JOB)
ERROR = ProviderError()


class Notes:
    """Writes down what it is told."""

    def __init__(self, *, pulses: bool = True) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._pulses = pulses

    def submitted(self, job: Job) -> None:
        self.told.append(("submitted", job))

    def claimed(self, job: Job) -> None:
        self.told.append(("claimed", job))

    def asked(self, job: Job, model: Model, request: Request, now: float) -> Pulse | None:
        self.told.append(("asked", job, model, request, now))
        return self._pulse if self._pulses else None

    def _pulse(self, now: float, outputs: int) -> None:
        self.told.append(("pulse", now, outputs))

    def answered(self, job: Job, model: Model) -> None:
        self.told.append(("answered", job, model))

    def failed(self, job: Job, model: Model | None, error: ProviderError, *, shown: bool) -> None:
        self.told.append(("failed", job, model, error, shown))

    def ended(self, job: Job) -> None:
        self.told.append(("ended", job))

    def called_back(self, delivery: Delivery, took_s: float | None) -> None:
        self.told.append(("called_back", delivery, took_s))

    def joined(self, form: str, job: Job, *, resumed: bool) -> None:
        self.told.append(("joined", form, job, resumed))

    def left(self, form: str, job: Job, lasted_s: float) -> None:
        self.told.append(("left", form, job, lasted_s))

    def refused(self, door: str, error: GatewayError) -> None:
        self.told.append(("refused", door, error))


def tell(observer: Observer) -> None:
    """Everything there is to tell, once."""
    observer.submitted(JOB)
    observer.claimed(JOB)
    pulse = observer.asked(JOB, MODEL, REQUEST, 1.0)
    if pulse is not None:
        pulse(2.0, 3)
    observer.answered(JOB, MODEL)
    observer.failed(JOB, MODEL, ERROR, shown=True)
    observer.ended(JOB)
    observer.called_back(DELIVERY, 0.5)
    observer.joined("text", JOB, resumed=True)
    observer.left("text", JOB, 9.0)
    observer.refused("ask", ERROR)


def test_all_are_told_everything() -> None:
    """As if each were alone."""
    alone, first, second = Notes(), Notes(), Notes()
    tell(alone)
    tell(Observers(first, second))
    assert first.told == second.told == alone.told
    assert len(alone.told) == 11


def test_who_does_not_follow_an_answer_is_not_told_of_its_reads() -> None:
    """One who does is told without a detour."""
    deaf, follower = Notes(pulses=False), Notes()
    pulse = Observers(deaf, follower).asked(JOB, MODEL, REQUEST, 1.0)
    assert pulse == follower._pulse
    assert Observers(deaf).asked(JOB, MODEL, REQUEST, 1.0) is None


def test_nobody_may_watch() -> None:
    """Then there is nobody to tell of the reads of an answer."""
    tell(Observers())
    assert Observers().asked(JOB, MODEL, REQUEST, 1.0) is None
