"""``streamproc doctor``."""

import asyncio
import fcntl
import shutil

import pytest
import typer
from aiokafka import AIOKafkaConsumer, TopicPartition

from streamproc.cli.doctor import doctor
from streamproc.cli.topics import app as topics
from streamproc.config import Settings
from streamproc.errors import SettingsError
from streamproc.inference.bundle import default_bundle_path

app = typer.Typer()
app.command()(doctor)


@pytest.fixture(autouse=True)
def no_graph_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMPROC_MILVUS_URI", str(tmp_path / "graph.db"))


def found(result) -> dict[str, tuple[str, str]]:
    """Name of the check -> verdict and sentence."""
    rows = (line.split(maxsplit=2) for line in result.stdout.splitlines())
    return {name: (verdict, sentence) for verdict, name, sentence in rows}


def test_everything_is_well(runner, broker, tmp_path):
    result = runner.invoke(app)
    findings = found(result)
    assert {name: verdict for name, (verdict, _) in findings.items()} == dict.fromkeys(
        ("bundle", "models", "kafka", "topics", "milvus", "graph"), "ok"
    ), result.stdout
    assert result.exit_code == 0
    assert findings["milvus"][1] == f"{tmp_path}/graph.db holds no graph yet; the first worker makes it"
    assert not (tmp_path / "graph.db").exists()


def test_a_broker_that_is_down_is_said_once_and_the_rest_is_still_looked_at(runner, monkeypatch):
    monkeypatch.setenv("STREAMPROC_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    result = runner.invoke(app)
    findings = found(result)
    assert result.exit_code == 1
    verdict, sentence = findings["kafka"]
    assert verdict == "wrong"
    assert "nothing listens there. Start the broker or correct STREAMPROC_KAFKA_BOOTSTRAP." in sentence
    assert findings["topics"] == ("skipped", "cannot be told while this is not ok: kafka")
    assert findings["bundle"][0] == findings["milvus"][0] == "ok"


def test_missing_topics_are_named(runner, broker, monkeypatch):
    monkeypatch.setenv("STREAMPROC_TOPIC_PREFIX", "other.")
    verdict, sentence = found(runner.invoke(app))["topics"]
    assert verdict == "wrong"
    assert sentence.startswith("missing: other.notes.new, other.notes.labels,")
    assert sentence.endswith("Create them with 'streamproc topics create'.")


def test_a_broken_bundle_is_named(runner, broker, tmp_path, monkeypatch):
    shutil.copytree(default_bundle_path(), tmp_path / "bundle")
    (tmp_path / "bundle" / "encoder" / "tokenizer.json").write_text("{}")
    monkeypatch.setenv("STREAMPROC_BUNDLE", str(tmp_path / "bundle"))
    result = runner.invoke(app)
    assert result.exit_code == 1
    assert "tokenizer.json has SHA-256" in found(result)["bundle"][1]
    assert found(result)["graph"] == ("skipped", "cannot be told while this is not ok: bundle, milvus")


def test_milvus_that_is_down_is_said(runner, broker, monkeypatch):
    monkeypatch.setenv("STREAMPROC_MILVUS_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("STREAMPROC_MILVUS_TIMEOUT_SECONDS", "2")
    verdict, sentence = found(runner.invoke(app))["milvus"]
    assert verdict == "wrong"
    assert "Milvus" in sentence
    assert "127.0.0.1:1" in sentence


def test_triton_that_is_down_is_said(runner, broker, monkeypatch):
    monkeypatch.setenv("STREAMPROC_INFERENCE", "triton")
    monkeypatch.setenv("STREAMPROC_TRITON_URL", "127.0.0.1:1")
    monkeypatch.setenv("STREAMPROC_TRITON_TIMEOUT_SECONDS", "1")
    verdict, sentence = found(runner.invoke(app))["triton"]
    assert verdict == "wrong"
    assert "Triton" in sentence


def test_a_lost_graph_is_noticed(runner, broker):
    async def commit() -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=Settings().kafka_bootstrap, group_id="streamproc", enable_auto_commit=False
        )
        await consumer.start()
        partition = TopicPartition(f"{broker}graph.notes", 0)
        consumer.assign([partition])
        await consumer.commit({partition: 5})
        await consumer.stop()

    asyncio.run(commit())
    result = runner.invoke(app)
    assert result.exit_code == 1
    verdict, sentence = found(result)["graph"]
    assert verdict == "wrong"
    assert f"the graph holds nothing of {broker}graph.notes/0, but offset 4 is committed" in sentence
    assert "streamproc graph rebuild" in sentence


def test_a_graph_that_a_worker_has_open_is_left_to_it(runner, broker, tmp_path):
    (tmp_path / "graph.db").mkdir()
    with (tmp_path / "graph.db" / "LOCK").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        findings = found(runner.invoke(app))
    assert findings["milvus"][0] == findings["graph"][0] == "ok"
    assert "is open in another process" in findings["milvus"][1]


def test_wrong_settings_are_one_sentence(runner, monkeypatch):
    monkeypatch.setenv("STREAMPROC_MAX_TAGS", "many")
    assert isinstance(runner.invoke(app).exception, SettingsError)


def test_apache_kafka_is_well_and_a_topic_that_differs_is_named(runner, apache_kafka, monkeypatch):
    assert runner.invoke(topics, ["create"]).exit_code == 0
    findings = found(runner.invoke(app))
    assert findings["topics"] == ("ok", "all topics are there and as they should be")
    assert findings["graph"][0] == "ok", findings
    monkeypatch.setenv("STREAMPROC_MAX_NOTE_BYTES", "2000000")
    verdict, sentence = found(runner.invoke(app))["topics"]
    assert verdict == "wrong"
    assert f"{apache_kafka}notes.new has max.message.bytes 1114112 instead of 2065536" in sentence


def test_a_wrong_password_is_called_so(runner, apache_kafka, kafka_server, monkeypatch):
    monkeypatch.setenv("STREAMPROC_KAFKA_BOOTSTRAP", kafka_server.sasl_bootstrap)
    monkeypatch.setenv("STREAMPROC_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("STREAMPROC_KAFKA_SASL_USERNAME", kafka_server.username)
    monkeypatch.setenv("STREAMPROC_KAFKA_SASL_PASSWORD", "wrong")
    verdict, sentence = found(runner.invoke(app))["kafka"]
    assert verdict == "wrong"
    assert sentence == (
        f"Kafka at {kafka_server.sasl_bootstrap} refuses the login of user 'tester' by SCRAM-SHA-512: user or password "
        "is wrong. Correct STREAMPROC_KAFKA_SASL_USERNAME and STREAMPROC_KAFKA_SASL_PASSWORD."
    )
    monkeypatch.setenv("STREAMPROC_KAFKA_SASL_PASSWORD", kafka_server.password)
    assert found(runner.invoke(app))["kafka"][0] == "ok"
