"""Counts and times by their labels, as Prometheus collects them.

prometheus_client's own take a lock and look at their labels each time. One event loop needs
neither: here a count is an addition to a dictionary's value.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import inf, isinf

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class Counts(Collector):
    """How often something happened, or how much of it there is.

    Attributes:
        of: add to it what happened under these labels.
    """

    def __init__(
        self,
        name: str,
        says: str,
        *labels: str,
        family: type[CounterMetricFamily] | type[GaugeMetricFamily] = CounterMetricFamily,
    ) -> None:
        """Count nothing yet.

        Args:
            labels: their names.
            family: a gauge where it can become less.
        """
        self.of: defaultdict[Labels, float] = defaultdict(float)
        self._family: Callable[[], CounterMetricFamily | GaugeMetricFamily]
        self._family = lambda: family(name, says, labels=labels)

    def collect(self) -> Iterator[Metric]:
        family = self._family()
        for labels, count in self.of.items():
            family.add_metric(labels, count)
        yield family


class Spread:
    """Times under one set of labels: their sum, and how many were about so long."""

    __slots__ = ("_ends", "counts", "sum_s")

    def __init__(self, ends: Sequence[float]) -> None:
        self._ends = ends
        self.counts = [0] * (len(ends) + 1)
        self.sum_s = 0.0

    def add(self, took_s: float) -> None:
        self.counts[bisect_left(self._ends, took_s)] += 1
        self.sum_s += took_s

    def buckets(self) -> list[tuple[str, float]]:
        """How many were at most so long, as Prometheus has it: each counts the shorter too."""
        found: list[tuple[str, float]] = []
        count = 0
        for end, more in zip((*self._ends, inf), self.counts, strict=True):
            count += more
            found.append((_written(end), count))
        return found


class Times(Collector):
    """How long something took, in ranges; without ranges, only how often and how long in all."""

    def __init__(self, name: str, says: str, ends: Sequence[float], *labels: str) -> None:
        """Measure nothing yet.

        Args:
            ends: the upper ends of the ranges, seconds, in order.
            labels: their names.
        """
        self._name, self._says, self._ends, self._labels = name, says, ends, labels
        self._of: dict[Labels, Spread] = {}
        if not labels:
            # What has no labels is known from the start.
            self.at(())

    def at(self, labels: Labels) -> Spread:
        """Where the times under these labels are added."""
        spread = self._of.get(labels)
        if spread is None:
            spread = self._of[labels] = Spread(self._ends)
        return spread

    def collect(self) -> Iterator[Metric]:
        if self._ends:
            histogram = HistogramMetricFamily(self._name, self._says, labels=self._labels)
            for labels, spread in self._of.items():
                histogram.add_metric(labels, spread.buckets(), spread.sum_s)
            yield histogram
        else:
            summary = SummaryMetricFamily(self._name, self._says, labels=self._labels)
            for labels, spread in self._of.items():
                summary.add_metric(labels, sum(spread.counts), spread.sum_s)
            yield summary


def _written(end: float) -> str:
    return "+Inf" if isinf(end) else str(float(end))
