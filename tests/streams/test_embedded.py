"""The broker inside the process speaks enough of Kafka for the demo and the tests."""

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streamproc.streams.embedded import KEPT_BYTES, EmbeddedBroker


async def read_all(broker: EmbeddedBroker, topic: str, group: str | None = None) -> list:
    """Every record of a topic, read by a group's only member (or none) that then commits."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        # A group that a member left lets the next one in only after a session time-out.
        session_timeout_ms=1500,
        heartbeat_interval_ms=300,
    )
    records = []
    async with consumer:
        while batch := await consumer.getmany(timeout_ms=500):
            records += [record for part in batch.values() for record in part]
        if group is not None:
            await consumer.commit()
    return records


async def test_topics_have_the_partitions_asked_for() -> None:
    with EmbeddedBroker({"one": 1, "six": 6}) as broker:
        broker.create_topic("three", 3)
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
            counts = [len(await producer.partitions_for(topic)) for topic in ("one", "six", "three")]
    assert counts == [1, 6, 3]


@pytest.mark.parametrize(("name", "partitions"), [("there", 1), ("zero", 0), ("", 1), ("a/b", 1), ("é", 1)])
def test_a_topic_that_cannot_be_created_is_named(name: str, partitions: int) -> None:
    with EmbeddedBroker({"there": 1}) as broker, pytest.raises(ValueError, match="topic"):
        broker.create_topic(name, partitions)


async def test_records_keep_key_value_headers_and_their_order_within_a_partition() -> None:
    with EmbeddedBroker({"notes": 4}) as broker:
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=True) as producer:
            for number in range(100):
                key = b"key %d" % (number % 10)
                await producer.send("notes", b"%d" % number, key=key, headers=[("h", b"\xff")])
            await producer.flush()
        records = await read_all(broker, "notes")
    assert sorted(int(record.value) for record in records) == list(range(100))
    assert {record.headers for record in records} == {(("h", b"\xff"),)}
    for key in {record.key for record in records}:
        of_key = [record for record in records if record.key == key]
        assert len({record.partition for record in of_key}) == 1
        in_log = sorted(of_key, key=lambda record: record.offset)
        assert [int(record.value) for record in in_log] == sorted(int(record.value) for record in of_key)


async def test_a_group_goes_on_from_its_commit() -> None:
    with EmbeddedBroker({"notes": 2}) as broker:
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
            await producer.send_and_wait("notes", b"first", key=b"k")
            assert [record.value for record in await read_all(broker, "notes", "group")] == [b"first"]
            await producer.send_and_wait("notes", b"second", key=b"k")
        assert [record.value for record in await read_all(broker, "notes", "group")] == [b"second"]


async def test_a_tombstone_arrives_as_none() -> None:
    with EmbeddedBroker({"notes": 1}) as broker:
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
            await producer.send_and_wait("notes", None, key=b"k")
        (record,) = await read_all(broker, "notes")
    assert (record.key, record.value) == (b"k", None)


async def test_a_partition_forgets_its_oldest_records() -> None:
    # The demo feeds its notes no faster than they are tagged because of this.
    with EmbeddedBroker({"notes": 1}) as broker:
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, max_request_size=2**21) as producer:
            for _ in range(10):
                await producer.send_and_wait("notes", b"x" * 2**20)
        consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap)
        async with consumer:
            partition = TopicPartition("notes", 0)
            first = (await consumer.beginning_offsets([partition]))[partition]
    assert 0 < 10 - first <= KEPT_BYTES // 2**20


def test_two_brokers_know_nothing_of_each_other_and_close_twice() -> None:
    first, second = EmbeddedBroker({"a": 1}), EmbeddedBroker({"a": 2})
    assert first.bootstrap != second.bootstrap
    for broker in (first, second, first):
        broker.close()
