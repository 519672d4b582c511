"""Spans, where the settings name a collector: the journal and the pipeline are then ones that make them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import TYPE_CHECKING

from app.adapters.journal import ServiceJournal
from app.core.errors import SettingsInvalid
from app.core.ports.clock import Clock
from app.logs import Logs
from app.settings import Settings
from channels.base import ChannelAdapter, InboundRequest, OutboundResponse
from channels.pipeline import Pipeline

if TYPE_CHECKING:
    from app.adapters.telemetry import Tracing


def open_journal(settings: Settings, logs: Logs, clock: Clock, parts: AsyncExitStack) -> ServiceJournal:
    """Return the journal; OpenTelemetry is imported only where ``telemetry.endpoint`` is set.

    Raises ``SettingsInvalid`` where it is set and the extra is not installed.
    """
    chosen = settings.telemetry
    if not chosen.endpoint:
        return ServiceJournal(logs, clock)
    try:
        from app.adapters.telemetry import Tracing, TracingJournal, otlp_exporter

        exporter = otlp_exporter(chosen.endpoint)
    except ImportError as error:
        raise SettingsInvalid(
            "telemetry.endpoint is set and the extra `telemetry` is not installed. Install it (pip install "
            '".[telemetry]" in the source folder), or leave the setting out.'
        ) from error
    tracing = Tracing(exporter, version=version("yanzhen"), share=chosen.share)
    parts.push_async_callback(asyncio.to_thread, tracing.close)
    return TracingJournal(logs, clock, tracing)


def trace_requests(pipeline: Pipeline, journal: ServiceJournal) -> Pipeline:
    """Return the pipeline that spans each request, or the same one where no spans are made."""
    tracing: Tracing | None = getattr(journal, "tracing", None)
    return pipeline if tracing is None else _TracedPipeline(pipeline, tracing)


class _TracedPipeline(Pipeline):
    """Carries through another pipeline, in a span."""

    def __init__(self, pipeline: Pipeline, tracing: Tracing) -> None:
        self._carry = pipeline.carry
        self._tracing = tracing

    async def carry(self, adapter: ChannelAdapter, inbound: InboundRequest) -> OutboundResponse:
        """Return the channel's response to one request; see the pipeline."""
        with self._tracing.request(adapter.manifest.name, inbound.method, inbound.route) as span:
            response = await self._carry(adapter, inbound)
            span.answered(response.status)
            return response
