"""A broker with the topics, and the settings that lead to it."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamproc.config import Settings
from streamproc.events.record import InputRecord
from streamproc.streams.admin import partition_counts
from streamproc.streams.embedded import EmbeddedBroker
from streamproc.streams.reading import read_to_end


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """One embedded broker for all tests: starting one takes a second."""
    with EmbeddedBroker() as embedded:
        yield embedded


@pytest.fixture
def broker(embedded_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> str:
    """The embedded broker with all topics under a prefix of their own, which it gives.

    Commands find it through the environment.
    """
    prefix = f"t{uuid.uuid4().hex[:8]}."
    monkeypatch.setenv("STREAMPROC_KAFKA_BOOTSTRAP", embedded_broker.bootstrap)
    monkeypatch.setenv("STREAMPROC_TOPIC_PREFIX", prefix)
    for name, partitions in partition_counts(Settings()).items():
        embedded_broker.create_topic(name, partitions)
    return prefix


@pytest.fixture
def apache_kafka(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Apache Kafka under a topic prefix of its own; no topics yet. Gives the prefix."""
    prefix = f"t{uuid.uuid4().hex[:8]}."
    monkeypatch.setenv("STREAMPROC_KAFKA_BOOTSTRAP", kafka_bootstrap)
    monkeypatch.setenv("STREAMPROC_TOPIC_PREFIX", prefix)
    return prefix


@pytest.fixture
def records() -> Callable[[str], list[InputRecord]]:
    """Read a whole topic, named without its prefix."""

    async def read(topic: str) -> list[InputRecord]:
        settings = Settings()
        name = f"{settings.topic_prefix}{topic}"
        return [record async for batch in read_to_end(settings, [name]) for record in batch]

    return lambda topic: asyncio.run(read(topic))


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as a file of JSON lines; bytes stand for a line as it is."""

    def write(*rows: dict | bytes, name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(
            b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
        )
        return path

    return write
