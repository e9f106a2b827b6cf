"""How the gateway is at this moment, as Prometheus' gauges: what is not counted but looked at."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.surfaces.overview import Overview

# The label for a name: one of a closed set.
Label = Callable[[str], str]
Values = Iterable[tuple[tuple[str, ...], float]]


def gauges(
    overview: Overview, budgets: Mapping[str, float], app_of: Label, model_of: Label
) -> Iterator[Metric]:
    """All gauges.

    Args:
        budgets: which part of its budget each app has spent that has one.
    """
    yield from _work(overview, app_of)
    yield from _models(overview, model_of)
    yield from _callbacks(overview)
    yield from _process(overview)
    yield _gauge(
        "budget_spent_ratio",
        "Which part of its budget an app has spent; 1 is all of it.",
        [((app_of(app),), part) for app, part in budgets.items()],
        "app",
    )


def _work(overview: Overview, app_of: Label) -> Iterator[Metric]:
    queue, workers = overview["queue"], overview["workers"]
    waiting, running = Counter[str](), Counter[str]()
    for load in queue["apps"]:
        waiting[app_of(load["app"])] += load["waiting"]
        running[app_of(load["app"])] += load["running"]
    yield _gauge(
        "requests_active",
        "Accepted requests that are not over.",
        [(("queued",), waiting.total()), (("processing",), running.total())],
        "state",
    )
    yield _gauge("queue_depth", "Requests that wait.", _each(waiting), "app")
    yield _gauge("requests_running", "Requests that have begun.", _each(running), "app")
    yield _gauge("queue_capacity", "Requests that may wait.", _one(queue["capacity"]))
    yield _gauge(
        "queue_oldest_seconds",
        "How long the request has waited that came first.",
        _one(queue["oldest_wait_s"] or 0),
    )
    yield _gauge("workers", "Requests that may run at a time.", _one(workers["count"]))
    yield _gauge("workers_busy", "Slots in use.", _one(workers["busy"]))
    yield _gauge("readers", "Readers of logs, on every wire.", _one(overview["readers"]))


def _models(overview: Overview, model_of: Label) -> Iterator[Metric]:
    spared = {
        (model_of(each["model"]), each["provider"]): 1.0 if each["state"] != "failing" else 0.0
        for each in overview["breakers"]
    }
    yield _gauge(
        "model_spared",
        "1 where a model failed so often that it is left alone for a while.",
        spared.items(),
        "model",
        "provider",
    )
    yield _gauge(
        "provider_up",
        "1 where a provider that there is a key for answered when it was last asked.",
        [
            ((each["name"],), float(each["status"] == "connected"))
            for each in overview["providers"]
            if each["status"] not in ("no key", "unknown")
        ],
        "provider",
    )


def _callbacks(overview: Overview) -> Iterator[Metric]:
    callbacks = overview["callbacks"]
    yield _gauge("callbacks_pending", "Callbacks to be sent.", _one(callbacks["pending"]))
    yield _gauge(
        "callbacks_oldest_seconds",
        "How long the oldest of them has been owed.",
        _one(callbacks["oldest_pending_s"] or 0),
    )
    yield _gauge("dead_letters", "Callbacks given up and still kept.", _one(callbacks["dead"]))


def _process(overview: Overview) -> Iterator[Metric]:
    yield _gauge("uptime_seconds", "Since the start.", _one(overview["uptime_s"]))
    yield _gauge("draining", "1 while nothing new is taken.", _one(overview["draining"]))
    says = "1 where there is too little room for new requests."
    yield _gauge("disk_low", says, _one(overview["disk"]["low"]))
    yield _gauge("conversations", "Conversations kept.", _one(overview["conversations"]))


def _one(value: float) -> Values:
    return [((), float(value))]


def _each(counted: Counter[str]) -> Values:
    return [((name,), float(count)) for name, count in counted.items()]


def _gauge(name: str, says: str, values: Values, *labels: str) -> Metric:
    family = GaugeMetricFamily(f"gateway_{name}", says, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family
