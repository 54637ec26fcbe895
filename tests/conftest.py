"""Servers that tests may ask for by fixture; each is started once a run, on first use."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.servers.kafka import KafkaServer, why_kafka_cannot_run
from tests.servers.milvus import milvus_server  # noqa: F401 - a fixture
from tests.servers.triton import triton_server, triton_url  # noqa: F401 - fixtures

REQUIRE_KAFKA = "STREAMPROC_TESTS_REQUIRE_KAFKA"


def pytest_configure() -> None:
    """SIGTERM ends the run as Ctrl-C does: in good order, servers and temporary directories with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for Apache Kafka carries its marker: ``-m 'not kafka'`` leaves all of it out."""
    for item in items:
        if "kafka_server" in getattr(item, "fixturenames", ()):
            item.add_marker("kafka")


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaServer]:
    """Apache Kafka, with ``bootstrap``, ``stop()``, ``kill()``, ``start()`` and ``restart()``.

    Without Java or Maven its tests skip and say why; under ``STREAMPROC_TESTS_REQUIRE_KAFKA=1`` they fail.
    A test that stops the broker starts it again before it ends.
    """
    if reason := why_kafka_cannot_run():
        if os.environ.get(REQUIRE_KAFKA) == "1":
            pytest.fail(f"{reason}, and {REQUIRE_KAFKA}=1 forbids leaving these tests out")
        pytest.skip(reason)
    with KafkaServer() as server:
        yield server


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_server: KafkaServer) -> str:
    """Address of Apache Kafka's plain listener, ``host:port``."""
    return kafka_server.bootstrap
