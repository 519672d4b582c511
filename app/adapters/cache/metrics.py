"""What Redis, the limits without it and copies of the catalogue look like on ``/metrics``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.adapters.cache.connection import RedisConnection
from app.adapters.catalogues_cached import CatalogueTallies


class RedisCollector(Collector):
    """Turns the tallies of a process's connections into metric families, all without labels."""

    def __init__(self, *connections: RedisConnection) -> None:
        self._connections = connections

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        all_tallies = [connection.tallies for connection in self._connections]
        up = GaugeMetricFamily("yanzhen_redis_up", "Processes that reach Redis.")
        up.add_metric((), int(all(connection.up for connection in self._connections)))
        yield up
        for name, text, number in (
            ("calls", "Calls that Redis answered.", sum(one.calls for one in all_tallies)),
            ("calls_without", "Calls that had to do without Redis.", sum(one.without for one in all_tallies)),
            (
                "losses",
                "Times that Redis went away or became too slow.",
                sum(one.losses for one in all_tallies),
            ),
            (
                "local_admissions",
                "Queries admitted by the stricter local limits.",
                sum(one.admitted_locally for one in all_tallies),
            ),
            (
                "local_refusals",
                "Queries refused by the stricter local limits.",
                sum(one.refused_locally for one in all_tallies),
            ),
        ):
            family = CounterMetricFamily(f"yanzhen_redis_{name}", text)
            family.add_metric((), number)
            yield family


class CatalogueCollector(Collector):
    """Turns the numbers of a shared catalogue into metric families."""

    def __init__(self, tallies: CatalogueTallies) -> None:
        self._tallies = tallies

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        tallies = self._tallies
        loads = CounterMetricFamily(
            "yanzhen_catalogue_loads", "Catalogues asked for, by where they were found.", labels=["source"]
        )
        loads.add_metric(["memory"], tallies.from_memory)
        loads.add_metric(["redis"], tallies.from_cache)
        loads.add_metric(["record"], tallies.from_store)
        yield loads
        copies = CounterMetricFamily(
            "yanzhen_catalogue_copies_refused",
            "Copies of the catalogue in Redis that were not used or not made.",
            labels=["reason"],
        )
        copies.add_metric(["not_ours"], tallies.refused)
        copies.add_metric(["too_large"], tallies.too_large)
        yield copies
