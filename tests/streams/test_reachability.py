"""Why Kafka cannot be reached, told apart."""

import asyncio
import shutil
import socket
import ssl
import subprocess

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


async def test_a_port_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr("streamproc.streams.reachability.ANSWER_SECONDS", 0.3)
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(DependencyDownError, match=f"127.0.0.1:{port}: no answer within"):
        await require_kafka(Settings(kafka_bootstrap=f"127.0.0.1:{port}"))
    server.close()


@pytest.fixture
def self_signed(tmp_path):
    """Files of a key and of the certificate for localhost that it signed itself."""
    if shutil.which("openssl") is None:
        pytest.skip("a certificate is made with openssl, which is not on the PATH")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return key, certificate


async def test_a_certificate_of_an_unknown_authority_is_called_so(self_signed):
    key, certificate = self_signed
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "localhost", 0, ssl=context)
    settings = Settings(
        kafka_bootstrap=f"localhost:{server.sockets[0].getsockname()[1]}", kafka_security_protocol="SSL"
    )
    with pytest.raises(SettingsError, match=r"certificate .* is not trusted: self.signed"):
        await require_kafka(settings)
    trusting = settings.model_copy(update={"kafka_ssl_cafile": certificate})
    with pytest.raises(SettingsError, match="closes it at the first request"):  # TLS works; Kafka it is not
        await require_kafka(trusting)
    server.close()


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
