"""``streamproc topics create``, on Apache Kafka: the embedded broker has no such request."""

import asyncio

from streamproc.cli.topics import app
from streamproc.config import Settings
from streamproc.errors import DependencyDownError
from streamproc.events.topics import TOPICS
from streamproc.streams.partitions import existing_partitions


def test_topics_are_created_once(runner, apache_kafka):
    first = runner.invoke(app, ["create"])
    assert first.exit_code == 0, first.output
    assert first.stdout.splitlines() == [f"created {apache_kafka}{topic.name}" for topic in TOPICS]
    again = runner.invoke(app, ["create"])
    assert (again.exit_code, again.stderr) == (0, "")
    assert f"exists  {apache_kafka}notes.new" in again.stdout
    existing = asyncio.run(existing_partitions(Settings()))
    assert existing[f"{apache_kafka}tags.changes"] == (0,)
    assert len(existing[f"{apache_kafka}notes.new"]) == 6


def test_a_topic_that_differs_is_reported_and_left(runner, apache_kafka, monkeypatch):
    assert runner.invoke(app, ["create"]).exit_code == 0
    monkeypatch.setenv("STREAMPROC_TOPIC_PARTITIONS", "9")
    result = runner.invoke(app, ["create"])
    assert result.exit_code == 1
    assert f"{apache_kafka}notes.new: partitions is 6, wanted is 9. It is left as it is" in result.stderr


def test_an_unreachable_broker_is_a_sentence(runner, monkeypatch):
    monkeypatch.setenv("STREAMPROC_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    error = runner.invoke(app, ["create"]).exception
    assert isinstance(error, DependencyDownError)
    assert str(error) == (
        "Kafka cannot be reached: 127.0.0.1:1: nothing listens there. "
        "Start the broker or correct STREAMPROC_KAFKA_BOOTSTRAP."
    )
