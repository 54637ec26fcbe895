"""The broker of the deployment: Apache Kafka itself, started with the settings that the container gets."""

import asyncio
import re

import pytest

from streamproc.config import Settings
from streamproc.streams.admin import create_topics
from tests.servers.kafka import KafkaServer, why_kafka_cannot_run
from tests.servers.process import free_ports

OF_THE_START_SCRIPT = {"KAFKA_HEAP_OPTS"}


def properties(environment):
    """What the image makes of its environment: ``KAFKA_LOG_DIRS`` becomes ``log.dirs``."""
    return {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in environment.items()
        if name.startswith("KAFKA_") and name not in OF_THE_START_SCRIPT
    }


class DeployedKafka(KafkaServer):
    """The test's broker with the deployment's settings; only addresses and the place of the data are the test's."""

    def __init__(self, environment):
        self.settings = properties(environment)
        super().__init__()

    def _configuration(self):
        (outside,) = free_ports(1)
        ports = {
            "19092": self.bootstrap.split(":")[1],
            "9092": str(outside),
            "29093": self._controller.split(":")[1],
        }
        kept = {**self.settings, "log.dirs": str(self._home / "data")}
        for name in ("listeners", "advertised.listeners", "controller.quorum.voters"):
            local = re.sub(r"(//|@)(kafka|localhost)?:", r"\g<1>127.0.0.1:", kept[name])
            kept[name] = re.sub(r":(\d+)", lambda port: f":{ports[port[1]]}", local)
        return "".join(f"{name}={value}\n" for name, value in kept.items())


@pytest.fixture
def broker(services):
    if reason := why_kafka_cannot_run():
        pytest.skip(reason)
    with DeployedKafka(services["kafka"]["environment"]) as server:
        yield server


@pytest.mark.kafka
def test_the_broker_starts_and_takes_the_topics(broker, services):
    partitions = services["worker"]["environment"]["STREAMPROC_TOPIC_PARTITIONS"]
    settings = Settings(kafka_bootstrap=broker.bootstrap, topic_partitions=int(partitions))
    report = asyncio.run(create_topics(settings))
    assert "notes.new" in report.created
    assert not report.differences
    again = asyncio.run(create_topics(settings))
    assert set(again.existing) == set(report.created)
    assert not again.differences


def test_the_health_check_looks_at_the_listener_that_the_others_use(services):
    kafka = services["kafka"]
    port = kafka["healthcheck"]["test"][-1]
    assert f"INSIDE://:{port}" in kafka["environment"]["KAFKA_LISTENERS"]
    bootstrap = services["worker"]["environment"]["STREAMPROC_KAFKA_BOOTSTRAP"]
    assert f"INSIDE://{bootstrap}" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"--kafka.server={bootstrap}" in services["kafka-exporter"]["command"]


def test_the_cluster_id_is_one_that_kafka_takes(services):
    # 16 bytes in base64 without padding, as `kafka-storage.sh random-uuid` prints them.
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{21}", services["kafka"]["environment"]["CLUSTER_ID"])
