"""Records sent and confirmed."""

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


async def all_of(settings: Settings, *topics: str):
    return [record async for batch in read_to_end(settings, topics) for record in batch]


async def test_what_was_sent_is_there_and_confirmed():
    with EmbeddedBroker({"notes.new": 4}) as broker:
        settings = Settings(kafka_bootstrap=broker.bootstrap)
        async with Publisher(settings, ["notes.new"]) as publisher:
            for number in range(2500):
                headers = (("content-type", b"application/json"),)
                await publisher.send(OutputRecord("notes.new", b"%d" % number, b"{}", headers))
        assert publisher.confirmed == 2500
        records = await all_of(settings, "notes.new")
    assert sorted(int(record.key) for record in records) == list(range(2500))
    assert records[0].headers == (("content-type", b"application/json"),)


async def test_a_record_may_name_its_partition_and_a_missing_one_falls_back_to_the_key():
    with EmbeddedBroker({"t": 3}) as broker:
        settings = Settings(kafka_bootstrap=broker.bootstrap)
        async with Publisher(settings, ["t"]) as publisher:
            for partition in (0, 1, 2, 9):
                await publisher.send(OutputRecord("t", b"k", b"%d" % partition, ()), partition)
        by_value = {record.value: record.source.position.partition for record in await all_of(settings, "t")}
    assert [by_value[value] for value in (b"0", b"1", b"2")] == [0, 1, 2]
    assert b"9" in by_value


async def test_a_topic_that_does_not_exist_is_named_and_not_created():
    with EmbeddedBroker({"t": 1}) as broker:
        settings = Settings(kafka_bootstrap=broker.bootstrap)
        for _ in range(2):
            with pytest.raises(SettingsError, match=r"has no topic notes\.new.*streamproc topics create"):
                async with Publisher(settings, ["notes.new"]):
                    pass


async def test_a_record_over_the_limit_of_the_topic_is_named(kafka_bootstrap):
    settings = Settings(kafka_bootstrap=kafka_bootstrap)
    topic = f"small-{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "2000"})])
    await admin.close()
    with pytest.raises(SettingsError, match=r"refuses the record with key 'big'.*max\.message\.bytes"):
        async with Publisher(settings, [topic]) as publisher:
            await publisher.send(OutputRecord(topic, b"big", b"x" * 5000, ()))


async def test_a_broker_that_dies_is_one_sentence(monkeypatch):
    monkeypatch.setattr("streamproc.streams.publisher.REQUEST_SECONDS", 1.0)

    async def send_while_it_dies(broker: EmbeddedBroker) -> None:
        async with Publisher(Settings(kafka_bootstrap=broker.bootstrap), ["t"]) as publisher:
            await publisher.send(OutputRecord("t", b"k1", b"x", ()))
            await publisher.flush()
            broker.close()
            await publisher.send(OutputRecord("t", b"k2", b"x", ()))

    sentence = r"the record with key 'k2' was not confirmed by topic t .*\. 1 records before it"
    with EmbeddedBroker({"t": 1}) as broker, pytest.raises(DependencyDownError, match=sentence):
        await asyncio.wait_for(send_while_it_dies(broker), 30)
