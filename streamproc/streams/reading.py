"""Whole topics, read once from their start to where they end now, by a plain consumer without a group."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import MappingProxyType

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from streamproc.config import Settings
from streamproc.errors import DependencyDownError
from streamproc.events.position import Source, SourcePosition
from streamproc.events.record import InputRecord
from streamproc.streams.connection import client_options
from streamproc.streams.partitions import partitions_of
from streamproc.streams.reachability import require_kafka

__all__ = ["input_record", "no_progress", "read_positions", "read_to_end"]

POLL_MS = 500
BATCH_RECORDS = 500
STALL_SECONDS = 30.0
"""How long nothing may arrive before the broker counts as gone; aiokafka itself waits for ever."""


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


async def read_to_end(
    settings: Settings,
    topics: Sequence[str],
    progress: Callable[[int, int], None] = no_progress,
    stall_seconds: float = STALL_SECONDS,
    after: Mapping[tuple[str, int], int] = MappingProxyType({}),
) -> AsyncIterator[list[InputRecord]]:
    """Read the topics from their first record, or a later one, to the last one there is at the call.

    Batches of one partition each; within a partition in order of offset, between partitions in no order.

    Args:
        settings: how to connect.
        topics: full names.
        progress: told offsets passed and offsets in all; compaction leaves gaps, so these are no counts of records.
        stall_seconds: how long nothing may arrive.
        after: by topic and partition, the offset after which reading begins; from the start where there is none.

    Raises:
        SettingsError: Kafka does not answer to these settings, or a topic does not exist.
        DependencyDownError: Kafka cannot be reached, or stops answering.
    """
    partitions = [
        TopicPartition(topic, number)
        for topic, numbers in (await partitions_of(settings, topics)).items()
        for number in numbers
    ]
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        group_id=None,
        enable_auto_commit=False,
        # A record that is deleted by retention while we read is not missed by anybody.
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=max(settings.max_output_bytes, 1024 * 1024),
    )
    try:
        await consumer.start()
        consumer.assign(partitions)
        firsts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        begins = {
            one: min(max(firsts[one], after.get((one.topic, one.partition), -1) + 1), ends[one])
            for one in partitions
        }
        for one in partitions:
            consumer.seek(one, begins[one])
        total = sum(ends[one] - begins[one] for one in partitions)
        waiting = {one for one in partitions if ends[one] > begins[one]}
        last_progress = time.monotonic()
        while waiting:
            fetched = await consumer.getmany(*waiting, timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
            for partition, records in fetched.items():
                batch = [input_record(record) for record in records if record.offset < ends[partition]]
                if batch:
                    yield batch
            positions = {one: await consumer.position(one) for one in partitions}
            finished = {one for one in waiting if positions[one] >= ends[one]}
            # A partition that is done is fetched no more, however much is written to it meanwhile.
            consumer.pause(*finished)
            waiting -= finished
            progress(sum(min(positions[one], ends[one]) - begins[one] for one in partitions), total)
            if fetched or finished:
                last_progress = time.monotonic()
            elif time.monotonic() - last_progress > stall_seconds:
                await require_kafka(settings)
                raise DependencyDownError(
                    "Kafka",
                    f"nothing of {', '.join(sorted({one.topic for one in waiting}))} arrived for "
                    f"{stall_seconds:.0f} s. Look at the health of the brokers and try again.",
                )
    except KafkaError as error:
        raise DependencyDownError("Kafka", f"{settings.kafka_bootstrap}: {error}") from error
    finally:
        await _stop(consumer)


async def read_positions(
    settings: Settings, positions: Sequence[SourcePosition], stall_seconds: float = STALL_SECONDS
) -> dict[SourcePosition, InputRecord]:
    """Read single records; a position that holds none any more, or none yet, is left out.

    Raises:
        SettingsError: Kafka does not answer to these settings, or a topic does not exist.
        DependencyDownError: Kafka cannot be reached, or stops answering.
    """
    existing = await partitions_of(settings, sorted({position.topic for position in positions}))
    wanted = [position for position in positions if position.partition in existing[position.topic]]
    found: dict[SourcePosition, InputRecord] = {}
    consumer = AIOKafkaConsumer(**client_options(settings), group_id=None, enable_auto_commit=False)
    try:
        await consumer.start()
        for position in wanted:
            partition = TopicPartition(position.topic, position.partition)
            consumer.assign([partition])
            begin = (await consumer.beginning_offsets([partition]))[partition]
            end = (await consumer.end_offsets([partition]))[partition]
            if not begin <= position.offset < end:
                continue
            consumer.seek(partition, position.offset)
            record = await asyncio.wait_for(consumer.getone(partition), stall_seconds)
            # Compaction and retention leave gaps: the next record is then another one.
            if record.offset == position.offset:
                found[position] = input_record(record)
    except (KafkaError, TimeoutError) as error:
        raise DependencyDownError("Kafka", f"{settings.kafka_bootstrap}: {error or 'no answer'}") from error
    finally:
        await _stop(consumer)
    return found


async def _stop(consumer: AIOKafkaConsumer) -> None:
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        # aiokafka cancels its own fetches here and lets that escape; a cancellation of ours goes on.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise


def input_record(record: "ConsumerRecord[bytes | None, bytes | None]") -> InputRecord:
    """Turn aiokafka's record into ours."""
    return InputRecord(
        source=Source(SourcePosition(record.topic, record.partition, record.offset), record.timestamp),
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
