"""Spans by OpenTelemetry, for whoever already collects them: a request, its verification, the commit.

They say channel, outcome and how long, never a code, a caller or a message. Loaded only where an endpoint is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Tracer

from app.adapters.journal import ServiceJournal
from app.core.model.verdict import Verdict
from app.core.model.verification import VerificationRequest
from app.core.ports.clock import Clock
from app.logs import Logs

_QUEUE: Final = 4096
_BATCH: Final = 512
_EVERY_MS: Final = 2000
_TIMEOUT_S: Final = 2.0


class Tracing:
    """Makes spans of a share of the traces and exports them from a thread of its own, never on a query's way.

    A collector that is down, slow or full costs spans and nothing else: the queue is bounded, the rest is dropped.
    """

    def __init__(self, exporter: SpanExporter, *, version: str, share: float) -> None:
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)),
            # not Resource.create, which would look at the environment
            resource=Resource({"service.name": "yanzhen", "service.version": version}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=_QUEUE,
                max_export_batch_size=_BATCH,
                schedule_delay_millis=_EVERY_MS,
                export_timeout_millis=_TIMEOUT_S * 1000,
            )
        )
        self.tracer: Tracer = self._provider.get_tracer("yanzhen", version)

    @contextmanager
    def request(self, channel: str, method: str, route: str) -> Iterator[RequestSpan]:
        """Span the serving of one request; ``route`` is the pattern of its address, which holds no code."""
        attributes = {"yanzhen.channel": channel, "http.request.method": method, "http.route": route}
        with self.tracer.start_as_current_span(
            "request", kind=SpanKind.SERVER, attributes=attributes, record_exception=False
        ) as span:
            yield RequestSpan(span)

    def close(self) -> None:
        """Send what waits, two seconds at most, and stop; blocks."""
        self._provider.shutdown()


class RequestSpan:
    """The span of a request under way."""

    __slots__ = ("_span",)

    def __init__(self, span: object) -> None:
        self._span = span

    def answered(self, status: int) -> None:
        """Note the status of the response."""
        if isinstance(self._span, Span):  # else it is not sampled
            self._span.set_attribute("http.response.status_code", status)


class TracingJournal(ServiceJournal):
    """The journal of a running service that makes a span of every verdict and commit it is told of."""

    def __init__(self, logs: Logs, clock: Clock, tracing: Tracing) -> None:
        super().__init__(logs, clock)
        self.tracing = tracing
        self._now = clock.now

    def answered(
        self, request: VerificationRequest, verdict: Verdict, *, duplicate: bool, took_ms: float
    ) -> None:
        """Note one verdict; its span is a child of the request it came by."""
        super().answered(request, verdict, duplicate=duplicate, took_ms=took_ms)
        self._span(
            "verification",
            took_ms,
            {
                "yanzhen.channel": request.channel,
                "yanzhen.outcome": verdict.outcome.value,
                "yanzhen.entry": str(request.code.entry),
                "yanzhen.ordinal": verdict.ordinal or 0,
                "yanzhen.duplicate": duplicate,
            },
        )

    def committed(self, drafts: int, took_ms: float) -> None:
        """Note one group commit; it serves many requests and so is a trace of its own."""
        super().committed(drafts, took_ms)
        self._span("commit", took_ms, {"yanzhen.verifications": drafts})

    def _span(self, name: str, took_ms: float, attributes: dict[str, str | int]) -> None:
        ended_at = self._now()
        span = self.tracing.tracer.start_span(
            name, attributes=attributes, start_time=_nanoseconds(ended_at - timedelta(milliseconds=took_ms))
        )
        span.end(_nanoseconds(ended_at))


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1e6) * 1000


def otlp_exporter(endpoint: str) -> SpanExporter:
    """Return the exporter that posts protobuf to ``endpoint`` (OTLP/HTTP, path included)."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint, timeout=_TIMEOUT_S)
