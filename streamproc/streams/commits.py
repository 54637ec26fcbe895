"""Commits: the ledger's committable offsets, stored with the consumer group."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from streamproc.streams.app import StreamApp, consumer_thread
from streamproc.streams.ledger import OffsetLedger

__all__ = ["Commits"]

log = structlog.get_logger(__name__)


class Commits:
    """Stores offsets; reads those that any worker of the group has stored."""

    def __init__(self, app: StreamApp, ledger: OffsetLedger) -> None:
        self._app = app
        self._ledger = ledger
        self._one_at_a_time = asyncio.Lock()

    async def commit(self, seconds: float) -> None:
        """Store what may be committed, within a time limit.

        What cannot be stored (the partition was lost, the broker is away) stays: it is stored next time, or read
        again by whoever has the partition now.
        """
        async with self._one_at_a_time:
            offsets = self._ledger.committable()
            if not offsets:
                return
            try:
                async with asyncio.timeout(seconds):
                    await self._call(
                        "commit",
                        {
                            TopicPartition(*each): OffsetAndMetadata(offset, "")
                            for each, offset in offsets.items()
                        },
                    )
            except (CommitFailedError, IllegalStateError) as error:
                log.info(
                    "not committed: partitions were lost; their records are read again", reason=str(error)
                )
            except (KafkaError, TimeoutError) as error:
                log.warning("not committed yet", reason=repr(error))
            else:
                self._ledger.committed(offsets)

    async def committed(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """The group's committed offsets on all partitions of the topics; partitions without one are left out."""
        stored: dict[tuple[str, int], int] = {}
        consumer = consumer_thread(self._app)._consumer  # noqa: SLF001 - Faust offers no other way to it
        for topic in topics:
            for number in sorted(consumer.partitions_for_topic(topic) or ()):
                offset = await self._call("committed", TopicPartition(topic, number))
                if offset is not None:
                    stored[topic, number] = offset
        return stored

    async def _call(self, method: str, argument: Any) -> Any:
        thread = consumer_thread(self._app)
        return await thread.call_thread(getattr(thread._consumer, method), argument)  # noqa: SLF001 - as above
