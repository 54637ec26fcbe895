"""Why Kafka cannot be reached, told apart."""

import asyncio
import socket

import pytest

from streamproc.config import Settings
from streamproc.errors import DependencyDownError, SettingsError
from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.reachability import require_kafka
from tests.servers.kafka import KafkaServer


@pytest.fixture
def closed_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, never listening: nobody else can take it meanwhile
        yield held.getsockname()[1]


def sasl(server: KafkaServer, **changes: str) -> Settings:
    given = {
        "kafka_bootstrap": server.sasl_bootstrap,
        "kafka_security_protocol": "SASL_PLAINTEXT",
        "kafka_sasl_username": server.username,
        "kafka_sasl_password": server.password,
    }
    return Settings(**(given | changes))


async def test_the_embedded_broker_can_be_reached():
    with EmbeddedBroker() as broker:
        await require_kafka(Settings(kafka_bootstrap=broker.bootstrap))


async def test_nothing_listening_is_said(closed_port):
    with pytest.raises(DependencyDownError, match=f"127.0.0.1:{closed_port}: nothing listens there"):
        await require_kafka(Settings(kafka_bootstrap=f"127.0.0.1:{closed_port}"))


async def test_one_working_address_of_several_is_enough(closed_port):
    with EmbeddedBroker() as broker:
        await require_kafka(Settings(kafka_bootstrap=f"127.0.0.1:{closed_port},{broker.bootstrap}"))


async def test_an_unknown_host_is_named():
    with pytest.raises(SettingsError, match=r"no host has the name in nowhere\.invalid:9092"):
        await require_kafka(Settings(kafka_bootstrap="nowhere.invalid:9092"))


async def test_tls_towards_a_plain_port_is_recognised():
    with EmbeddedBroker() as broker:
        settings = Settings(kafka_bootstrap=broker.bootstrap, kafka_security_protocol="SSL")
        with pytest.raises(SettingsError, match=r"does not speak TLS|closes it at the first request"):
            await asyncio.wait_for(require_kafka(settings), 20)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_apache_kafka_takes_the_right_password(kafka_server, mechanism):
    await require_kafka(sasl(kafka_server, kafka_sasl_mechanism=mechanism))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_wrong_password_is_called_so(kafka_server, mechanism):
    with pytest.raises(SettingsError, match=r"refuses the login of user 'tester'.*password is wrong"):
        await require_kafka(sasl(kafka_server, kafka_sasl_mechanism=mechanism, kafka_sasl_password="wrong"))


async def test_a_mechanism_the_broker_lacks_is_called_so(kafka_server):
    with pytest.raises(SettingsError, match="offers no login by SCRAM-SHA-256"):
        await require_kafka(sasl(kafka_server, kafka_sasl_mechanism="SCRAM-SHA-256"))


async def test_a_login_towards_a_plain_port_is_recognised(kafka_server):
    with pytest.raises(SettingsError, match="STREAMPROC_KAFKA_SECURITY_PROTOCOL"):
        await require_kafka(sasl(kafka_server, kafka_bootstrap=kafka_server.bootstrap))


async def test_no_login_towards_a_port_that_wants_one_is_recognised(kafka_server):
    with pytest.raises(SettingsError, match="STREAMPROC_KAFKA_SECURITY_PROTOCOL = PLAINTEXT"):
        await require_kafka(Settings(kafka_bootstrap=kafka_server.sasl_bootstrap))


async def test_tls_towards_a_plain_port_of_apache_kafka_is_recognised(kafka_server):
    settings = Settings(kafka_bootstrap=kafka_server.bootstrap, kafka_security_protocol="SSL")
    with pytest.raises(SettingsError, match="STREAMPROC_KAFKA_SECURITY_PROTOCOL = SSL"):
        await require_kafka(settings)
