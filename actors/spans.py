"""A Prometheus histogram of times by handler that takes many observations at once: a busy node has thousands a second,
and the library's own takes each through a lock, twice.

State: per handler the counts of the buckets, the sum, and since when there is one.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

MICROSECONDS = 1_000_000


class _Child:
    def __init__(self, buckets: int) -> None:
        self.counts = [0] * (buckets + 1)
        self.sum = 0
        self.created = time.time()


class Spans(Collector):
    """See the module. `bounds` are the upper ends of the buckets, in seconds, rising."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._labelnames = ("handler",)  # called so in all of the library's metrics
        self._bounds = [round(bound * MICROSECONDS) for bound in bounds]
        self._ends = [*map(floatToGoString, bounds), "+Inf"]
        self._children: dict[str, _Child] = {}
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, handler: str, spans: Sequence[int]) -> None:
        """Count these, in microseconds."""
        with self._lock:
            child = self._children.get(handler)
            if child is None:
                child = self._children[handler] = _Child(len(self._bounds))
            child.sum += sum(spans)
            for span in spans:
                child.counts[bisect_left(self._bounds, span)] += 1

    def describe(self) -> Iterator[Metric]:
        """For the registry: which name is taken."""
        yield HistogramMetricFamily(self._name, self._text, labels=self._labelnames)

    def collect(self) -> Iterator[Metric]:
        """For the registry: what there is."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labelnames)
        with self._lock:
            for handler, child in self._children.items():
                buckets = [(end, float(n)) for end, n in zip(self._ends, accumulate(child.counts), strict=True)]
                family.add_metric([handler], buckets, child.sum / MICROSECONDS)
                family.add_sample(f"{self._name}_created", {"handler": handler}, child.created)
        yield family
