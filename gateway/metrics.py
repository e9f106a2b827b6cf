"""What is counted and measured, as Prometheus reads it.

https://prometheus.io/docs/instrumenting/exposition_formats/

Labels are bounded: apps are those of the configuration and models those of the catalog, and what
is neither is `other`; no user, id or address is ever a label.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from math import inf, isinf
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from gateway.catalog import Model
from gateway.engine.observer import Pulse
from gateway.errors import GatewayError, ProviderError
from gateway.events import Failed, Usage
from gateway.jobs import Job, Outcome
from gateway.levels import levels
from gateway.messages import Request
from gateway.spending import MICROS
from gateway.surfaces.overview import Overview
from gateway.webhooks import Delivery, DeliveryState

OTHER = "other"

M = TypeVar("M", Counter, Gauge, Histogram, Summary)

# Upper ends of the ranges that times are counted in, seconds.
_WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_RUNS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300)
_GAPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STREAMS = (0.1, 1, 5, 15, 30, 60, 120, 300, 600, 900, 1200)
_LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Metrics:
    """An observer that counts. Asked for them, it writes them down."""

    def __init__(
        self,
        *,
        version: str,
        is_app: Callable[[str], bool],
        is_model: Callable[[str], bool],
        budgets: Callable[[], Mapping[str, float]],
    ) -> None:
        """Begin at zero.

        Args:
            is_app: the name is of an app of the configuration.
            is_model: the name is of a model of the catalog.
            budgets: which part of its budget each app has spent that has one.
        """
        self.registry = CollectorRegistry()
        self._is_app = is_app
        self._is_model = is_model
        self._budgets = budgets
        # As it was when somebody last wanted to know.
        self._overview: Overview | None = None
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._parts: dict[tuple[Any, tuple[str, ...]], Any] = {}
        self._count_requests()
        self._measure_times()
        self._count_spending()
        self._count_outside()
        Info("gateway", "Which version runs.", registry=self.registry).info({"version": version})
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(self)

    def _count_requests(self) -> None:
        registry = self.registry
        self._accepted = Counter(
            "gateway_requests", "Requests accepted.", ("app", "door"), registry=registry
        )
        self._over = Counter(
            "gateway_requests_ended",
            "Requests that are over, by their final state.",
            ("app", "door", "state"),
            registry=registry,
        )
        self._errors = Counter(
            "gateway_errors",
            "Accepted requests that failed, by what went wrong.",
            ("door", "code"),
            registry=registry,
        )
        self._refusals = Counter(
            "gateway_refusals",
            "Requests answered with an error, by what was wrong.",
            ("door", "code"),
            registry=registry,
        )
        self._failures = Counter(
            "gateway_provider_failures",
            "Tries at a model that came to nothing; most are made up for by another.",
            ("model", "provider", "code"),
            registry=registry,
        )

    def _measure_times(self) -> None:
        self._duration = self._histogram(
            "gateway_request_duration_seconds", "From acceptance to the end.", _RUNS, "door"
        )
        self._app_duration = Summary(
            "gateway_app_request_duration_seconds",
            "From acceptance to the end.",
            ("app",),
            registry=self.registry,
        )
        self._wait = self._histogram(
            "gateway_queue_wait_seconds", "From acceptance to a worker.", _WAITS, "door"
        )
        self._run = self._histogram(
            "gateway_run_duration_seconds", "From a worker to the end.", _RUNS, "model", "provider"
        )
        self._first = self._histogram(
            "gateway_first_token_seconds",
            "From acceptance to the first word of the answer.",
            _WAITS,
            "model",
            "provider",
        )
        self._lag = self._histogram(
            "gateway_loop_lag_seconds", "How late the event loop came to a timer.", _LAGS
        )

    def _count_spending(self) -> None:
        self._tokens = Counter(
            "gateway_tokens",
            "Tokens read (prompt) and written (completion) by models.",
            ("app", "model", "kind"),
            registry=self.registry,
        )
        self._cost = Counter(
            "gateway_cost_dollars",
            "What answers cost by the prices of the catalog, US dollars.",
            ("app", "model"),
            registry=self.registry,
        )

    def _count_outside(self) -> None:
        """What readers and receivers of callbacks do."""
        self._readers = Gauge(
            "gateway_streams_open",
            "Connections of readers, by their wire format.",
            ("form",),
            registry=self.registry,
        )
        self._lasted = self._histogram(
            "gateway_stream_duration_seconds", "How long readers stay.", _STREAMS, "form"
        )
        self._resumes = Counter(
            "gateway_stream_resumes",
            "Readers who came back for what follows their last event.",
            ("form",),
            registry=self.registry,
        )
        self._callbacks = Counter(
            "gateway_callbacks",
            "POSTs of callbacks: delivered, unconfirmed or dead at the last, retried or raced (the "
            "workflow did not wait yet) before it.",
            ("outcome",),
            registry=self.registry,
        )
        self._post = self._histogram(
            "gateway_callback_duration_seconds", "How long receivers take.", _RUNS
        )

    def _histogram(self, name: str, says: str, ends: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, says, labels, buckets=ends, registry=self.registry)

    # -- telling ------------------------------------------------------------------------------

    def render(self, overview: Overview, accept: str) -> tuple[bytes, str]:
        """Everything as it stands, and the content type, of those that `accept` names."""
        self._overview = overview
        encode, content_type = choose_encoder(accept)
        return encode(_Plain(self.registry)), content_type

    def collect(self) -> Iterator[Metric]:
        """What is counted for every read of an answer, and what is looked at, for the registry."""
        chunks = CounterMetricFamily(
            "gateway_chunks", "Pieces of answers that came.", labels=("model", "provider")
        )
        gaps = HistogramMetricFamily(
            "gateway_chunk_gap_seconds",
            "Between two reads of an answer.",
            labels=("model", "provider"),
        )
        for labels, stream in self._streams.items():
            chunks.add_metric(labels, stream.outputs)
            gaps.add_metric(labels, stream.buckets(), stream.gap_s)
        yield chunks
        yield gaps
        if self._overview is not None:
            yield from levels(self._overview, self._budgets(), self._app, self._model)

    # -- being told ---------------------------------------------------------------------------

    def submitted(self, job: Job) -> None:
        self._at(self._accepted, self._app(job.owner.tenant), job.door).inc()

    def claimed(self, job: Job) -> None:
        if job.attempt == 1 and job.claimed_at is not None:
            self._at(self._wait, job.door).observe(max(0.0, job.claimed_at - job.created_at))

    def asked(self, job: Job, model: Model, request: Request, now: float) -> Pulse:
        labels = (self._model(model.name), model.provider)
        stream = self._streams.get(labels)
        if stream is None:
            stream = self._streams[labels] = _Stream()
        return _pulse(stream)

    def answered(self, job: Job, model: Model) -> None:
        """It is measured at the end: the job then tells it."""

    def failed(self, job: Job, model: Model | None, error: ProviderError, *, shown: bool) -> None:
        name = OTHER if model is None else self._model(model.name)
        provider = OTHER if model is None else model.provider
        self._at(self._failures, name, provider, error.code).inc()

    def ended(self, job: Job) -> None:
        app, outcome = self._app(job.owner.tenant), job.outcome
        if outcome is None or job.finished_at is None:
            raise AssertionError("what has ended has an outcome")
        took_s = max(0.0, job.finished_at - job.created_at)
        self._at(self._over, app, job.door, job.state.value).inc()
        self._at(self._duration, job.door).observe(took_s)
        self._at(self._app_duration, app).observe(took_s)
        if isinstance(outcome.terminal, Failed):
            self._at(self._errors, job.door, outcome.terminal.code).inc()
        if outcome.usage is not None:
            self._answered(app, job, outcome, outcome.usage)

    def _answered(self, app: str, job: Job, outcome: Outcome, usage: Usage) -> None:
        model, provider = self._model(outcome.model), outcome.provider or OTHER
        self._at(self._tokens, app, model, "prompt").inc(usage.prompt_tokens)
        self._at(self._tokens, app, model, "completion").inc(usage.completion_tokens)
        self._at(self._cost, app, model).inc(outcome.cost / MICROS)
        began, ended, first = job.claimed_at, job.finished_at, outcome.first_token_at
        if first is not None and began is not None and ended is not None:
            self._at(self._first, model, provider).observe(max(0.0, first - job.created_at))
            self._at(self._run, model, provider).observe(max(0.0, ended - began))

    def called_back(self, delivery: Delivery, took_s: float | None) -> None:
        self._at(self._callbacks, _outcome(delivery)).inc()
        if took_s is not None:
            self._post.observe(took_s)

    def joined(self, form: str, job: Job, *, resumed: bool) -> None:
        self._at(self._readers, form).inc()
        if resumed:
            self._at(self._resumes, form).inc()

    def left(self, form: str, job: Job, lasted_s: float) -> None:
        self._at(self._readers, form).dec()
        self._at(self._lasted, form).observe(lasted_s)

    def refused(self, door: str, error: GatewayError) -> None:
        self._at(self._refusals, door, error.code).inc()

    def lagged(self, late_s: float) -> None:
        """The loop came to a timer so late."""
        self._lag.observe(late_s)

    # -- labels -------------------------------------------------------------------------------

    def _at(self, metric: M, *labels: str) -> M:
        """The part of a metric that has these labels."""
        known: M | None = self._parts.get((metric, labels))
        if known is None:
            # Dearer than counting: once for each set of labels, of which there are few.
            known = self._parts[metric, labels] = metric.labels(*labels)
        return known

    def _app(self, name: str) -> str:
        return name if self._is_app(name) else OTHER

    def _model(self, name: str | None) -> str:
        return name if name is not None and self._is_model(name) else OTHER


class _Plain(Collector):
    """What a registry collects, less when each sample was first counted.

    Nobody asks for that, and it is a third of all lines.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [each for each in family.samples if each.name[-8:] != "_created"]
            yield family


