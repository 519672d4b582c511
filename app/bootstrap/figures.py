"""The numbers of a service: of this process alone, or of all workers, each of which lets the others see its own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Final

from app.adapters.journal import ServiceJournal
from app.adapters.metrics import PrometheusMetrics
from app.adapters.worker_figures import WorkerFigures
from app.bootstrap.seats import Post

_PUBLISH_S: Final = 1.0


def open_metrics(journal: ServiceJournal, post: Post | None, parts: AsyncExitStack) -> PrometheusMetrics:
    """Return the numbers; a worker's are published every second, and once more after the last answer was counted."""
    if post is None:
        return PrometheusMetrics(journal, version=version("yanzhen"))
    figures = WorkerFigures(post.seat.folder, post.seat.own_name)
    metrics = PrometheusMetrics(journal, version=version("yanzhen"), figures=figures)
    parts.callback(_publish, metrics, journal)
    publisher = asyncio.create_task(_publish_often(metrics, journal))
    parts.push_async_callback(_end, publisher)
    return metrics


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))


async def _publish_often(metrics: PrometheusMetrics, journal: ServiceJournal) -> None:
    while True:
        await asyncio.to_thread(_publish, metrics, journal)
        await asyncio.sleep(_PUBLISH_S)


def _publish(metrics: PrometheusMetrics, journal: ServiceJournal) -> None:
    try:
        metrics.publish()
    except OSError as error:
        journal.failed("figures_not_published", error)
