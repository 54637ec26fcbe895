"""The broker of the tests behaves as the other tests rely on."""

import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.servers import kafka
from tests.servers.kafka import KafkaServer
from tests.servers.process import has_ended


async def test_records_survive_a_killed_broker(kafka_server: KafkaServer) -> None:
    topic = "survives"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka_server.bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, b"before")
    kafka_server.kill()
    assert not kafka_server.running
    kafka_server.start()
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka_server.bootstrap, auto_offset_reset="earliest")
    async with consumer:
        assert (await consumer.getone()).value == b"before"


async def test_a_record_of_ten_megabytes_is_taken(kafka_server: KafkaServer) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("large", 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka_server.bootstrap, max_request_size=kafka.MAX_MESSAGE_BYTES
    )
    async with producer:
        assert (await producer.send_and_wait("large", b"x" * 10_000_000)).offset == 0


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_the_sasl_listener_knows_its_user(kafka_server: KafkaServer, mechanism: str) -> None:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=kafka_server.sasl_bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism=mechanism,
        sasl_plain_username=kafka_server.username,
        sasl_plain_password=kafka_server.password,
    )
    await admin.start()
    await admin.list_topics()
    await admin.close()


def test_missing_java_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "'java' is not on the PATH" in str(kafka.why_kafka_cannot_run())


@pytest.mark.parametrize(("required", "said", "status"), [("0", "1 skipped", 0), ("1", "1 error", 1)])
def test_without_java_the_tests_skip_or_fail_and_say_why(required: str, said: str, status: int) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__, "-k", "ten_megabytes"],
        env={"PATH": "", "STREAMPROC_TESTS_REQUIRE_KAFKA": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == status, run.stdout
    assert said in run.stdout
    assert "'java' is not on the PATH" in run.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="what lives is read from /proc")
@pytest.mark.usefixtures("kafka_server")
def test_the_broker_dies_with_a_killed_test_run() -> None:
    code = (
        "import time; from tests.servers.kafka import KafkaServer\n"
        "server = KafkaServer(); server.start()\n"
        "started = server._process\n"
        "print(started.pid, started._keeper.pid, server._home, flush=True); time.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pid, keeper, home = run.stdout.readline().split()
    run.kill()
    run.wait()
    run.stdout.close()
    assert has_ended(int(pid))
    assert has_ended(int(keeper))
    assert not Path(home).exists()