class _Stream:
    """The reads of all answers of one model. Adding one costs a fraction of a microsecond."""

    __slots__ = ("counts", "gap_s", "outputs")

    def __init__(self) -> None:
        self.outputs = 0
        self.gap_s = 0.0
        self.counts = [0] * (len(_GAPS) + 1)

    def buckets(self) -> list[tuple[str, float]]:
        """How many gaps are at most so long, as Prometheus has it: each counts the shorter too."""
        found: list[tuple[str, float]] = []
        count = 0
        for end, more in zip((*_GAPS, inf), self.counts, strict=True):
            count += more
            found.append((_written(end), count))
        return found


def _pulse(stream: _Stream) -> Pulse:
    last: float | None = None
    counts = stream.counts

    def pulse(now: float, outputs: int) -> None:
        nonlocal last
        stream.outputs += outputs
        if last is not None:
            gap_s = now - last
            stream.gap_s += gap_s
            counts[bisect_left(_GAPS, gap_s)] += 1
        last = now

    return pulse


def _written(end: float) -> str:
    return "+Inf" if isinf(end) else str(end)


def _outcome(delivery: Delivery) -> str:
    match delivery.state:
        case DeliveryState.DELIVERED:
            return "delivered"
        case DeliveryState.UNCONFIRMED:
            return "unconfirmed"
        case DeliveryState.DEAD:
            return "dead"
    return "raced" if delivery.last_status == 409 else "retried"
