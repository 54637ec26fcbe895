"""The topics of the design on Apache Kafka."""

import uuid

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamproc.config import Settings
from streamproc.errors import DependencyDownError, SettingsError
from streamproc.streams.admin import Difference, create_topics, partition_counts, wanted_topics
from streamproc.streams.embedded import EmbeddedBroker
from tests.servers.kafka import MAX_MESSAGE_BYTES, KafkaServer


def settings(bootstrap: str, **more: object) -> Settings:
    return Settings(
        kafka_bootstrap=bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:8]}.", topic_partitions=3, **more
    )


async def test_all_topics_are_made_as_wanted_and_again_nothing_happens(kafka_bootstrap: str) -> None:
    wanted = settings(kafka_bootstrap)
    first = await create_topics(wanted)
    assert set(first.created) == {topic.name for topic in wanted_topics(wanted)}
    assert first.existing == first.differences == ()
    again = await create_topics(wanted)
    assert again.created == again.differences == ()
    assert set(again.existing) == set(first.created)


async def test_a_topic_that_differs_is_reported_and_left_alone(kafka_bootstrap: str) -> None:
    wanted = settings(kafka_bootstrap)
    name = f"{wanted.topic_prefix}notes.tagged"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, 5, 1, topic_configs={"cleanup.policy": "delete"})])
    await admin.close()
    for _ in range(2):
        report = await create_topics(wanted)
        assert name in report.existing
        assert set(report.differences) == {
            Difference(name, "partitions", "3", "5"),
            Difference(name, "cleanup.policy", "compact", "delete"),
            Difference(name, "max.message.bytes", str(wanted.max_output_bytes), str(MAX_MESSAGE_BYTES)),
        }


async def test_more_replicas_than_brokers_is_one_sentence(kafka_bootstrap: str) -> None:
    with pytest.raises(SettingsError, match="STREAMPROC_TOPIC_REPLICATION"):
        await create_topics(settings(kafka_bootstrap, topic_replication=3))


async def test_a_cluster_that_has_no_controller_is_one_sentence() -> None:
    with EmbeddedBroker() as broker, pytest.raises(DependencyDownError, match="no broker is the controller"):
        await create_topics(settings(broker.bootstrap))


async def test_a_login_that_works_makes_topics_and_a_wrong_one_is_named(kafka_server: KafkaServer) -> None:
    login = {
        "kafka_security_protocol": "SASL_PLAINTEXT",
        "kafka_sasl_username": kafka_server.username,
        "kafka_sasl_mechanism": "SCRAM-SHA-512",
    }
    report = await create_topics(
        settings(kafka_server.sasl_bootstrap, **login, kafka_sasl_password=kafka_server.password)
    )
    assert report.created
    with pytest.raises(SettingsError, match="STREAMPROC_KAFKA_SASL_PASSWORD"):
        await create_topics(settings(kafka_server.sasl_bootstrap, **login, kafka_sasl_password="wrong"))


async def test_a_broker_that_is_not_there_is_named() -> None:
    with pytest.raises(DependencyDownError, match=r"127\.0\.0\.1:9"):
        await create_topics(settings("127.0.0.1:9"))


def test_the_embedded_broker_takes_the_same_topics() -> None:
    wanted = Settings(topic_partitions=4)
    counts = partition_counts(wanted)
    assert counts["tags.changes"] == counts["knowledge.changes"] == 1
    assert counts["notes.new"] == counts["graph.notes"] == 4
    with EmbeddedBroker(counts) as broker:
        assert broker.bootstrap
