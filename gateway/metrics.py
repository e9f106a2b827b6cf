"""What is counted and measured, as Prometheus reads it.

https://prometheus.io/docs/instrumenting/exposition_formats/

Labels are bounded: apps are those of the configuration and models those of the catalog, and what
is neither is `other`; no user, id or address is ever a label.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry, Info
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from gateway.catalog import Model
from gateway.engine.observer import Pulse
from gateway.errors import GatewayError, ProviderError
from gateway.events import Failed, Usage
from gateway.gauges import gauges
from gateway.jobs import Job, Outcome
from gateway.messages import Request
from gateway.spending import MICROS
from gateway.surfaces.overview import Overview
from gateway.tallies import Counts, Labels, Spread, Times
from gateway.webhooks import Delivery, DeliveryState

OTHER = "other"

C = TypeVar("C", bound=Collector)

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
        self._count_requests()
        self._measure_times()
        self._count_spending()
        self._count_outside()
        Info("gateway", "Which version runs.", registry=self.registry).info({"version": version})
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(self)

    def _of(self, collector: C) -> C:
        self.registry.register(collector)
        return collector

    def _count_requests(self) -> None:
        self._accepted = self._of(Counts("gateway_requests", "Requests accepted.", "app", "door"))
        self._over = self._of(
            Counts(
                "gateway_requests_ended",
                "Requests that are over, by their final state.",
                *("app", "door", "state"),
            )
        )
        self._errors = self._of(
            Counts(
                "gateway_errors",
                "Accepted requests that failed, by what went wrong.",
                *("door", "code"),
            )
        )
        self._refusals = self._of(
            Counts(
                "gateway_refusals",
                "Requests answered with an error, by what was wrong.",
                *("door", "code"),
            )
        )
        self._failures = self._of(
            Counts(
                "gateway_provider_failures",
                "Tries at a model that came to nothing; most are made up for by another.",
                *("model", "provider", "code"),
            )
        )

    def _measure_times(self) -> None:
        self._duration = self._of(
            Times("gateway_request_duration_seconds", "From acceptance to the end.", _RUNS, "door")
        )
        self._app_duration = self._of(
            Times("gateway_app_request_duration_seconds", "From acceptance to the end.", (), "app")
        )
        self._wait = self._of(
            Times("gateway_queue_wait_seconds", "From acceptance to a worker.", _WAITS, "door")
        )
        self._run = self._of(
            Times(
                "gateway_run_duration_seconds",
                "From a worker to the end.",
                _RUNS,
                *("model", "provider"),
            )
        )
        self._first = self._of(
            Times(
                "gateway_first_token_seconds",
                "From acceptance to the first word of the answer.",
                _WAITS,
                *("model", "provider"),
            )
        )
        self._chunks = self._of(
            Counts("gateway_chunks", "Pieces of answers that came.", "model", "provider")
        )
        self._gaps = self._of(
            Times(
                "gateway_chunk_gap_seconds",
                "Between two reads of an answer.",
                _GAPS,
                *("model", "provider"),
            )
        )
        self._lag = self._of(
            Times("gateway_loop_lag_seconds", "How late the event loop came to a timer.", _LAGS)
        )

    def _count_spending(self) -> None:
        self._tokens = self._of(
            Counts(
                "gateway_tokens",
                "Tokens read (prompt) and written (completion) by models.",
                *("app", "model", "kind"),
            )
        )
        self._cost = self._of(
            Counts(
                "gateway_cost_dollars",
                "What answers cost by the prices of the catalog, US dollars.",
                *("app", "model"),
            )
        )

    def _count_outside(self) -> None:
        """What readers and receivers of callbacks do."""
        self._readers = self._of(
            Counts(
                "gateway_streams_open",
                "Connections of readers, by their wire format.",
                "form",
                family=GaugeMetricFamily,
            )
        )
        self._lasted = self._of(
            Times("gateway_stream_duration_seconds", "How long readers stay.", _STREAMS, "form")
        )
        self._resumes = self._of(
            Counts(
                "gateway_stream_resumes",
                "Readers who came back for what follows their last event.",
                "form",
            )
        )
        self._callbacks = self._of(
            Counts(
                "gateway_callbacks",
                "POSTs of callbacks: delivered, unconfirmed or dead at the last, retried or raced "
                "(the workflow did not wait yet) before it.",
                "outcome",
            )
        )
        self._post = self._of(
            Times("gateway_callback_duration_seconds", "How long receivers take.", _RUNS)
        )

    # -- telling ------------------------------------------------------------------------------

    def render(self, overview: Overview, accept: str) -> tuple[bytes, str]:
        """Everything as it stands, and the content type, of those that `accept` names."""
        self._overview = overview
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def collect(self) -> Iterator[Metric]:
        """What is looked at, for the registry."""
        if self._overview is not None:
            yield from gauges(self._overview, self._budgets(), self._app, self._model)

    # -- being told ---------------------------------------------------------------------------

    def submitted(self, job: Job) -> None:
        self._accepted.of[self._app(job.owner.tenant), job.door] += 1

    def claimed(self, job: Job) -> None:
        if job.attempt == 1 and job.claimed_at is not None:
            self._wait.at((job.door,)).add(max(0.0, job.claimed_at - job.created_at))

    def asked(self, job: Job, model: Model, request: Request, now: float) -> Pulse:
        labels = (self._model(model.name), model.provider)
        return _pulse(self._chunks.of, labels, self._gaps.at(labels))

    def answered(self, job: Job, model: Model) -> None:
        """It is measured at the end: the job then tells it."""

    def failed(self, job: Job, model: Model | None, error: ProviderError, *, shown: bool) -> None:
        name = OTHER if model is None else self._model(model.name)
        provider = OTHER if model is None else model.provider
        self._failures.of[name, provider, error.code] += 1

    def ended(self, job: Job) -> None:
        app, outcome = self._app(job.owner.tenant), job.outcome
        if outcome is None or job.finished_at is None:
            raise AssertionError("what has ended has an outcome")
        took_s = max(0.0, job.finished_at - job.created_at)
        self._over.of[app, job.door, job.state.value] += 1
        self._duration.at((job.door,)).add(took_s)
        self._app_duration.at((app,)).add(took_s)
        if isinstance(outcome.terminal, Failed):
            self._errors.of[job.door, outcome.terminal.code] += 1
        if outcome.usage is not None:
            self._answered(app, job, outcome, outcome.usage)

    def _answered(self, app: str, job: Job, outcome: Outcome, usage: Usage) -> None:
        model, provider = self._model(outcome.model), outcome.provider or OTHER
        self._tokens.of[app, model, "prompt"] += usage.prompt_tokens
        self._tokens.of[app, model, "completion"] += usage.completion_tokens
        self._cost.of[app, model] += outcome.cost / MICROS
        began, ended, first = job.claimed_at, job.finished_at, outcome.first_token_at
        if first is not None and began is not None and ended is not None:
            self._first.at((model, provider)).add(max(0.0, first - job.created_at))
            self._run.at((model, provider)).add(max(0.0, ended - began))

    def called_back(self, delivery: Delivery, took_s: float | None) -> None:
        self._callbacks.of[_outcome(delivery),] += 1
        if took_s is not None:
            self._post.at(()).add(took_s)

    def joined(self, form: str, job: Job, *, resumed: bool) -> None:
        self._readers.of[form,] += 1
        if resumed:
            self._resumes.of[form,] += 1

    def left(self, form: str, job: Job, lasted_s: float) -> None:
        self._readers.of[form,] -= 1
        self._lasted.at((form,)).add(lasted_s)

    def refused(self, door: str, error: GatewayError) -> None:
        self._refusals.of[door, error.code] += 1

    def lagged(self, late_s: float) -> None:
        """The loop came to a timer so late."""
        self._lag.at(()).add(late_s)

    # -- labels -------------------------------------------------------------------------------

    def _app(self, name: str) -> str:
        return name if self._is_app(name) else OTHER

    def _model(self, name: str | None) -> str:
        return name if name is not None and self._is_model(name) else OTHER


def _pulse(chunks: defaultdict[Labels, float], labels: Labels, gaps: Spread) -> Pulse:
    last: float | None = None

    def pulse(now: float, outputs: int) -> None:
        nonlocal last
        chunks[labels] += outputs
        if last is not None:
            gaps.add(now - last)
        last = now

    return pulse


def _outcome(delivery: Delivery) -> str:
    match delivery.state:
        case DeliveryState.DELIVERED:
            return "delivered"
        case DeliveryState.UNCONFIRMED:
            return "unconfirmed"
        case DeliveryState.DEAD:
            return "dead"
    return "raced" if delivery.last_status == 409 else "retried"
