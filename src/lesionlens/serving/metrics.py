"""Metrics for Prometheus; no label ever holds anything that a client sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as MEDIA_TYPE
from prometheus_client.registry import Collector

__all__ = ["MEDIA_TYPE", "Metrics"]
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH")


Read = tuple[str, Callable[[], float]]


class _Counts(Collector):
    """Counters whose values others keep."""

    def __init__(self, counts: Mapping[str, Read]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        for name, (description, read) in self._counts.items():
            yield CounterMetricFamily(name, description, value=read())


class Metrics:
    """Counts since the start, and gauges, in a registry of their own.

    Args:
        build: labels that say what runs here.
        gauges: description of each gauge, and what reads it, by name.
        counts: the same of what only grows; in the text their names end with `_total`.
    """

    def __init__(self, build: Mapping[str, str], gauges: Mapping[str, Read], counts: Mapping[str, Read] | None = None) -> None:
        self._registry = registry = CollectorRegistry()
        self._build = Gauge("lesionlens_build_info", "What runs here.", [*build], registry=registry)
        self.build(build)
        self._requests = Counter(
            "lesionlens_requests", "Requests by method, route and status.", ["method", "route", "status"], registry=registry
        )
        self._predictions = Counter("lesionlens_answers", "Predictions by outcome.", ["outcome"], registry=registry)
        self._refusals = Counter("lesionlens_refusals", "Refused requests by code.", ["code"], registry=registry)
        self._seconds = Histogram(
            "lesionlens_request_seconds", "From request headers to end of response.", registry=registry, buckets=BUCKETS
        )
        self._steps = Histogram("lesionlens_step_seconds", "Steps of predictions.", ["step"], registry=registry, buckets=BUCKETS)
        for name, (description, read) in gauges.items():
            Gauge(name, description, registry=registry).set_function(read)
        registry.register(_Counts(counts or {}))
        ProcessCollector(registry=registry)

    def build(self, labels: Mapping[str, str]) -> None:
        """Say what runs here from now on; the labels have the names of those before."""
        self._build.clear()
        self._build.labels(**labels).set(1)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request by its route, never by its address."""
        self._requests.labels(method if method in METHODS else "other", route or "none", status).inc()
        self._seconds.observe(seconds)

    def prediction(self, outcome: str, timings_ms: Mapping[str, float]) -> None:
        """Count a prediction and the time of its steps."""
        self._predictions.labels(outcome).inc()
        for step, ms in timings_ms.items():
            self._steps.labels(step).observe(ms / 1000)

    def refusal(self, code: str) -> None:
        """Count a refusal."""
        self._refusals.labels(code).inc()

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
