"""What Kafka knows of a consumer group."""

import uuid

from aiokafka import AIOKafkaConsumer, TopicPartition

from streamproc.config import Settings
from streamproc.streams.admin import create_topics
from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.group import group_state


async def test_members_and_commits_of_a_group_on_apache_kafka(kafka_bootstrap):
    settings = Settings(
        kafka_bootstrap=kafka_bootstrap,
        topic_prefix=f"t{uuid.uuid4().hex[:8]}.",
        consumer_group=uuid.uuid4().hex,
        topic_partitions=2,
    )
    await create_topics(settings)
    topic = f"{settings.topic_prefix}graph.notes"
    before = await group_state(settings, [topic])
    assert (before.members, before.committed) == (0, {})
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka_bootstrap, group_id=settings.consumer_group, enable_auto_commit=False
    )
    await consumer.start()
    await consumer.getmany(timeout_ms=500)
    await consumer.commit({TopicPartition(topic, 1): 4})
    during = await group_state(settings, [topic])
    assert (during.members, during.committed) == (1, {(topic, 1): 4})
    await consumer.stop()
    assert (await group_state(settings, [topic])).members == 0


async def test_the_embedded_broker_cannot_tell_members():
    with EmbeddedBroker({"graph.notes": 1}) as broker:
        state = await group_state(Settings(kafka_bootstrap=broker.bootstrap), ["graph.notes"])
    assert (state.members, state.committed) == (None, {})
