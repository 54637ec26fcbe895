"""Lag: how many records of this worker's partitions the group has not committed yet."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import TopicPartition

from streamproc.observability import metrics
from streamproc.streams.app import StreamApp, consumer_thread

__all__ = ["Lag", "committed_lag"]

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 10.0
"""How long Kafka may take to answer: this is a measurement, and the next one follows."""


class Lag:
    """Asks Kafka for the commits and the ends of the assigned partitions: three requests, whatever their number.

    The ends known from the last fetch would do while records flow, but a worker that waits for a dependency fetches
    nothing, and that is when the lag grows.
    """

    def __init__(self, app: StreamApp) -> None:
        self._app = app

    async def measure(self) -> None:
        """Set the metric; it keeps its values while Kafka does not answer."""
        thread = consumer_thread(self._app)
        try:
            lag = await thread.call_thread(_measured, thread._consumer)  # noqa: SLF001 - Faust offers no other way
        except Exception as error:  # noqa: BLE001 - a measurement must not end the worker
            log.debug("lag not measured", reason=repr(error))
            return
        metrics.COMMITTED_LAG.clear()  # a partition given away is another worker's to report
        for partition, records in lag.items():
            metrics.COMMITTED_LAG.labels(partition.topic, str(partition.partition)).set(records)


def committed_lag(
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    commits: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    """Partition → records not committed; reading starts at the begin where nothing was committed, or it is gone."""
    return {
        partition: max(0, end - max(commits.get(partition, 0), begins[partition]))
        for partition, end in ends.items()
    }


async def _measured(consumer: Any) -> dict[TopicPartition, int]:
    partitions = list(consumer.assignment())
    if not partitions:
        return {}
    # Ended here and not by the caller: the consumer's thread has few hands, and commits wait for them.
    async with asyncio.timeout(PATIENCE_SECONDS):
        stored = await consumer._coordinator.fetch_committed_offsets(partitions)  # noqa: SLF001 - all in one request
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
    commits = {partition: each.offset for partition, each in stored.items() if each.offset >= 0}
    return committed_lag(begins, ends, commits)
