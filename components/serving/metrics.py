"""What Prometheus is told: requests, how long they took, how many there are, and of which model."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class ServerMetrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "trefoil_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "trefoil_request_seconds", "From the request's first byte read to its answer.",
            ["route"], buckets=_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._model = Gauge(
            "trefoil_model_info", "The model being served.", ["name", "version"],
            registry=self._registry,
        )  # fmt: skip
        flying = Gauge("trefoil_in_flight", "Requests being answered.", registry=self._registry)
        flying.set_function(lambda: self.in_flight)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._counts: dict[tuple[str, int], Counter] = {}
        self._times: dict[str, Histogram] = {}

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one request. Looking a label up costs more than counting, so it is kept."""
        count = self._counts.get((route, status))
        if count is None:
            count = self._counts[route, status] = self._requests.labels(route, str(status))
        time = self._times.get(route)
        if time is None:
            time = self._times[route] = self._seconds.labels(route)
        count.inc()
        time.observe(seconds)

    def model(self, name: str, version: str) -> None:
        """Say which model is served."""
        self._model.labels(name, version).set(1)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)
