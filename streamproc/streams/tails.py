"""Tails: every worker reads what people publish, all of it, from the start and without a consumer group.

So every worker has the same repository, knowledge and judgements, whatever partitions it is given. Invalid records
are passed over here; the repository agent dead-letters them once for the whole group.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streamproc.config import Settings
from streamproc.errors import DependencyDownError, PoisonError, SettingsError
from streamproc.events.codec import decode_judgement, decode_segment, decode_tag
from streamproc.events.topics import TopicNames
from streamproc.knowledge.snapshot import Knowledge
from streamproc.observability import metrics
from streamproc.observability.clock import Clock
from streamproc.streams.connection import client_options
from streamproc.streams.partitions import partitions_of

__all__ = ["Tails"]

log = structlog.get_logger(__name__)

POLL_MS = 500
"""How long a poll waits for records; they end it at once."""

RETRY_SECONDS = 1.0

NEW_PARTITIONS_SECONDS = 10.0
"""How often Kafka is asked which partitions there are: judgements may wait so long in one that was added."""

Apply = Callable[[Any], None]


class Tails:
    """Feeds the knowledge of this process from ``tags.changes``, ``knowledge.changes`` and ``notes.labels``.

    Args:
        settings: address, log-in, names of the topics.
        knowledge: what the records are applied to.
        clock: the source of time.
    """

    def __init__(self, settings: Settings, knowledge: Knowledge, clock: Clock) -> None:
        self._settings = settings
        self._knowledge = knowledge
        self._clock = clock
        names = TopicNames(settings.topic_prefix)
        self._tags_topic = names.tags_changes
        self._apply: dict[str, Apply] = {
            names.tags_changes: self._tag,
            names.knowledge_changes: self._segment,
            names.notes_labels: self._label,
        }
        self._next: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._behind = set(self._apply)
        self._progress = asyncio.Condition()

    @property
    def behind(self) -> tuple[str, ...]:
        """Topics that were not read to the end they had when this worker started, or met a partition of them."""
        return tuple(sorted(self._behind))

    async def tag_rejection(self, offset: int) -> str | None:
        """Why the change of a tag at this offset contradicts the repository; waits until the tail has met it."""
        partition = TopicPartition(self._tags_topic, 0)
        async with self._progress:
            await self._progress.wait_for(lambda: self._next.get(partition, 0) > offset)
        return self._knowledge.repository.rejections.get(offset)

    async def run(self) -> None:
        """Read for ever; go on where it stopped when Kafka was away."""
        reported = ""
        while True:
            consumer = AIOKafkaConsumer(
                **client_options(self._settings),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=self._settings.max_output_bytes,
                metadata_max_age_ms=round(NEW_PARTITIONS_SECONDS * 1000),
            )
            try:
                existing = await partitions_of(self._settings, tuple(self._apply))
                await consumer.start()
                await self._follow(
                    consumer,
                    [
                        TopicPartition(topic, number)
                        for topic, numbers in existing.items()
                        for number in numbers
                    ],
                )
            except (KafkaError, DependencyDownError, SettingsError) as error:
                # Topics may be created, and a broker put right, while this worker waits.
                if str(error) != reported:
                    reported = str(error)
                    log.warning("tails cannot read; they go on where they stopped", reason=reported)
            finally:
                await consumer.stop()
            await self._clock.sleep(RETRY_SECONDS)

    async def _follow(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        """Read these partitions until there are others."""
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        for partition in partitions:
            if partition in self._next:
                consumer.seek(partition, self._next[partition])
        met = [partition for partition in partitions if partition not in self._ends]
        if met:
            self._ends |= await consumer.end_offsets(met)
        while not (added := self._existing(consumer).difference(partitions)):
            await self._note_progress(consumer, partitions)
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=2_000)
            for partition, records in batches.items():
                self._apply_all(partition, records)
        log.info("partitions were added; the tails read them too", partitions=sorted(map(tuple, added)))

    def _existing(self, consumer: AIOKafkaConsumer) -> set[TopicPartition]:
        """The partitions as Kafka named them last."""
        return {
            TopicPartition(topic, number)
            for topic in self._apply
            for number in consumer.partitions_for_topic(topic) or ()
        }

    def _apply_all(self, partition: TopicPartition, records: Sequence[Any]) -> None:
        apply = self._apply[partition.topic]
        for record in records:
            apply(record)
            self._next[partition] = record.offset + 1

    async def _note_progress(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        # The position, not the last record: an end may follow on offsets that hold no record any more.
        at = {partition: await consumer.position(partition) for partition in partitions}
        for partition, offset in at.items():
            labels = (partition.topic, str(partition.partition))
            metrics.TAIL_NEXT_OFFSET.labels(*labels).set(offset)
            metrics.TAIL_LAG.labels(*labels).set(max(0, (consumer.highwater(partition) or offset) - offset))
        if self._behind:
            self._behind = {each.topic for each in partitions if at[each] < self._ends[each]}
        async with self._progress:
            self._progress.notify_all()

    def _tag(self, record: Any) -> None:
        repository = self._knowledge.repository
        try:
            change = decode_tag(record.value, record.key)
        except PoisonError:
            repository.pass_over(record.offset)
            return
        try:
            repository.apply(change, record.offset)
        except PoisonError as error:
            log.info("a change of a tag is passed over", offset=record.offset, reason=str(error))

    def _segment(self, record: Any) -> None:
        segments = self._knowledge.segments
        try:
            segments.apply(decode_segment(record.value, record.key), record.offset)
        except PoisonError:
            segments.pass_over(record.offset)

    def _label(self, record: Any) -> None:
        judgements = self._knowledge.judgements
        try:
            judgements.apply(decode_judgement(record.value, record.key), record.partition, record.offset)
        except PoisonError:
            judgements.pass_over(record.partition, record.offset)
