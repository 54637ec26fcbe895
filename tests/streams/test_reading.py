"""Topics read from start to end."""

import asyncio
import uuid

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamproc.config import Settings
from streamproc.errors import DependencyDownError, SettingsError
from streamproc.events.record import OutputRecord
from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.publisher import Publisher
from streamproc.streams.reading import read_to_end


async def publish(settings: Settings, topic: str, count: int, start: int = 0, size: int = 1) -> None:
    async with Publisher(settings, [topic]) as publisher:
        for number in range(start, start + count):
            await publisher.send(OutputRecord(topic, b"%d" % number, b"v" * size, ()))


async def test_an_empty_topic_ends_at_once():
    with EmbeddedBroker({"t": 3}) as broker:
        settings = Settings(kafka_bootstrap=broker.bootstrap)
        assert [batch async for batch in read_to_end(settings, ["t"])] == []


async def test_partitions_are_read_in_order_and_progress_ends_at_the_total():
    told = []
    with EmbeddedBroker({"a": 3, "b": 1}) as broker:
        settings = Settings(kafka_bootstrap=broker.bootstrap)
        await publish(settings, "a", 1200)
        await publish(settings, "b", 5)
        offsets: dict[tuple[str, int], list[int]] = {}
        async for batch in read_to_end(settings, ["a", "b"], lambda *counts: told.append(counts)):
            position = batch[0].source.position
            offsets.setdefault((position.topic, position.partition), []).extend(
                record.source.position.offset for record in batch
            )
    assert sum(map(len, offsets.values())) == 1205
    assert all(found == list(range(len(found))) for found in offsets.values())
    assert told[-1] == (1205, 1205)


async def test_records_written_meanwhile_are_left_for_later():
    with EmbeddedBroker({"t": 1}) as broker:
        settings = Settings(kafka_bootstrap=broker.bootstrap)
        await publish(settings, "t", 1000)
        read = []
        async for batch in read_to_end(settings, ["t"]):
            if not read:
                await publish(settings, "t", 50, start=1000)
            read += batch
    assert [int(record.key) for record in read] == list(range(1000))


async def test_a_missing_topic_is_named():
    with EmbeddedBroker({"t": 1}) as broker, pytest.raises(SettingsError, match=r"has no topic gone"):
        async for _ in read_to_end(Settings(kafka_bootstrap=broker.bootstrap), ["t", "gone"]):
            pass


async def test_a_broker_that_dies_meanwhile_ends_the_reading():
    with EmbeddedBroker({"t": 1}) as broker:
        settings = Settings(kafka_bootstrap=broker.bootstrap)
        await publish(settings, "t", 1000, size=4000)  # more than one fetch brings

        async def read() -> None:
            async for _ in read_to_end(settings, ["t"], stall_seconds=0.5):
                broker.close()

        with pytest.raises(DependencyDownError, match="Kafka cannot be reached"):
            await asyncio.wait_for(read(), 30)


async def test_gaps_of_compaction_do_not_hold_up_apache_kafka(kafka_bootstrap):
    settings = Settings(kafka_bootstrap=kafka_bootstrap)
    topic = f"compacted-{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics(
        [NewTopic(topic, 2, 1, topic_configs={"cleanup.policy": "compact", "segment.bytes": "1048576"})]
    )
    await admin.close()
    await publish(settings, topic, 3000)
    records = [record async for batch in read_to_end(settings, [topic]) for record in batch]
    assert sorted(int(record.key) for record in records) == list(range(3000))
