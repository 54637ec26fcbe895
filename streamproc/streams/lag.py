"""Lag: how many records of this worker's partitions the group has not committed yet."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog
from aiokafka import TopicPartition

from streamproc.observability import metrics
from streamproc.streams.app import StreamApp, consumer_thread

__all__ = ["Lag", "Standing", "Standstill", "standings"]

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 10.0
"""How long Kafka may take to answer: this is a measurement, and the next one follows."""


class Standing(NamedTuple):
    """Where the group stands in a partition."""

    commit: int
    """Offset of the next record to read."""
    lag: int
    """Records from there to the end."""


class Standstill:
    """How long a partition has had records to read while its commit stood still.

    A record in flight has an age; one that is never fetched has none, and only this tells.
    """

    def __init__(self) -> None:
        self._since: dict[TopicPartition, tuple[int, float]] = {}

    def observe(self, now: float, seen: Mapping[TopicPartition, Standing]) -> None:
        """Take in a measurement of all partitions of this worker.

        Args:
            now: seconds of a clock that stands still while nothing can be read.
            seen: partition → where the group stands; a partition that is missing was given away.
        """
        since = {}
        for partition, (commit, lag) in seen.items():
            stood_at, began = self._since.get(partition, (commit, now))
            if lag:
                since[partition] = (commit, began if stood_at == commit else now)
        self._since = since

    def forget(self) -> None:
        """Begin anew: the worker held its intake back by itself."""
        self._since = {}

    def seconds(self, now: float) -> float:
        """The longest standstill; 0 when every partition moves or is read to its end."""
        return max((now - began for _, began in self._since.values()), default=0.0)


class Lag:
    """Asks Kafka for the commits and the ends of the assigned partitions: three requests, whatever their number.

    The ends known from the last fetch would do while records flow, but a worker that waits for a dependency fetches
    nothing, and that is when the lag grows.
    """

    def __init__(self, app: StreamApp) -> None:
        self._app = app

    async def measure(self) -> Mapping[TopicPartition, Standing] | None:
        """Set the metric and give what was measured; None, and the metric as it was, while Kafka does not answer."""
        thread = consumer_thread(self._app)
        try:
            measured: Mapping[TopicPartition, Standing] = await thread.call_thread(
                _measured,
                thread._consumer,  # noqa: SLF001 - Faust offers no other way
            )
        except Exception as error:  # noqa: BLE001 - a measurement must not end the worker
            log.debug("lag not measured", reason=repr(error))
            return None
        metrics.COMMITTED_LAG.clear()  # a partition given away is another worker's to report
        for partition, standing in measured.items():
            metrics.COMMITTED_LAG.labels(partition.topic, str(partition.partition)).set(standing.lag)
        return measured


def standings(
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    commits: Mapping[TopicPartition, int],
) -> dict[TopicPartition, Standing]:
    """Where the group stands; reading starts at the begin where nothing was committed, or what was is gone."""
    starts = {partition: max(commits.get(partition, 0), begins[partition]) for partition in ends}
    return {
        partition: Standing(starts[partition], max(0, end - starts[partition]))
        for partition, end in ends.items()
    }


async def _measured(consumer: Any) -> dict[TopicPartition, Standing]:
    partitions = list(consumer.assignment())
    if not partitions:
        return {}
    # Ended here and not by the caller: the consumer's thread has few hands, and commits wait for them.
    async with asyncio.timeout(PATIENCE_SECONDS):
        stored = await consumer._coordinator.fetch_committed_offsets(partitions)  # noqa: SLF001 - all in one request
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
    commits = {partition: each.offset for partition, each in stored.items() if each.offset >= 0}
    return standings(begins, ends, commits)
