"""``streamproc graph rebuild``."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from streamproc.cli.graph import app
from streamproc.cli.load import app as load
from streamproc.cli.topics import app as topics
from streamproc.config import Settings
from streamproc.errors import SettingsError
from streamproc.graph.inspection import GraphState, inspect_graph
from streamproc.graph.milvus import GraphAddress
from streamproc.inference.bundle import Bundle, default_bundle_path

ENCODER = Bundle.load(default_bundle_path()).manifest.encoder


@pytest.fixture
def uri(tmp_path, monkeypatch):
    path = str(tmp_path / "graph.db")
    monkeypatch.setenv("STREAMPROC_MILVUS_URI", path)
    return path


def inspected(uri: str):
    address = GraphAddress(uri, topic_prefix=Settings().topic_prefix)
    return asyncio.run(inspect_graph(address, ENCODER.float_sha256, ENCODER.dimension))


@pytest.fixture
def imported(runner, broker, jsonl):
    tags = jsonl({"tag": "tea"}, {"tag": "coffee"}, name="tags.jsonl")
    notes = jsonl(
        {"id": "h1", "text": "Green or black, hot.", "tags": ["tea"]},
        {"id": "h2", "text": "Espresso at seven.", "tags": ["coffee"]},
        {"id": "h1", "text": "Only green.", "tags": ["tea"]},
        name="notes.jsonl",
    )
    knowledge = jsonl({"id": "s1", "kind": "rule", "text": "Tea is no coffee."}, name="knowledge.jsonl")
    for what, file in (("tags", tags), ("notes", notes), ("knowledge", knowledge)):
        assert runner.invoke(load, [what, str(file)]).exit_code == 0


def test_the_graph_is_built_from_the_topics_twice_the_same(runner, broker, imported, uri):
    assert inspected(uri).state is GraphState.ABSENT
    for _ in range(2):
        result = runner.invoke(app, ["rebuild"])
        assert result.exit_code == 0, result.exception
        assert result.stdout == (
            "read 2 changes of tags, 1 of knowledge and 3 notes; 0 could not be used and were passed over\n"
        )
        found = inspected(uri)
        assert (found.counts.notes, found.counts.tags, found.counts.segments) == (2, 2, 1)
        assert found.applied[(f"{broker}tags.changes", 0)] == 1
        assert (
            sum(offset + 1 for (topic, _), offset in found.applied.items() if topic == f"{broker}graph.notes")
            == 3
        )


def test_missing_topics_leave_the_graph_alone(runner, broker, imported, uri, monkeypatch):
    assert runner.invoke(app, ["rebuild"]).exit_code == 0
    monkeypatch.setenv("STREAMPROC_TOPIC_PREFIX", "other.")
    error = runner.invoke(app, ["rebuild"]).exception
    assert isinstance(error, SettingsError)
    assert "has no topic other.graph.notes" in str(error)
    monkeypatch.setenv("STREAMPROC_TOPIC_PREFIX", broker)
    assert inspected(uri).counts.notes == 2


def test_it_refuses_while_a_worker_of_the_group_runs(runner, apache_kafka, uri):
    assert runner.invoke(topics, ["create"]).exit_code == 0

    async def beside_a_member():
        consumer = AIOKafkaConsumer(
            f"{apache_kafka}graph.notes", group_id="streamproc", bootstrap_servers=Settings().kafka_bootstrap
        )
        await consumer.start()
        try:
            await consumer.getmany(timeout_ms=1000)
            return await asyncio.to_thread(runner.invoke, app, ["rebuild"])
        finally:
            await consumer.stop()

    error = asyncio.run(beside_a_member()).exception
    assert isinstance(error, SettingsError)
    assert "The group 'streamproc' has 1 running consumers" in str(error)
    assert inspected(uri).state is GraphState.ABSENT
    assert runner.invoke(app, ["rebuild"]).exit_code == 0


def test_a_list_of_no_graphs_says_so(runner, uri):
    result = runner.invoke(app, ["list"])
    assert result.exit_code == 0, result.exception
    assert (result.stdout, result.stderr) == ("", "no graph yet: the first worker makes it\n")


def test_listing_graphs_makes_none(runner, uri):
    result = runner.invoke(app, ["list"])
    assert result.exit_code == 0, result.exception
    assert "no graph yet" in result.stderr
    assert not Path(uri).exists()
