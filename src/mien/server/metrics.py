"""Figures for Prometheus: how fast, how much, how sure. One registry per application.

Labels come from closed lists, so that neither names nor collections nor addresses as they were
typed find their way into a monitoring system.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.faces.quality import Reject
from mien.gallery.decide import Decision

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
"""Of the text that `ServerMetrics.text` gives."""

_OTHER: Final = "other"
_SECONDS: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30)
_COSINES: Final = tuple(round(-0.2 + 0.05 * step, 2) for step in range(25))
_BATCHES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 32)
_DECISIONS: Final = frozenset(map(str, Decision))
_REASONS: Final = frozenset(map(str, Reject)) | {
    "NO_FACE",
    "EXCEEDS_MAX_FACES",
    "ASSOCIATED_TO_A_DIFFERENT_USER",
    "LOW_MATCH_CONFIDENCE",
}


class ServerMetrics:
    """What one application counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "mien_request_seconds",
            "Time from a request's head to the end of its answer.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._faces = self._counter("mien_faces_analysed", "Faces found and made into templates.")
        self._refused = self._counter(
            "mien_enrolment_refusals", "Faces that were not enrolled, by reason.", "reason"
        )
        self._decisions = self._counter("mien_decisions", "Answers to probes, by kind.", "kind")
        self._best = self._histogram(
            "mien_best_score", "Cosine of each probe to the nearest person.", _COSINES
        )
        self._batches = self._histogram(
            "mien_batch_size", "Pictures that a worker took at once.", _BATCHES
        )
        self._queue = Gauge(
            "mien_queue_depth", "Pictures waiting for a worker.", registry=self.registry
        )
        self._gallery = Gauge(
            "mien_gallery_templates", "Templates in all collections.", registry=self.registry
        )
        for reason in _REASONS:  # from zero on, so that a first refusal is a change
            self._refused.labels(reason)
        for kind in _DECISIONS:
            self._decisions.labels(kind)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            method: Its method.
            route: Template of its path, never the path itself.
            status: Status of the answer.
            seconds: How long it took.
        """
        known = method if method in {"GET", "POST", "PUT", "PATCH", "DELETE"} else _OTHER
        self._seconds.labels(known, route, f"{status // 100}xx").observe(seconds)

    def faces(self, count: int) -> None:
        """Count faces that were analysed."""
        self._faces.inc(count)

    def refused(self, reasons: Iterable[str]) -> None:
        """Count a face that was not enrolled, under each reason."""
        for reason in reasons:
            self._refused.labels(reason if reason in _REASONS else _OTHER).inc()

    def decision(self, kind: str, best: float | None = None) -> None:
        """Count an answer to a probe.

        Args:
            kind: A `Decision`.
            best: Cosine to the nearest person, if there is one.
        """
        self._decisions.labels(kind if kind in _DECISIONS else _OTHER).inc()
        if best is not None:
            self._best.observe(best)

    def batch(self, size: int) -> None:
        """Count pictures that a worker took at once."""
        self._batches.observe(size)

    def watch(self, *, queue: Callable[[], int], gallery: Callable[[], int]) -> None:
        """Say where the gauges are read from, whenever somebody looks."""
        self._queue.set_function(queue)
        self._gallery.set_function(gallery)

    def text(self) -> bytes:
        """All figures in Prometheus's text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(name, help_, labels, registry=self.registry)

    def _histogram(self, name: str, help_: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, help_, buckets=buckets, registry=self.registry)


class MeasureRequests:
    """Middleware that times requests by the template of their path."""

    def __init__(self, app: ASGIApp, *, metrics: ServerMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            seconds = time.perf_counter() - start
            self._metrics.request(scope["method"], _template(scope), status, seconds)


def _template(scope: Scope) -> str:
    """The template of a request's path, as the router left it in the scope.

    In newer releases of FastAPI the route lacks the prefix under which its router was included;
    the whole template stands beside it. Where it does not, the shorter one is still a template.
    """
    context = scope.get("fastapi", {}).get("effective_route_context")
    route = scope.get("route")
    return str(getattr(context, "path", None) or getattr(route, "path", None) or _OTHER)
