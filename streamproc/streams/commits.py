"""Commits: the ledger's committable offsets, stored with the consumer group, and the marks on them (``suspects``)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from streamproc.streams.app import StreamApp, consumer_thread
from streamproc.streams.ledger import OffsetLedger, Partition, Ticket
from streamproc.streams.suspects import AT_WORK, CLEAN, Commit

__all__ = ["Commits"]

log = structlog.get_logger(__name__)


class Commits:
    """Stores offsets; reads those that any worker of the group has stored."""

    def __init__(self, app: StreamApp, ledger: OffsetLedger) -> None:
        self._app = app
        self._ledger = ledger
        self._one_at_a_time = asyncio.Lock()
        self._marked: dict[Partition, Commit] = {}
        """What was stored last on the partitions that carry a mark."""

    async def commit(self, seconds: float, *, handing_over: bool = False) -> None:
        """Store what may be committed, within a time limit.

        What cannot be stored (the partition was lost, the broker is away) stays: it is stored next time, or read
        again by whoever has the partition now.

        Args:
            seconds: the limit.
            handing_over: whether marks are taken off, for nothing is under way any more.
        """
        async with self._one_at_a_time:
            offsets = self._ledger.committable()
            commits = {
                each: Commit(offset, AT_WORK if each in self._marked and not handing_over else CLEAN)
                for each, offset in offsets.items()
            }
            if handing_over:
                # One that was announced and is not done stays suspected, but nobody ended with it this time.
                standing = {each: at for each, at in self._marked.items() if each not in commits}
                commits |= {
                    each: Commit(at.offset, CLEAN if at.mark == AT_WORK else AT_WORK)
                    for each, at in standing.items()
                }
            if not commits:
                return
            try:
                async with asyncio.timeout(seconds):
                    await self._store(commits)
            except (CommitFailedError, IllegalStateError) as error:
                log.info(
                    "not committed: partitions were lost; their records are read again", reason=str(error)
                )
            except (KafkaError, TimeoutError) as error:
                log.warning("not committed yet", reason=repr(error))
            else:
                self._ledger.committed(offsets)
                self._marked = {each: commits.get(each, at) for each, at in self._marked.items()}
            finally:
                if handing_over:
                    self._marked = {}

    async def take_up(self, topic: str) -> dict[Partition, Commit]:
        """Mark the partitions of a topic that this worker was assigned; return what was stored there before.

        Raises:
            KafkaError: they were lost meanwhile, or the broker is away.
        """
        consumer = consumer_thread(self._app)._consumer  # noqa: SLF001 - Faust offers no other way to it
        assigned = [each for each in consumer.assignment() if each.topic == topic]
        async with self._one_at_a_time:
            stored = await self._run(consumer._coordinator.fetch_committed_offsets, assigned)  # noqa: SLF001 - with metadata
            found = {
                Partition(*each): Commit(at.offset, at.metadata)
                for each, at in stored.items()
                if at.offset >= 0
            }
            fresh = [each for each in assigned if Partition(*each) not in found]
            begins = await self._call("beginning_offsets", fresh) if fresh else {}
            marked = {Partition(*each): Commit(offset, AT_WORK) for each, offset in begins.items()}
            # One that was announced stays so until it is begun again: this process, too, may end before.
            marked |= {each: Commit(at.offset, at.mark or AT_WORK) for each, at in found.items()}
            if marked:  # a worker may be given no partition
                await self._store(marked)
            self._marked = marked
        return found

    async def announce(self, ticket: Ticket, mark: str) -> None:
        """Store that a record is begun, the oldest in flight of its partition; nothing where it was lost meanwhile.

        Raises:
            KafkaError: the partition was lost meanwhile, or the broker is away.
        """
        async with self._one_at_a_time:
            if ticket.dropped:
                return
            self._ledger.begin_at(ticket)
            announced = Commit(ticket.offset, mark)
            await self._store({ticket.partition: announced})
            self._ledger.committed({ticket.partition: ticket.offset})
            if not ticket.dropped:
                self._marked[ticket.partition] = announced

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

    async def _store(self, commits: Mapping[Partition, Commit]) -> None:
        await self._call(
            "commit",
            {TopicPartition(*each): OffsetAndMetadata(at.offset, at.mark) for each, at in commits.items()},
        )

    async def _call(self, method: str, argument: Any) -> Any:
        return await self._run(getattr(consumer_thread(self._app)._consumer, method), argument)  # noqa: SLF001 - as above

    async def _run(self, method: Any, argument: Any) -> Any:
        return await consumer_thread(self._app).call_thread(method, argument)
