"""The tails while the topics that they read grow."""

import asyncio
import contextlib
import uuid

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from streamproc.config import Settings
from streamproc.knowledge.snapshot import Knowledge
from streamproc.observability.clock import SystemClock
from streamproc.streams import tails
from streamproc.streams.admin import create_topics
from streamproc.streams.tails import Tails
from tests.streams.fixed import Client


@pytest.fixture
def settings(kafka_bootstrap):
    return Settings(
        kafka_bootstrap=kafka_bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:8]}.", topic_partitions=1
    )


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(tails, "NEW_PARTITIONS_SECONDS", 0.2)
    monkeypatch.setattr(tails, "RETRY_SECONDS", 0.1)


@contextlib.asynccontextmanager
async def reading(subject):
    """The tails at work; what ends them ends the test."""
    task = asyncio.create_task(subject.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def add_a_partition(settings, topic):
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    await admin.create_partitions({topic: NewPartitions(2)})
    await admin.close()


async def judge(client, note_id, partition):
    value = b'{"note_id": "%s", "tag_id": "hiking", "correct": true}' % note_id.encode()
    while partition not in await client.producer.partitions_for(client.names.notes_labels):
        await client.producer.client.force_metadata_update()
    await client.producer.send_and_wait(
        client.names.notes_labels, value, note_id.encode(), partition=partition
    )


async def known(knowledge, note_id, task):
    async with asyncio.timeout(20):
        while not knowledge.judgements.snapshot().of(note_id):
            assert not task.done(), task.exception()
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def tails_that_heard_the_first_judgement(settings):
    await create_topics(settings)
    knowledge = Knowledge()
    subject = Tails(settings, knowledge, SystemClock())
    async with Client(settings) as client, reading(subject) as task:
        await judge(client, "first", 0)
        await known(knowledge, "first", task)
        yield subject, knowledge, client, task


async def test_judgements_in_a_partition_that_is_added_are_heard(settings):
    async with tails_that_heard_the_first_judgement(settings) as (subject, knowledge, client, task):
        assert subject.behind == ()
        await add_a_partition(settings, client.names.notes_labels)
        await judge(client, "second", 1)
        await known(knowledge, "second", task)
        await judge(client, "third", 0)
        await known(knowledge, "third", task)
        assert subject.behind == ()
        assert knowledge.judgements.offsets == (1, 0)


async def test_a_partition_that_is_added_while_the_tails_are_behind_is_read_as_well(settings):
    async with tails_that_heard_the_first_judgement(settings) as (subject, knowledge, client, task):
        (labels,) = (each for each in subject._ends if each.topic == client.names.notes_labels)
        # As if there were a great deal to read.
        subject._ends[labels], subject._behind = 2, {labels.topic}
        await add_a_partition(settings, client.names.notes_labels)
        await judge(client, "second", 1)
        await known(knowledge, "second", task)
        assert subject.behind == (labels.topic,)
        await judge(client, "third", 0)
        await known(knowledge, "third", task)
        async with asyncio.timeout(10):
            while subject.behind:  # noqa: ASYNC110 - the tails tell nobody
                await asyncio.sleep(0.05)
